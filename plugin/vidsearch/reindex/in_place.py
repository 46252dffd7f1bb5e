"""Changes of an attached index that the engine makes without another index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from vidsearch.engines import Json
from vidsearch.index.videos_index import VideosIndex
from vidsearch_mappings.attached import attached_mapping
from vidsearch_mappings.diff import Change, diff_index, in_place

__all__ = ["InPlace", "change_in_place"]

_SEGMENTS = "mappings._meta.vidsearch.segment_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class InPlace:
    """Bodies that make the changes."""

    mapping: Json
    """For ``PUT /<index>/_mapping``; may be empty."""
    settings: Json
    """For ``PUT /<index>/_settings``, below ``index``; may be empty."""
    changes: tuple[Change, ...]
    segments: bool
    """Whether documents have segments of the former length until workers have made them anew."""


def change_in_place(
    source: VideosIndex, body: Json, *, given: Mapping[str, Any], live: Json
) -> InPlace | None:
    """How an attached index gets what ``given`` says; ``None`` where only another index has it.

    The rule: the number of replicas; the length of segments, as each document may have segments of
    its own length; and of the vectors what :func:`vidsearch_mappings.diff.diff_index` says. That is
    on Elasticsearch a type of ``index_options`` with shorter vectors, a greater ``m``, and any
    ``ef_construction``, and on OpenSearch nothing.

    Args:
        source: the index.
        body: that the changes ask for.
        given: names of the changes, with their values.
        live: its settings below ``index``.
    """
    if "shards" in given and int(live["number_of_shards"]) != given["shards"]:
        return None
    settings: Json = {}
    if "replicas" in given:
        settings["number_of_replicas"] = given["replicas"]
    now = {"settings": {"index": live}, "mappings": source.engine.mapping(source.name)}
    wanted = {
        "settings": {"index": settings},
        "mappings": attached_mapping(body, {}, field=source.field),
    }
    changes = tuple(
        replace(change, how="in place") if change.path == _SEGMENTS else change
        for change in diff_index(now, wanted)
    )
    if any(change.how != "in place" for change in changes):
        return None
    mapping, changed = in_place(now, wanted, changes)
    return InPlace(
        mapping=mapping,
        settings=changed,
        changes=changes,
        segments=any(change.path == _SEGMENTS for change in changes),
    )
