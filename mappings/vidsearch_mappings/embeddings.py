"""The index of the embedding store: files in parts."""

from __future__ import annotations

from typing import get_args

from vidsearch_mappings.types import EngineKind, Json

__all__ = ["embeddings_index"]


def embeddings_index(kind: EngineKind, *, shards: int, replicas: int) -> Json:
    """Settings and mapping of the embedding store, for ``PUT /<index>``: a document per part.

    Nothing but the key is searched. The codec is the default one: `best_compression`, which would
    take back what base64 adds, needs a native library that not every node has.

    Args:
        kind: which engine; the body is the same for all of them.
        shards: primary shards.
        replicas: replicas.

    Raises:
        ValueError: an unknown kind.
    """
    if kind not in get_args(EngineKind):
        raise ValueError(f"unknown engine {kind!r}")
    return {
        "settings": {
            "index": {
                "hidden": True,
                "number_of_shards": shards,
                "number_of_replicas": replicas,
            }
        },
        "mappings": {
            "dynamic": "strict",
            "properties": {
                "key": {"type": "keyword"},
                "part": {"type": "integer"},
                "parts": {"type": "integer", "index": False, "doc_values": False},
                "bytes": {"type": "long", "index": False},
                "checksum": {"type": "keyword", "index": False, "doc_values": False},
                "written": {"type": "date", "format": "strict_date_time||epoch_millis"},
                "data": {"type": "binary"},
            },
        },
    }
