"""The encoder that the settings name: one of vidsearch, or your own as ``package.module:Name``."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders import onnx
from vidsearch.encoders.base import Encoder
from vidsearch.encoders.torch_encoder import TorchEncoder
from vidsearch.errors import ConfigError, VidsearchError, first_line

__all__ = ["load_encoder"]

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
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
    if _DOTTED.fullmatch(kind):
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
    factory = _found(dotted, where)
    if not callable(factory):
        raise ConfigError(f"{where} that is no class or function: {type(factory).__name__}")
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


def _found(dotted: str, where: str) -> Any:
    module, _, path = dotted.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as error:  # whatever its module level does
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing and (module == missing or module.startswith(f"{missing}.")):
            raise ConfigError(
                f"{where} there is no module {missing!r}: install its package where this runs, "
                "or put its folder on PYTHONPATH"
            ) from error
        raise ConfigError(
            f"{where} importing {module!r} failed: {type(error).__name__}: {first_line(error)}"
        ) from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise ConfigError(f"{where} {module!r} has no {path!r}") from error
    return found


def _has(made: Any, name: str) -> bool:
    # Looked at without calling it: a property may load the model.
    try:
        inspect.getattr_static(made, name)
    except AttributeError:
        # What is passed on to another object by __getattr__.
        return not inspect.isclass(made) and hasattr(type(made), "__getattr__")
    # A class that was returned instead of called has all of them, too.
    return not inspect.isclass(made)
