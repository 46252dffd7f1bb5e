"""Fields that an index does not take, or would change without a word."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from vidsearch.errors import (
    BackendError,
    DocumentRejectedError,
    MappingConflictError,
    RequestTooLargeError,
    VidsearchError,
)
from vidsearch_mappings.videos import EXACT_IN_DOUBLE

__all__ = ["explained", "explained_rejections", "refuse_changed_numbers"]

_WHOLE = frozenset({"byte", "short", "integer", "long", "unsigned_long"})


_ADVICE = {
    r"total fields \[\d+\]": (
        "Every name of a field counts, and a text twice: register fewer different fields, map an "
        "object as `flattened` or `flat_object` (setting index.mapping), or raise "
        "index.mapping.total_fields.limit of the index"
    ),
    r"mapping depth|depth of the field": ("Register fields with fewer objects inside each other"),
    r"immense term": (
        "A keyword has 32,766 bytes at most: give a shorter value, or map the field with "
        "`ignore_above` (setting index.mapping)"
    ),
    r"type \[|of type|object mapping": (
        "The first value of a field decides its type, unless the setting index.mapping does: see "
        "docs/indices.md"
    ),
}
"""What to do, by the engine's words; the first that fits."""


@contextmanager
def explained_rejections() -> Iterator[None]:
    """Say of a document that the engine refuses what the user can do.

    Raises:
        DocumentRejectedError: the mapping does not take it, or it is too large.
    """
    try:
        yield
    except (MappingConflictError, RequestTooLargeError) as error:
        raise explained(error) from error


def explained(error: BackendError) -> VidsearchError:
    """The error for a document that the engine refuses, with what the user can do; any other error
    as it is."""
    if isinstance(error, MappingConflictError):
        advice = next(
            (said for words, said in _ADVICE.items() if re.search(words, str(error))), None
        )
        return DocumentRejectedError(
            f"{str(error).rstrip('.')}. {advice}" if advice else str(error)
        )
    if isinstance(error, RequestTooLargeError):
        return DocumentRejectedError(f"{error}, or no subtitles (ingest.subtitles)")
    return error


def refuse_changed_numbers(
    fields: Mapping[str, Any], properties: Mapping[str, Any], *, own_templates: bool = False
) -> None:
    """Refuse a number that filters would find as another one.

    The engines cut a fraction in a field of whole numbers, and round a whole number that a
    ``double`` cannot keep. A number whose field is not mapped yet becomes a ``double``, unless the
    user has dynamic templates of his own: these may map it otherwise, so that it is not checked.

    Args:
        fields: of the document.
        properties: of the mapping.
        own_templates: whether the mapping has dynamic templates of the user.

    Raises:
        DocumentRejectedError: the message names field and value, and the way out.
    """
    for path, value, type in _numbers(fields, properties, ""):
        kind = type or ("unknown" if own_templates else "double")
        if kind in _WHOLE and value != value // 1:
            raise DocumentRejectedError(
                f"field {path!r} is mapped as {kind!r}, which would cut {value!r} to "
                f"{int(value)}: give whole numbers, or make an index that maps it as `double` "
                "(setting index.mapping)"
            )
        if kind == "double" and isinstance(value, int) and abs(value) > EXACT_IN_DOUBLE:
            way_out = (
                "make an index that maps it as `keyword` or `long` (setting index.mapping)"
                if type  # a text would become the same number
                else "give it as text, or map the field as `long` (setting index.mapping)"
            )
            raise DocumentRejectedError(
                f"field {path!r} is a `double`, which cannot keep {value} exactly: {way_out}"
            )


def _numbers(
    value: Any, definition: Mapping[str, Any], path: str
) -> Iterator[tuple[str, float, str | None]]:
    """Every number with its path and the type of its field, ``None`` where it is not mapped.

    Numbers that are written as text are among them where the engine would read them as such, and
    change them: in a field of whole numbers, and whole ones in a ``double``.
    """
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
        yield path, value, definition.get("type")
    elif isinstance(value, str) and definition.get("type") in _WHOLE:
        try:
            number = float(value)
        except ValueError:
            return  # the engine refuses it
        if math.isfinite(number):  # and so it does `nan`, `inf` and `1e400`
            yield path, number, definition["type"]
    elif isinstance(value, str) and definition.get("type") == "double":
        with suppress(ValueError):  # a fraction is rounded wherever it comes from
            yield path, int(value), "double"
