"""The user's field with a video's URI: check its mapping, and read it from a document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from vidsearch.errors import MappingConflictError

__all__ = ["check_uri_field", "uri_in"]

_TYPES = frozenset(
    {"constant_keyword", "keyword", "match_only_text", "search_as_you_type", "text", "wildcard"}
)


def check_uri_field(mapping: Mapping[str, Any], path: str, *, index: str) -> None:
    """Refuse a field that can hold no URI, or in which none could be found.

    Raises:
        MappingConflictError: not mapped, of another type, nested, or neither indexed nor in doc
            values.
    """
    where = f"field {path!r} of index {index!r}"
    definition: Mapping[str, Any] = mapping
    rest = path
    while rest:
        properties = definition.get("properties") or {}
        # Dots may also stand in a name, where subobjects are switched off.
        name = next((n for n in _heads(rest) if n in properties), None)
        if name is None:
            raise MappingConflictError(
                f"{where} is not mapped; name the field with a video's URI (--uri-field)"
            )
        definition, rest = properties[name], rest[len(name) + 1 :]
        if definition.get("type") == "nested":
            raise MappingConflictError(
                f"{where} lies in nested objects: one document would have many videos; "
                "name a field outside of them"
            )
    kind = definition.get("type", "object")
    if kind not in _TYPES:
        raise MappingConflictError(
            f"{where} is of type {kind!r}; a URI is read from a field of text or keywords"
        )
    indexed = definition.get("index", True) not in {False, "false"}
    if not indexed and (kind == "text" or definition.get("doc_values", True) in {False, "false"}):
        raise MappingConflictError(
            f"{where} is neither indexed nor in doc values, so no document with a URI can be found"
        )


def uri_in(source: Mapping[str, Any], path: str) -> str | None:
    """The URI in a document, without blanks around it; ``None`` where it is empty or no text, or
    where there are several."""
    found = list(_values(source, path))
    if found and isinstance(found[0], str) and all(each == found[0] for each in found):
        return found[0].strip() or None
    return None


def _values(value: Any, path: str) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _values(item, path)
    elif not path:
        if value is not None:
            yield value
    elif isinstance(value, Mapping):
        for head in _heads(path):
            if head in value:
                yield from _values(value[head], path[len(head) + 1 :])


def _heads(path: str) -> Iterator[str]:
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        yield ".".join(parts[:count])
