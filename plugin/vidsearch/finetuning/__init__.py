"""Better weights from your own captions: a checkpoint trained on, with CLIP4Clip's loss.

Importing this package loads nothing; its modules import torch.
"""

from __future__ import annotations
