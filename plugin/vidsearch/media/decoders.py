"""Decoders by name."""

from __future__ import annotations

from vidsearch.errors import ConfigError
from vidsearch.media.frames import DEFAULT_LIMITS, Decoder, MediaLimits

__all__ = ["open_decoder"]


def open_decoder(
    name: str = "pyav",
    *,
    limits: MediaLimits = DEFAULT_LIMITS,
    max_damaged: float = 0.5,
    threads: int = 1,
) -> Decoder:
    """The decoder that the setting ``ingest.decoder`` names.

    Args:
        name: ``pyav``, or ``opencv`` for the slower reference.
        limits: what is refused.
        max_damaged: share of the sampling points whose own frame may fail to decode.
        threads: of the codec.

    Raises:
        ConfigError: no decoder of that name.
    """
    if name == "pyav":
        from vidsearch.media.pyav import PyAvDecoder

        return PyAvDecoder(limits=limits, max_damaged=max_damaged, threads=threads)
    if name == "opencv":
        from vidsearch.media.opencv import OpenCvDecoder

        return OpenCvDecoder(limits=limits, max_damaged=max_damaged, threads=threads)
    raise ConfigError(f"no decoder is called {name!r}; known: 'pyav', 'opencv'")
