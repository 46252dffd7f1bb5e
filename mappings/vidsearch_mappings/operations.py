"""The index of operations: when the last sweep was, and what is paused."""

from __future__ import annotations

from vidsearch_mappings.side_index import side_index
from vidsearch_mappings.types import EngineKind, Json

__all__ = ["operations_index"]

_PROPERTIES: Json = {
    "kind": {"type": "keyword"},
    "value": {"type": "object", "enabled": False},
}


def operations_index(kind: EngineKind, *, replicas: int) -> Json:
    """Settings and mapping, for ``PUT /<index>``: a few small documents of any shape.

    Args and errors are those of :func:`side_index`.
    """
    return side_index(kind, _PROPERTIES, shards=1, replicas=replicas)
