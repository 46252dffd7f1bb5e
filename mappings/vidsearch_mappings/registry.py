"""The body that creates the registry index."""

from __future__ import annotations

from typing import Any, get_args

from vidsearch_mappings.types import EngineKind
from vidsearch_mappings.videos import MAX_KEYWORD

__all__ = ["registry_index"]


def registry_index(kind: EngineKind, *, shards: int, replicas: int) -> dict[str, Any]:
    """Settings and mapping of the registry, for ``PUT /<index>``: one document per video.

    Strict, so that a field of another version is refused. What is only kept and never searched
    (the host's fields, seconds per stage) is not indexed, whatever it holds.

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
        "settings": {"index": {"number_of_shards": shards, "number_of_replicas": replicas}},
        "mappings": {
            "dynamic": "strict",
            "properties": {
                "uri": {"type": "keyword", "ignore_above": MAX_KEYWORD},
                "routing": {"type": "keyword"},
                "fields": {"type": "object", "enabled": False},
                "state": {"type": "keyword"},
                "attempts": {"type": "integer"},
                "owner": {"type": "keyword"},
                "lease_until": _date(),
                "fingerprint": {"type": "keyword"},
                "error": {
                    "properties": {
                        "type": {"type": "keyword"},
                        "stage": {"type": "keyword"},
                        "message": {"type": "text"},
                    }
                },
                "frames": {"type": "integer"},
                "damaged": {"type": "integer"},
                "segments": {"type": "integer"},
                "duration": {"type": "float"},
                "seconds": {"type": "object", "enabled": False},
                "registered_at": _date(),
                "updated_at": _date(),
                "due_at": _date(),
                "indexed_at": _date(),
            },
        },
    }


def _date() -> dict[str, Any]:
    return {"type": "date", "format": "strict_date_time||epoch_millis"}
