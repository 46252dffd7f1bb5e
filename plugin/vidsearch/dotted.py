"""What a setting names as ``package.module:Name``: a class or function of the user."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from typing import Any

from vidsearch.error_texts import first_line
from vidsearch.errors import ConfigError

__all__ = ["imported", "imported_object", "is_dotted"]

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_dotted(name: str) -> bool:
    """Whether it has the form ``package.module:Name``."""
    return _DOTTED.fullmatch(name) is not None


def imported(dotted: str, where: str) -> Callable[..., Any]:
    """Import the class or function that it names.

    Args:
        dotted: the name.
        where: beginning of a message, such as ``VIDSEARCH_MODEL__ENCODER is 'a:B', but``.

    Raises:
        ConfigError: no such module, one that cannot be imported, or no class or function in it.
    """
    found = imported_object(dotted, where)
    if not callable(found):
        raise ConfigError(f"{where} that is no class or function: {type(found).__name__}")
    function: Callable[..., Any] = found
    return function


def imported_object(dotted: str, where: str) -> Any:
    """As :func:`imported`, whatever it names."""
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
