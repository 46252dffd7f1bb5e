"""The encoder that the settings name."""

from __future__ import annotations

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders.base import Encoder
from vidsearch.encoders.clip4clip import Clip4ClipEncoder

__all__ = ["load_encoder"]


def load_encoder(settings: ModelSettings, ingest: IngestSettings | None = None) -> Encoder:
    """Build the configured encoder. Nothing is read or imported until it is used.

    Args:
        settings: the section ``model``.
        ingest: the section ``ingest``: how frames are chosen is part of an encoder's identity.
    """
    ingest = ingest or IngestSettings()
    return Clip4ClipEncoder(
        settings.name,
        revision=settings.revision,
        device=settings.device,
        batch_size=settings.batch_size,
        threads=settings.threads,
        offline=settings.offline,
        token=settings.token,
        rate=ingest.fps,
        sampling=ingest.sampling,
    )
