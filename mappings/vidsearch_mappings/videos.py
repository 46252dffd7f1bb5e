"""The body that creates a videos index."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

__all__ = ["MAX_KEYWORD", "SUBTITLES", "Kind", "Quantization", "videos_index"]

Kind = Literal["elasticsearch", "opensearch"]
Quantization = Literal["float", "int8", "flat"]
Json = dict[str, Any]

# Said explicitly, although they are today's defaults: what an engine takes where nothing is said
# has changed between minor versions, and depends on the licence.
_M = 16
_EF_CONSTRUCTION = 100

SUBTITLES = "subtitles"
"""What is said in the whole video; in our object, and open to the keyword leg."""

MAX_KEYWORD = 8191
"""Characters of the longest keyword that is surely indexed; a signed URI can be longer."""


def videos_index(
    kind: Kind,
    *,
    dims: int,
    field: str,
    meta: Mapping[str, Any],
    quantization: Quantization,
    shards: int,
    replicas: int,
) -> Json:
    """Settings and mapping of a managed videos index, for ``PUT /<index>``.

    The host's fields stand on top and are mapped as they come: strings as text with a ``.keyword``
    beside it, never guessed to be dates. Our object ``field`` is strict, so that a document of
    another layout is rejected, not silently half-indexed.

    ============  ==================================  =======================================
    quantization  Elasticsearch (>= 8.19)             OpenSearch (>= 2.19)
    ============  ==================================  =======================================
    ``float``     ``hnsw``                            lucene ``hnsw``
    ``int8``      ``int8_hnsw``                       lucene ``hnsw`` with the 7 bit ``sq``
                                                      encoder (what it calls 4x compression)
    ``flat``      ``flat``: exact, every vector is    faiss ``hnsw`` whose graph is never built
                  compared                            (``approximate_threshold: -1``): exact
    ============  ==================================  =======================================

    All compare by cosine and score ``(1 + cos) / 2``. With ``int8`` the scores are those of the
    quantised vectors: on OpenSearch 2.19 a cosine was seen to be off by up to 0.015 at 512 dims,
    and by far more at few dims; a query on Elasticsearch can rescore, and ours does, which makes
    it exact. The mapping does not touch ``_source``: Elasticsearch >= 9.2 and OpenSearch >= 3.0
    keep vectors out of it by themselves.

    Args:
        kind: which engine.
        dims: length of a vector.
        field: the object that holds our data.
        meta: the ``_meta``, from :func:`~vidsearch_mappings.index_meta`.
        quantization: how the engine keeps vectors.
        shards: primary shards.
        replicas: replicas.

    Raises:
        ValueError: an unknown kind or quantisation.
    """
    if quantization not in get_args(Quantization):
        raise ValueError(f"unknown quantization {quantization!r}")
    if kind not in get_args(Kind):
        raise ValueError(f"unknown engine {kind!r}")
    settings: Json = {"number_of_shards": shards, "number_of_replicas": replicas}
    if kind == "opensearch":
        settings["knn"] = True
        if quantization == "flat":
            settings["knn.advanced.approximate_threshold"] = -1
    vector = _dense_vector if kind == "elasticsearch" else _knn_vector
    return {
        "settings": {"index": settings},
        "mappings": {
            "_meta": dict(meta),
            "dynamic": True,
            "date_detection": False,
            "dynamic_templates": [
                {"strings": {"match_mapping_type": "string", "mapping": _text_and_keyword()}}
            ],
            "properties": {
                "title": _text_and_keyword(),
                "description": _text_and_keyword(),
                "tags": {"type": "keyword"},
                field: _video(lambda: vector(dims, quantization)),
            },
        },
    }


def _video(vector: Callable[[], Json]) -> Json:
    return {
        "dynamic": "strict",
        "properties": {
            "uri": {"type": "keyword", "ignore_above": MAX_KEYWORD},
            "model": {"type": "keyword"},
            "fingerprint": {"type": "keyword"},
            "embedded_at": {"type": "date"},
            "duration": {"type": "float"},
            "width": {"type": "integer"},
            "height": {"type": "integer"},
            SUBTITLES: {"type": "text"},
            "vector": vector(),
            "segments": {
                "type": "nested",
                "dynamic": "strict",
                "properties": {
                    "start": {"type": "float"},
                    "end": {"type": "float"},
                    "vector": vector(),
                    "text": {"type": "text"},
                    "thumbnail": {"type": "keyword", "index": False, "doc_values": False},
                },
            },
        },
    }


def _text_and_keyword() -> Json:
    return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}


def _dense_vector(dims: int, quantization: Quantization) -> Json:
    graph = {"m": _M, "ef_construction": _EF_CONSTRUCTION}
    options: dict[Quantization, Json] = {
        "float": {"type": "hnsw", **graph},
        "int8": {"type": "int8_hnsw", **graph},
        "flat": {"type": "flat"},
    }
    return {
        "type": "dense_vector",
        "dims": dims,
        "index": True,
        "similarity": "cosine",
        "index_options": options[quantization],
    }


def _knn_vector(dims: int, quantization: Quantization) -> Json:
    parameters: Json = {"m": _M, "ef_construction": _EF_CONSTRUCTION}
    if quantization == "int8":
        parameters["encoder"] = {"name": "sq", "parameters": {"bits": 7}}
    return {
        "type": "knn_vector",
        "dimension": dims,
        "method": {
            "name": "hnsw",
            # Only faiss takes the threshold of `flat`; its native library is not needed for it.
            "engine": "faiss" if quantization == "flat" else "lucene",
            "space_type": "cosinesimil",
            "parameters": parameters,
        },
    }
