"""Results as clients may see them: without what is the server's own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from vidsearch.config import Settings
from vidsearch.json_values import readable
from vidsearch.search.mapping_fields import OPEN_TYPES, copied_to, walk

if TYPE_CHECKING:
    from vidsearch.index.description import IndexDescription
    from vidsearch.search import Moment, SearchResult

__all__ = [
    "is_hidden",
    "public_fields",
    "public_result",
    "stored_duration",
    "tells_of_hidden",
    "uri_field",
]

_WITH_FIELDS = OPEN_TYPES | {"object", "nested"}


def uri_field(settings: Settings) -> str:
    """The field of a document that holds the URI of its video."""
    return f"{settings.index.field}.uri"


def stored_duration(fields: Mapping[str, Any], settings: Settings) -> float | None:
    """The seconds of a video by its document; ``None`` where it holds no such number.

    A document has it as it was written: an engine also takes lists and texts, and where the mapping
    ignores malformed values, anything.
    """
    own = fields.get(settings.index.field)
    found = own.get("duration") if isinstance(own, Mapping) else None
    if isinstance(found, list) and len(found) == 1:
        (found,) = found
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return None
    try:
        seconds = float(found)
    except OverflowError:  # a whole number of more than 308 digits
        return None
    return seconds if math.isfinite(seconds) else None


def is_hidden(name: str, settings: Settings) -> bool:
    """Whether clients may not know of a field, or of an object that it lies in."""
    return _is_within(name, _hidden(settings))


def tells_of_hidden(index: IndexDescription, settings: Settings) -> Callable[[str], bool]:
    """Says of the name of a field whether clients could learn of a hidden one by it.

    Such are hidden fields, those that the mapping copies them to (``copy_to``), aliases of both by
    any name that a search takes, and objects with a hidden field or key: a document may have the
    object by that alone, and the values of a flattened one are counted and found all alike. Not the
    object of the videos, as each has a URI.

    Args:
        index: that is searched.
        settings: say what is hidden.
    """
    fields = list(walk(index.properties))
    aliases = {field.path: field.target for field in fields if field.target is not None}
    objects = {field.path for field in fields if field.type in _WITH_FIELDS}
    copies = copied_to(index.properties, lambda path: is_hidden(path, settings))
    hidden = (*_hidden(settings), *copies)
    known_by = [alias for alias, target in aliases.items() if _is_within(target, hidden)]
    inside = (*settings.web.hidden_fields, *copies, *known_by)

    def tells(name: str) -> bool:
        alias = next((each for each in aliases if _is_within(name, [each])), "")
        own = aliases[alias] + name[len(alias) :] if alias else name
        return (
            _is_within(name, hidden)
            or _is_within(own, hidden)
            or (own in objects and any(_is_within(each, [own]) for each in inside))
        )

    return tells


def _is_within(name: str, paths: Iterable[str]) -> bool:
    """Whether a field is one of some, or lies in one."""
    return any(f"{name}.".startswith(f"{each}.") for each in paths)


def _hidden(settings: Settings) -> tuple[str, ...]:
    return (uri_field(settings), *settings.web.hidden_fields)


def public_result(
    result: SearchResult,
    settings: Settings,
    *,
    tells: Callable[[str], bool],
    thumbnail_url: Callable[[str, Moment], str | None],
) -> dict[str, Any]:
    """The result as JSON values that every reader takes, without URIs of the server.

    Args:
        result: of a search.
        settings: say what is hidden.
        tells: says of the name of a field whether it tells of a hidden one.
        thumbnail_url: the URL of a moment's picture, by the id of the video.
    """
    shown = result.to_dict()
    for hit, plain in zip(result.hits, shown["hits"], strict=True):
        plain["fields"] = _public(plain["fields"], settings)
        plain["highlights"] = {
            name: fragments for name, fragments in plain["highlights"].items() if not tells(name)
        }
        if plain["explanation"]:
            matched = plain["explanation"]["matched_fields"]
            plain["explanation"]["matched_fields"] = [name for name in matched if not tells(name)]
        for moment, one in zip(hit.moments, plain["moments"], strict=True):
            one["thumbnail"] = thumbnail_url(hit.id, moment)
    plain_values: dict[str, Any] = readable(shown)
    return plain_values


def public_fields(
    fields: Mapping[str, Any], settings: Settings, *, uri: str | None = None
) -> dict[str, Any]:
    """The fields of a document, without hidden ones and copies of the URI of its video.

    They are JSON values that every reader takes.

    Args:
        fields: of the document.
        settings: say what is hidden.
        uri: of the video; ``None`` takes it from the fields.
    """
    kept: dict[str, Any] = readable(_public(fields, settings, uri=uri))
    return kept


def _public(
    fields: Mapping[str, Any], settings: Settings, *, uri: str | None = None
) -> dict[str, Any]:
    inner = fields.get(settings.index.field)
    if uri is None and isinstance(inner, Mapping):
        uri = inner.get("uri")
    kept = _kept(fields, "", uri, settings)
    if not kept.get(settings.index.field, True):  # nothing else of it was asked for
        del kept[settings.index.field]
    return kept


def _kept(value: Mapping[str, Any], path: str, uri: Any, settings: Settings) -> dict[str, Any]:
    return {
        name: _shown(each, f"{path}{name}.", uri, settings)
        for name, each in value.items()
        if not is_hidden(f"{path}{name}", settings) and not (uri is not None and each == uri)
    }


def _shown(value: Any, path: str, uri: Any, settings: Settings) -> Any:
    """A value without what is hidden inside of it, also in lists of lists, as engines take them."""
    if isinstance(value, Mapping):
        return _kept(value, path, uri, settings)
    if isinstance(value, list):
        kept = (item for item in value if uri is None or item != uri)
        return [_shown(item, path, uri, settings) for item in kept]
    return value
