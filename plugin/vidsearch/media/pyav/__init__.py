"""The decoder on PyAV: reads the packet index first and decodes only what a wanted frame needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.media.pyav.decoder import PyAvDecoder

__all__ = ["PyAvDecoder"]

# Other modules use parts of this package without the decoder.
__getattr__, __dir__ = imported_late(__name__, {"PyAvDecoder": "vidsearch.media.pyav.decoder"})
