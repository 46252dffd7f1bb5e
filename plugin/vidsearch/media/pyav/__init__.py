"""The decoder on PyAV: reads the packet index first and decodes only what a wanted frame needs."""

from __future__ import annotations

from vidsearch.media.pyav.decoder import PyAvDecoder

__all__ = ["PyAvDecoder"]
