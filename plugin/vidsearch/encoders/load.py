"""The encoder that the settings name: one of vidsearch, or your own as ``package.module:Name``."""

from __future__ import annotations

import inspect
from typing import Any

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.dotted import imported, is_dotted
from vidsearch.encoders import onnx
from vidsearch.encoders.base import Encoder
from vidsearch.encoders.torch_encoder import TorchEncoder
from vidsearch.error_texts import first_line
from vidsearch.errors import ConfigError, VidsearchError

__all__ = ["load_encoder"]

_MEMBERS = ("identity", "context_length", "count_tokens", "encode_text", "encode_frames")


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
        return _load_custom(kind, settings, ingest)
    if kind not in {"auto", "torch", "onnx"}:
        raise ConfigError(
            f"there is no encoder {kind!r}; set VIDSEARCH_MODEL__ENCODER to 'auto', 'torch', "
            "'onnx', or to one of your own as 'package.module:Name'"
        )
    if kind == "onnx" or (kind == "auto" and onnx.is_export(settings.name)):
        return onnx.OnnxEncoder(
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


def _load_custom(dotted: str, settings: ModelSettings, ingest: IngestSettings) -> Encoder:
    """Call what ``dotted`` names with both sections, and check what comes back."""
    where = f"VIDSEARCH_MODEL__ENCODER is {dotted!r}, but"
    factory = imported(dotted, where)
    try:
        made = factory(settings, ingest)
    except VidsearchError:
        raise
    except Exception as error:  # any error at all: it is custom code
        raise ConfigError(
            f"{where} calling it with the sections model and ingest of the settings failed: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from error
    if missing := [name for name in _MEMBERS if not _has(made, name)]:
        raise ConfigError(
            f"{where} it returned a {type(made).__name__} that is no Encoder: it lacks "
            f"{', '.join(missing)}; run vidsearch.testing.encoder_contract.EncoderContract on it"
        )
    encoder: Encoder = made
    return encoder


def _has(made: Any, name: str) -> bool:
    # Looked at without calling it: a property may load the model.
    try:
        inspect.getattr_static(made, name)
    except AttributeError:
        # What is passed on to another object by __getattr__.
        return not inspect.isclass(made) and hasattr(type(made), "__getattr__")
    # A class that was returned instead of called has all of them, too.
    return not inspect.isclass(made)
