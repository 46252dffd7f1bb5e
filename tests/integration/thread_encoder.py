"""An encoder that notes how many threads torch has where it is called."""

from __future__ import annotations

import json
import os
from pathlib import Path

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders import TorchEncoder, Vectors
from vidsearch.media import FrameBatch
from vidsearch.testing.fake_encoder import FakeEncoder


class ThreadEncoder(FakeEncoder):
    """The fake encoder; before it, the shipped one runs in torch."""

    def __init__(self, model: ModelSettings, ingest: IngestSettings) -> None:
        super().__init__()
        self._shipped = TorchEncoder("demo", device="cpu", threads=model.threads)

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        import torch

        found = {"before": torch.get_num_threads()}
        self._shipped.encode_frames(frames)
        found["after"] = torch.get_num_threads()
        note = Path(os.environ["TEST_SWITCHES"]) / "threads.json"
        note.with_suffix(".part").write_text(json.dumps(found))
        note.with_suffix(".part").rename(note)
        return super().encode_frames(frames)
