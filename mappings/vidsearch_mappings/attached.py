"""Bodies for an index that is the host's: our object in its mapping, and what lacks vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch_mappings.types import Json

__all__ = [
    "attached_mapping",
    "attached_settings",
    "has_uri",
    "holds_ours",
    "lacks_vectors",
    "without_meta",
]


_META = "vidsearch"
_PER_INDEX = frozenset({"number_of_shards", "number_of_replicas"})


def attached_mapping(
    body: Mapping[str, Any], live: Mapping[str, Any], *, field: str, meta: Mapping[str, Any]
) -> Json:
    """Body of ``PUT /<index>/_mapping`` that adds our object, and nothing else.

    Args:
        body: from :func:`~vidsearch_mappings.videos_index`.
        live: the mapping as it is; a ``PUT`` replaces ``_meta`` as a whole, so what the host keeps
            there is sent along.
        field: the object that holds our data.
        meta: from :func:`~vidsearch_mappings.index_meta`, with the host's field for URIs.
    """
    ours = body["mappings"]["properties"][field]
    return {"_meta": {**(live.get("_meta") or {}), **meta}, "properties": {field: ours}}


def attached_settings(body: Mapping[str, Any]) -> Json:
    """What has to stand in the settings of the host's index (below ``index``) for our vectors.

    Empty on Elasticsearch. On OpenSearch ``knn``, which can be said only when an index is created.
    """
    settings = body["settings"]["index"]
    return {name: value for name, value in settings.items() if name not in _PER_INDEX}


def without_meta(live: Mapping[str, Any]) -> Json:
    """Body of ``PUT /<index>/_mapping`` that takes our ``_meta`` out and keeps the host's."""
    meta = live.get("_meta") or {}
    return {"_meta": {name: value for name, value in meta.items() if name != _META}}


def holds_ours(field: str) -> Json:
    """A query for the documents that hold anything of ours."""
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
        field: the object that holds our data.
        uri_field: the host's field with the URI.
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
