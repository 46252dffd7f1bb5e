"""Numbers that a field's mapping would change without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vidsearch.errors import DocumentRejectedError

__all__ = ["refuse_changed_numbers"]

_WHOLE = frozenset({"byte", "short", "integer", "long", "unsigned_long"})
_LARGEST = 2**53
"""Up to here a ``double`` keeps every whole number."""


def refuse_changed_numbers(fields: Mapping[str, Any], properties: Mapping[str, Any]) -> None:
    """Refuse a number that filters would find as another one.

    The engines cut a fraction in a field of whole numbers, and round a whole number that a
    ``double`` cannot keep. A field that is not mapped yet becomes a ``double``.

    Args:
        fields: of the document.
        properties: of the mapping.

    Raises:
        DocumentRejectedError: the message names field and value, and the way out.
    """
    for path, value, kind in _numbers(fields, properties, ""):
        if kind in _WHOLE and value != value // 1:
            raise DocumentRejectedError(
                f"field {path!r} is mapped as {kind!r}, which would cut {value!r} to "
                f"{int(value)}: give whole numbers, or make an index that maps it as `double` "
                "(setting index.mapping)"
            )
        if kind == "double" and isinstance(value, int) and abs(value) > _LARGEST:
            raise DocumentRejectedError(
                f"field {path!r} is a `double`, which cannot keep {value} exactly: give it as "
                "text, or map the field as `long` (setting index.mapping)"
            )


def _numbers(
    value: Any, definition: Mapping[str, Any], path: str
) -> Iterator[tuple[str, float, str]]:
    """Every number with its path and the type of its field; also those written as text."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            head, _, rest = str(name).partition(".")
            below = definition.get(head, {})
            where = f"{path}.{head}" if path else head
            yield from _numbers(
                {rest: inner} if rest else inner,
                below.get("properties", {}) if isinstance(inner, Mapping) or rest else below,
                where,
            )
    elif isinstance(value, list):
        for item in value:
            inside = definition.get("properties", {}) if isinstance(item, Mapping) else definition
            yield from _numbers(item, inside, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, value, definition.get("type", "double")
    elif isinstance(value, str) and definition.get("type") in _WHOLE:
        try:
            yield path, float(value), definition["type"]
        except ValueError:
            return  # the engine refuses it
