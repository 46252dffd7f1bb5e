"""What :class:`MemoryEngine` checks of a document: strict objects and the dims of vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch.errors import MappingConflictError

__all__ = ["check"]


def check(source: Mapping[str, Any], mapping: Mapping[str, Any], *, path: str = "") -> None:
    """Refuse what a real node refuses.

    Raises:
        MappingConflictError: an undeclared field in a strict object, or a vector of wrong dims.
    """
    properties = mapping.get("properties", {})
    for name, value in source.items():
        where = f"{path}{name}"
        declared = properties.get(name)
        if declared is None:
            if mapping.get("dynamic") in {"strict", "STRICT"}:
                raise MappingConflictError(f"field {where!r} is not declared in a strict object")
            continue
        _check_value(value, declared, where)


def _check_value(value: Any, declared: Mapping[str, Any], where: str) -> None:
    dims = declared.get("dims", declared.get("dimension"))
    if dims is not None and value is not None:
        if len(value) != dims:
            raise MappingConflictError(f"field {where!r} takes {dims} dims, not {len(value)}")
        if not any(value):
            raise MappingConflictError(f"field {where!r} takes no zero vector")
    elif "properties" in declared and value is not None:
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, Mapping):
                raise MappingConflictError(f"field {where!r} is an object, not {item!r}")
            check(item, declared, path=f"{where}.")
