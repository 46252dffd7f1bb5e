"""The indices that vidsearch keeps beside the videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from vidsearch_mappings.types import EngineKind, Json

__all__ = ["side_index"]


def side_index(
    kind: EngineKind,
    properties: Mapping[str, Any],
    *,
    shards: int,
    replicas: int,
    meta: Mapping[str, Any] | None = None,
) -> Json:
    """Settings and mapping of a side index, for ``PUT /<index>``.

    Strict, so that no field gets into the mapping by accident. Hidden, so that neither a search of
    ``*`` nor an index template for ``*`` reaches it.

    Args:
        kind: which engine; the body is the same for all of them.
        properties: of the mapping.
        shards: primary shards.
        replicas: replicas.
        meta: ``_meta`` of the mapping; ``None`` for none.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in get_args(EngineKind):
        raise ValueError(f"unknown engine {kind!r}")
    return {
        "settings": {
            "index": {"hidden": True, "number_of_shards": shards, "number_of_replicas": replicas}
        },
        "mappings": {
            "dynamic": "strict",
            **({} if meta is None else {"_meta": meta}),
            "properties": dict(properties),
        },
    }
