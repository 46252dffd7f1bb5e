"""Custom encoders, named in the settings as ``package.module:Name``."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders.base import Encoder
from vidsearch.errors import ConfigError, VidsearchError

__all__ = ["is_dotted", "load_custom"]

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_MEMBERS = ("identity", "context_length", "count_tokens", "encode_text", "encode_frames")


def is_dotted(name: str) -> bool:
    """Whether a setting has the form ``package.module:Name``."""
    return _DOTTED.fullmatch(name) is not None


def load_custom(dotted: str, settings: ModelSettings, ingest: IngestSettings) -> Encoder:
    """Call what ``dotted`` names with ``(settings, ingest)``, and check what comes back.

    Args:
        dotted: ``package.module:Name``, a class or a function; the module must be importable,
            that is, installed or on ``PYTHONPATH``.
        settings: the section ``model``, its first argument.
        ingest: the section ``ingest``, its second argument.

    Raises:
        ConfigError: there is nothing of that name, it cannot be called, it raised, or what it
            returned is no :class:`~vidsearch.encoders.base.Encoder`.
    """
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
            f"{_reason(error)}"
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
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise ConfigError(
                f"{where} there is no module {error.name!r}: install its package where this runs, "
                "or put its folder on PYTHONPATH"
            ) from error
        raise ConfigError(f"{where} importing {module!r} failed: {_reason(error)}") from error
    except Exception as error:  # whatever its module level does
        raise ConfigError(f"{where} importing {module!r} failed: {_reason(error)}") from error
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


def _reason(error: Exception) -> str:
    text = (str(error).strip() or "no message").splitlines()[0]
    return f"{type(error).__name__}: {text}"
