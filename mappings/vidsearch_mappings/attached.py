"""Bodies for an attached index: the vidsearch object in its mapping, and what lacks vectors.

How an index is attached stands in its ``_meta``, and in that of the registry as well: an
application may move its alias to an index that knows nothing of vidsearch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch_mappings.types import Json
from vidsearch_mappings.vectors import SEARCH_SETTINGS

__all__ = [
    "attached_mapping",
    "attached_settings",
    "attachment_in",
    "has_uri",
    "has_vidsearch_object",
    "lacks_vectors",
    "with_attachment",
    "without_meta",
]


_META = "vidsearch"
_ATTACHED = "attached"
_PER_INDEX = frozenset({"number_of_shards", "number_of_replicas", *SEARCH_SETTINGS})


def attached_mapping(body: Mapping[str, Any], live: Mapping[str, Any], *, field: str) -> Json:
    """Body of ``PUT /<index>/_mapping`` that adds the vidsearch object, and nothing else.

    Args:
        body: from :func:`~vidsearch_mappings.videos_index`; its ``_meta`` names the user's field.
        live: the mapping as it is; a ``PUT`` replaces ``_meta`` as a whole, so what the user keeps
            there is sent along.
        field: name of the vidsearch object.
    """
    whole = body["mappings"]
    meta = {**(live.get("_meta") or {}), **whole["_meta"]}
    return {"_meta": meta, "properties": {field: whole["properties"][field]}}


def attached_settings(body: Mapping[str, Any]) -> Json:
    """What the user's index needs in its settings (below ``index``) for the vectors.

    Empty on Elasticsearch. On OpenSearch ``knn``, which can be said only when an index is created.
    """
    settings = body["settings"]["index"]
    return {name: value for name, value in settings.items() if name not in _PER_INDEX}


def without_meta(live: Mapping[str, Any]) -> Json:
    """Body of ``PUT /<index>/_mapping`` that takes out ``_meta.vidsearch`` and keeps the rest."""
    meta = live.get("_meta") or {}
    return {"_meta": {name: value for name, value in meta.items() if name != _META}}


def with_attachment(registry: Mapping[str, Any], index: Mapping[str, Any]) -> Json:
    """Body of ``PUT /<registry>/_mapping`` that keeps how an index is attached.

    Args:
        registry: its mapping as it is.
        index: the mapping of the attached index.
    """
    meta = registry.get("_meta") or {}
    said = {**(meta.get(_META) or {}), _ATTACHED: index["_meta"][_META]}
    return {"_meta": {**meta, _META: said}}


def attachment_in(registry: Mapping[str, Any]) -> Json | None:
    """The ``_meta`` of the index that was attached last, as its registry's mapping keeps it."""
    said = (registry.get("_meta") or {}).get(_META) or {}
    return {_META: said[_ATTACHED]} if isinstance(said.get(_ATTACHED), Mapping) else None


def has_vidsearch_object(field: str) -> Json:
    """A query for the documents with anything in the vidsearch object."""
    names = ("fingerprint", "model", "uri")
    return {
        "bool": {
            "should": [{"exists": {"field": f"{field}.{name}"}} for name in names],
            "minimum_should_match": 1,
        }
    }


def lacks_vectors(field: str, *, uri_field: str, model: str) -> Json:
    """A query for the documents that have a video's URI, but no vector of ``model``.

    The engine answers it from its indices alone: documents that are done cost nothing.

    Args:
        field: name of the vidsearch object.
        uri_field: the user's field with the URI.
        model: what ``<field>.model`` says where the vector is of the right model.
    """
    done = {
        "bool": {
            "filter": [
                {"exists": {"field": f"{field}.vector"}},
                {"term": {f"{field}.model": model}},
            ]
        }
    }
    return {"bool": {"filter": [has_uri(uri_field)], "must_not": [done]}}


def has_uri(uri_field: str) -> Json:
    """A query for the documents with a URI, also one too long for the keyword that it stands in."""
    return {
        "bool": {
            "should": [{"exists": {"field": uri_field}}, {"term": {"_ignored": uri_field}}],
            "minimum_should_match": 1,
        }
    }
