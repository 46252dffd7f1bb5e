"""Decoders by name."""

from __future__ import annotations

from vidsearch.errors import ConfigError
from vidsearch.media.frames import Decoder

__all__ = ["open_decoder"]


def open_decoder(name: str = "opencv") -> Decoder:
    """The decoder that the setting ``ingest.decoder`` names.

    Raises:
        ConfigError: no decoder of that name.
    """
    if name == "opencv":
        from vidsearch.media.opencv import OpenCvDecoder

        return OpenCvDecoder()
    raise ConfigError(f"no decoder is called {name!r}; known: 'opencv'")
