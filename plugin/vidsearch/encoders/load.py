"""The encoder that the settings name."""

from __future__ import annotations

from vidsearch.config import ModelSettings
from vidsearch.encoders.base import Encoder
from vidsearch.encoders.clip4clip import Clip4ClipEncoder

__all__ = ["load_encoder"]


def load_encoder(settings: ModelSettings, *, rate: float = 1.0) -> Encoder:
    """Build the configured encoder. Nothing is read or imported until it is used.

    Args:
        settings: the section ``model``.
        rate: frames per second that videos are sampled at; part of the encoder's identity.
    """
    return Clip4ClipEncoder(
        settings.name,
        revision=settings.revision,
        device=settings.device,
        batch_size=settings.batch_size,
        threads=settings.threads,
        offline=settings.offline,
        token=settings.token,
        rate=rate,
    )
