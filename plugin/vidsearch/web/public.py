"""Results as clients may see them: without what is the server's own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from vidsearch.config import Settings
from vidsearch.search.mapping_fields import OPEN_TYPES, names_of, walk

if TYPE_CHECKING:
    from vidsearch.index.description import IndexDescription
    from vidsearch.search import Moment, SearchResult

__all__ = ["is_hidden", "public_fields", "public_result", "uri_field", "ways_to_hidden"]


def uri_field(settings: Settings) -> str:
    """The field of a document that holds the URI of its video."""
    return f"{settings.index.field}.uri"


def is_hidden(name: str, settings: Settings, *, also: Collection[str] = ()) -> bool:
    """Whether clients may not know of a field, or of an object that it lies in.

    Args:
        name: of the field.
        settings: say what is hidden.
        also: what else is, as :func:`ways_to_hidden` gives it.
    """
    return name in also or any(f"{name}.".startswith(f"{each}.") for each in _hidden(settings))


def ways_to_hidden(index: IndexDescription, settings: Settings) -> frozenset[str]:
    """Fields of an index by which clients could learn of hidden ones.

    Those are aliases of them, by each of their names, and flattened objects, whose values are
    counted and found all alike.
    """
    return frozenset(
        name
        for field in walk(index.properties)
        if is_hidden(field.target or "", settings)
        or (
            field.type in OPEN_TYPES
            and any(each.startswith(f"{field.path}.") for each in _hidden(settings))
        )
        for name in names_of(index.properties, field.path)
    )


def _hidden(settings: Settings) -> tuple[str, ...]:
    return (uri_field(settings), *settings.web.hidden_fields)


def public_result(
    result: SearchResult,
    settings: Settings,
    *,
    thumbnail_url: Callable[[str, Moment], str | None],
) -> dict[str, Any]:
    """The result as plain JSON values, without URIs of the server.

    Args:
        result: of a search.
        settings: say what is hidden.
        thumbnail_url: the URL of a moment's picture, by the id of the video.
    """
    shown = result.to_dict()
    for hit, plain in zip(result.hits, shown["hits"], strict=True):
        plain["fields"] = public_fields(plain["fields"], settings)
        plain["highlights"] = {
            name: fragments
            for name, fragments in plain["highlights"].items()
            if not is_hidden(name, settings)
        }
        if plain["explanation"]:
            matched = plain["explanation"]["matched_fields"]
            plain["explanation"]["matched_fields"] = [
                name for name in matched if not is_hidden(name, settings)
            ]
        for moment, one in zip(hit.moments, plain["moments"], strict=True):
            one["thumbnail"] = thumbnail_url(hit.id, moment)
    return shown


def public_fields(
    fields: Mapping[str, Any], settings: Settings, *, uri: str | None = None
) -> dict[str, Any]:
    """The fields of a document, without hidden ones and copies of the URI of its video.

    Args:
        fields: of the document.
        settings: say what is hidden.
        uri: of the video; ``None`` takes it from the fields.
    """
    inner = fields.get(settings.index.field)
    if uri is None and isinstance(inner, Mapping):
        uri = inner.get("uri")
    kept = _kept(fields, "", uri, settings)
    if not kept.get(settings.index.field, True):  # nothing else of it was asked for
        del kept[settings.index.field]
    return kept


def _kept(value: Mapping[str, Any], path: str, uri: Any, settings: Settings) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, each in value.items():
        inner = f"{path}{name}"
        if is_hidden(inner, settings) or (uri is not None and each == uri):
            continue
        if isinstance(each, Mapping):
            each = _kept(each, f"{inner}.", uri, settings)
        elif isinstance(each, list):
            each = [
                _kept(item, f"{inner}.", uri, settings) if isinstance(item, Mapping) else item
                for item in each
                if uri is None or item != uri
            ]
        kept[name] = each
    return kept
