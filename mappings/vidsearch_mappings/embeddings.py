"""The index of the embedding store: files in parts."""

from __future__ import annotations

from vidsearch_mappings.side_index import side_index
from vidsearch_mappings.types import EngineKind, Json

__all__ = ["embeddings_index"]

_PROPERTIES: Json = {
    "key": {"type": "keyword"},
    "part": {"type": "integer"},
    "parts": {"type": "integer", "index": False, "doc_values": False},
    "bytes": {"type": "long", "index": False},
    "checksum": {"type": "keyword", "index": False, "doc_values": False},
    "written": {"type": "date", "format": "strict_date_time||epoch_millis"},
    "data": {"type": "binary"},
}


def embeddings_index(kind: EngineKind, *, shards: int, replicas: int) -> Json:
    """Settings and mapping of the embedding store, for ``PUT /<index>``: a document per part.

    Nothing but the key is searched. The codec is the default one: `best_compression`, which would
    take back what base64 adds, needs a native library that not every node has. Args and errors are
    those of :func:`side_index`.
    """
    return side_index(kind, _PROPERTIES, shards=shards, replicas=replicas)
