"""The encoder that the settings name."""

from __future__ import annotations

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders.base import Encoder
from vidsearch.encoders.custom import is_dotted, load_custom
from vidsearch.encoders.torch_encoder import TorchEncoder
from vidsearch.errors import ConfigError

__all__ = ["load_encoder"]


def load_encoder(settings: ModelSettings, ingest: IngestSettings | None = None) -> Encoder:
    """Build the configured encoder.

    The encoders of vidsearch load nothing until they are used; a custom encoder is imported and
    called.

    Args:
        settings: the section ``model``.
        ingest: the section ``ingest``: how frames are chosen is part of an encoder's identity.

    Raises:
        ConfigError: no such encoder, a custom one that cannot be made, or a precision that the
            encoder does not have.
    """
    ingest = ingest or IngestSettings()
    kind = settings.encoder
    if is_dotted(kind):
        return load_custom(kind, settings, ingest)
    if kind not in {"auto", "torch", "onnx"}:
        raise ConfigError(
            f"there is no encoder {kind!r}; set VIDSEARCH_MODEL__ENCODER to 'auto', 'torch', "
            "'onnx', or to one of your own as 'package.module:Name'"
        )
    if kind == "onnx" or (kind == "auto" and _is_export(settings.name)):
        from vidsearch.encoders.onnx import OnnxEncoder

        return OnnxEncoder(
            settings.name,
            precision=settings.precision,
            threads=settings.threads,
            batch_size=settings.batch_size,
            rate=ingest.fps,
            sampling=ingest.sampling,
        )
    return TorchEncoder(
        settings.name,
        revision=settings.revision,
        device=settings.device,
        precision=settings.precision,
        batch_size=settings.batch_size,
        threads=settings.threads,
        offline=settings.offline,
        token=settings.token,
        rate=ingest.fps,
        sampling=ingest.sampling,
    )


def _is_export(name: str) -> bool:
    from vidsearch.encoders.onnx import is_export

    return is_export(name)
