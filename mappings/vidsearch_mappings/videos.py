"""The body that creates a videos index."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from vidsearch_mappings.types import EngineKind, Json, Quantization
from vidsearch_mappings.vectors import EF_CONSTRUCTION, M, vector_field, vector_settings

__all__ = [
    "EXACT_IN_DOUBLE",
    "MAX_KEYWORD",
    "SUBTITLES",
    "TEMPLATES",
    "date_field",
    "text_field",
    "video_fields",
    "videos_index",
]

_SPACED_DATE = "uuuu-MM-dd HH:mm:ss[.SSSSSS][.SSS][XXX]"
"""As databases and Python's ``str`` write a date with its time."""
_DETECTED_DATES = (
    "strict_date",
    "strict_date_hour_minute",
    "strict_date_hour_minute_second",
    "strict_date_hour_minute_second_fraction",
    "strict_date_time",
    "strict_date_time_no_millis",
    _SPACED_DATE,
)
"""Only whole days, with or without a time: a text like ``2024`` or ``2024-05`` stays a text."""

SUBTITLES = "subtitles"
"""What is said in the whole video; in the vidsearch object, and open to the keyword leg."""

EXACT_IN_DOUBLE = 2**53
"""Up to here a ``double`` keeps every whole number."""

MAX_KEYWORD = 8191
"""Characters of the longest keyword that is surely indexed; a signed URI can be longer."""


def videos_index(
    kind: EngineKind,
    *,
    dims: int,
    field: str,
    meta: Mapping[str, Any],
    quantization: Quantization,
    shards: int,
    replicas: int,
    m: int = M,
    ef_construction: int = EF_CONSTRUCTION,
    version: Sequence[int] | None = None,
    own: Mapping[str, Any] | None = None,
) -> Json:
    """Settings and mapping of a managed videos index, for ``PUT /<index>``.

    The user's fields are at the top level. What ``own`` does not map is mapped dynamically: numbers
    as ``double``, so that a first whole number does not cut later ones; ISO dates as ``date``;
    other strings as text with a ``.keyword`` subfield. The object ``field`` is strict: a document
    of another layout is rejected, not silently indexed in part.

    ===============  ====================================  ========================================
    quantization     Elasticsearch (>= 8.19)               OpenSearch (>= 2.19)
    ===============  ====================================  ========================================
    ``float``        ``hnsw``                              lucene ``hnsw``
    ``int8``         ``int8_hnsw``                         lucene ``hnsw``, 7 bit ``sq`` encoder
    ``int4``         ``int4_hnsw``, even dims              -
    ``fp16``         -                                     faiss ``hnsw``, 16 bit ``sq`` encoder
    ``binary``       ``bbq_hnsw``, dims above 64           faiss ``hnsw``, 32x in ``mode`` on_disk
    ``disk``         ``bbq_disk``, dims above 64, licence  the same as ``binary``
    ``flat``         ``flat``: exact, every vector is      faiss ``hnsw`` whose graph is never built
                     compared                              (``approximate_threshold: -1``): exact
    ``int8_flat``    ``int8_flat``                         -
    ``int4_flat``    ``int4_flat``, even dims              -
    ``binary_flat``  ``bbq_flat``, dims above 64           -
    ===============  ====================================  ========================================

    All compare by cosine and score ``(1 + cos) / 2``. With a quantised preset the scores are those
    of the quantised vectors, unless the query asks for exact ones, as vidsearch does. (OpenSearch's
    lucene engine takes a script for it; without, ``int8`` was seen to be off by up to 0.015 at 512
    dims on 2.19, and by far more at few dims.) The mapping does not touch ``_source``:
    Elasticsearch >= 9.2 and OpenSearch >= 3.0 keep vectors out of it by themselves.

    Args:
        kind: which engine.
        dims: length of a vector.
        field: name of the vidsearch object.
        meta: the ``_meta``, from :func:`~vidsearch_mappings.index_meta`.
        quantization: how the engine keeps vectors.
        m: see :func:`~vidsearch_mappings.vectors.vector_field`; and ``ef_construction``.
        shards: primary shards.
        replicas: replicas.
        version: of the engine; ``None`` for the oldest that is supported.
        own: mappings of the user's own fields, from :func:`~vidsearch_mappings.own.own_mapping`.

    Raises:
        ValueError: see :func:`~vidsearch_mappings.vectors.vector_field`.
    """
    vector = partial(
        vector_field,
        kind,
        dims=dims,
        quantization=quantization,
        m=m,
        ef_construction=ef_construction,
        version=version,
    )
    video = _video(vector)
    settings: Json = {
        "number_of_shards": shards,
        "number_of_replicas": replicas,
        **vector_settings(kind, quantization, version),
    }
    own = own or {}
    templates = [*own.get("dynamic_templates", ()), *_templates()]
    fields: Json = {
        "title": text_field(),
        "description": text_field(),
        "tags": {"type": "keyword"},
        **own.get("properties", {}),
    }
    return {
        "settings": {"index": settings},
        "mappings": {
            "_meta": dict(meta),
            "dynamic": True,
            "date_detection": True,
            "dynamic_date_formats": list(_DETECTED_DATES),
            "dynamic_templates": templates,
            "properties": {**fields, field: video},
        },
    }


def video_fields() -> frozenset[str]:
    """Names of the fields of the vidsearch object."""
    return frozenset(_video(dict)["properties"])


def text_field() -> Json:
    """How a text of the user is mapped: words, and below ``.keyword`` the whole value."""
    return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}


def date_field() -> Json:
    """How a date of the user is mapped, with a time and a zone or without."""
    return {"type": "date", "format": f"strict_date_optional_time||{_SPACED_DATE}"}


def _templates() -> list[Json]:
    return [
        {name: {"match_mapping_type": name[:-1], "mapping": mapping}}
        for name, mapping in _MAPPED_AS.items()
    ]


_MAPPED_AS: dict[str, Json] = {
    "strings": text_field(),
    "longs": {"type": "double"},
    "doubles": {"type": "double"},
    "dates": date_field(),
}
TEMPLATES = frozenset(_MAPPED_AS)
"""Names of the dynamic templates of a managed index, but for the user's own."""


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
