"""Request bodies of the vector leg and the keyword leg of a search.

Pure functions. They live beside the mappings, as both follow one layout. Only what is named for it
asks for a stored vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vidsearch_mappings.opensearch_knn import (
    all_of,
    compares_every_segment,
    has_nested,
    opensearch_knn,
    scored_by_script,
)
from vidsearch_mappings.types import EngineKind, Json, Level

__all__ = [
    "SEGMENT_HITS",
    "SEGMENT_FIELDS",
    "WITHOUT_DURATION",
    "Level",
    "counts_query",
    "compares_every_segment",
    "documents_query",
    "fields_query",
    "bringing_all",
    "has_nested",
    "highlighted",
    "highlighting_beginnings",
    "keyword_query",
    "scored_by_script",
    "segments_path",
    "stored_vectors_query",
    "vector_path",
    "vector_query",
    "with_candidates",
]

SEGMENT_HITS = "moments"
"""Name of the inner hits of a segment-level vector leg."""

_ANALYZED: Mapping[EngineKind, str] = {
    "elasticsearch": "max_analyzed_offset",
    "opensearch": "max_analyzer_offset",
}
"""How a request limits the characters that are analyzed for highlights."""

WITHOUT_DURATION = "without_duration"
"""Name of a count; see :func:`counts_query`."""

SEGMENT_FIELDS = ("start", "end", "thumbnail")
"""What the inner hits bring back of a segment."""


def segments_path(field: str) -> str:
    """Path of the nested segments under the vidsearch object ``field``."""
    return f"{field}.segments"


def vector_path(field: str, *, level: Level) -> str:
    """Path of the vector that a search of ``level`` compares with."""
    return f"{segments_path(field)}.vector" if level == "segment" else f"{field}.vector"


def vector_query(
    kind: EngineKind,
    *,
    field: str,
    vector: Sequence[float],
    level: Level,
    k: int,
    num_candidates: int,
    moments: int = 3,
    segment_vectors: bool = False,
    source: bool | Sequence[str] = True,
    oversample: float | None = None,
    filters: Sequence[Mapping[str, Any]] = (),
    segment_filters: Sequence[Mapping[str, Any]] = (),
    size: int | None = None,
    similarity: float | None = None,
    without_duration: bool = False,
) -> Json:
    """The ``k`` videos nearest to a unit vector.

    Args:
        field: the vidsearch object.
        vector: ``(dims,)`` floats of unit length.
        level: ``segment`` scores a video by its best segment and returns its best segments as
            inner hits named :data:`SEGMENT_HITS`; ``video`` compares with the video's mean vector.
        k: number of videos.
        num_candidates: candidates per shard; raised to ``k`` where smaller.
        moments: inner hits per video, best first; 0 for none.
        segment_vectors: the inner hits bring their vectors, for an engine that scores them with the
            quantised ones.
        source: bring the documents back, or these fields of theirs; without, ids and scores only.
        oversample: score this many times ``k`` candidates anew with the exact vectors; for
            quantised ones, see :func:`~vidsearch_mappings.vectors.oversample_of`. OpenSearch does
            it by the script ``knn_score`` of its k-NN plugin, as the lucene engine has no other
            way; the cluster must allow scripts.
        filters: clauses on the videos, all of which must match. They stand inside the kNN clause,
            so that ``k`` videos are found *among the matching ones*.
        segment_filters: clauses on fields of the segments, at level ``segment``: only segments
            that match all of them count. Elasticsearch takes them from 9.2 on. On OpenSearch, where
            a filter in the kNN clause picks videos and not segments, every matching segment is
            compared; see :func:`compares_every_segment`.
        size: how many of the ``k`` are brought back; all where ``None``.
        similarity: least cosine; Elasticsearch cuts there, OpenSearch has no such thing beside
            ``k``. Of quantised vectors it is the rough cosine that is cut by.
        without_duration: on OpenSearch at level ``segment``, ``filters`` find the videos without
            ``duration``, too, by script. Without it they are lost there.
    """
    path = vector_path(field, level=level)
    among_segments = level == "segment"
    inner = (
        _inner_hits(field, moments, vectors=segment_vectors) if among_segments and moments else None
    )
    candidates = max(k, num_candidates)
    page = _page(field, size=k if size is None else size, source=source)
    if kind == "opensearch":
        query = opensearch_knn(
            path,
            vector=vector,
            k=k,
            candidates=candidates,
            segments=segments_path(field) if among_segments else None,
            duration=f"{field}.duration",
            inner=inner,
            oversample=oversample,
            filters=filters,
            segment_filters=segment_filters,
            without_duration=without_duration,
        )
        return {**page, "query": query}
    knn: Json = {"field": path, "query_vector": list(vector), "k": k, "num_candidates": candidates}
    if similarity is not None:
        knn["similarity"] = similarity
    if oversample is not None:
        # It makes the scores of the inner hits exact as well, in some versions.
        knn["rescore_vector"] = {"oversample": oversample}
    if filters or segment_filters:
        # In a list, as a clause on segments must not share a `bool` with one on videos.
        every = [dict(each) for each in filters]
        if segment_filters:
            every.append(_on_segments(field, segment_filters))
        knn["filter"] = every if segment_filters and filters else all_of(every)
    if inner:
        knn["inner_hits"] = inner
    if inner and segment_vectors:
        # From 9.2 on vectors are left out of `fields` as well, unless the page asks for them.
        kept = page["_source"] or {"excludes": ["*"]}
        page["_source"] = {**kept, "exclude_vectors": False}
    return {**page, "knn": knn}


def with_candidates(body: Mapping[str, Any], candidates: int) -> Json:
    """A body of :func:`vector_query` for Elasticsearch with another number of candidates per shard,
    which is raised to ``k`` where smaller."""
    knn = body["knn"]
    return {**body, "knn": {**knn, "num_candidates": max(knn["k"], candidates)}}


def keyword_query(
    *,
    field: str,
    text: str,
    fields: Sequence[str],
    size: int,
    words: str | None = None,
    source: bool | Sequence[str] = True,
    filters: Sequence[Mapping[str, Any]] = (),
) -> Json:
    """The ``size`` videos whose own words match best, by BM25.

    A video is found by any of ``words``, or by the whole text as a phrase: one that shares nothing
    but words of every other text with it is not found, and one called "The Who" is.

    Args:
        field: the vidsearch object; it is not searched unless ``fields`` name it.
        text: any words.
        words: those of the text that say what is sought, all where ``None``; see
            :func:`~vidsearch_mappings.stop_words.without_stop_words`.
        fields: concrete fields with optional boosts, ``"title^2"``. None: nothing matches, where
            the engine would fall back to every field it has.
        size: number of videos.
        source: bring the documents back, or these fields of theirs; without, ids and scores only.
        filters: clauses on the videos, all of which must match.
    """
    query: Json = {"must": [_text_match(text, words, fields)]}
    if filters:
        query["filter"] = [dict(clause) for clause in filters]
    return {**_page(field, size=size, source=source), "query": {"bool": query}}


def documents_query(*, field: str, ids: Sequence[str], source: bool | Sequence[str] = True) -> Json:
    """The documents of some videos, or some fields of theirs, without their vectors."""
    return {**_page(field, size=len(ids), source=source), "query": _ids(ids)}


def bringing_all(kind: EngineKind, body: Mapping[str, Any], ids: Sequence[str]) -> Json:
    """A :func:`vector_query` among some videos that brings each of them.

    What it does not find among them, as it has no vector, comes with a score of 0. So one search
    brings documents and moments: an engine that keeps vectors in the documents parses them once.
    """
    these = {"filter": [_ids(ids)]}
    if kind == "elasticsearch":
        return {**body, "query": {"bool": these}}
    return {**body, "query": {"bool": {**these, "should": [body["query"]]}}}


def counts_query(field: str) -> Json:
    """The number of videos with a vector, as the total, and of their segments, as the ``doc_count``
    of an aggregation named :data:`SEGMENT_HITS`. One named :data:`WITHOUT_DURATION` counts videos
    that have no ``duration``."""
    return {
        "size": 0,
        "track_total_hits": True,
        "query": {"exists": {"field": vector_path(field, level="video")}},
        "aggs": {
            SEGMENT_HITS: {"nested": {"path": segments_path(field)}},
            WITHOUT_DURATION: {"missing": {"field": f"{field}.duration"}},
        },
    }


def fields_query(*, ids: Sequence[str], fields: Sequence[str]) -> Json:
    """Single fields of some videos, vectors too, without a ``_source``.

    Both engines give a vector as a flat list there, whatever keeps it out of the document.
    """
    page = _page("", size=len(ids), source=False)
    return {**page, "query": _ids(ids), "fields": list(fields)}


def stored_vectors_query(kind: EngineKind, *, field: str, id: str, segments: bool) -> Json:
    """The vector of one video, from whatever shard it is in; with ``segments`` theirs as well."""
    source: Json = {"includes": [field if segments else vector_path(field, level="video")]}
    if kind == "elasticsearch":
        source["exclude_vectors"] = False  # from 9.2 on they are left out unless asked for
    return {"query": _ids([id]), "size": 1, "_source": source}


def highlighted(
    body: Mapping[str, Any],
    *,
    text: str,
    fields: Sequence[str],
    words: str | None = None,
    tags: tuple[str, str] = ("<em>", "</em>"),
) -> Json:
    """A body whose hits bring fragments of the fields in which the keyword leg finds ``text``.

    One text that is longer than the index lets be analyzed ends the whole search with an error: see
    :func:`highlighting_beginnings`.

    Args:
        body: of any query; the fragments go by ``text`` and ``words`` alone.
        text: as in :func:`keyword_query`, and so are ``words``.
        fields: concrete fields, without boosts.
        tags: what stands before and after a word that was found; all else is escaped as HTML.
    """
    return {
        **body,
        "highlight": {
            "encoder": "html",
            "pre_tags": [tags[0]],
            "post_tags": [tags[1]],
            "highlight_query": _text_match(text, words, fields),
            "fields": {name: {} for name in fields},
        },
    }


def highlighting_beginnings(
    kind: EngineKind, body: Mapping[str, Any], *, characters: int
) -> dict[str, Any]:
    """The body, with fragments of the first characters of a text, where it asks for any.

    ``characters`` must be less than ``index.highlight.max_analyzed_offset`` of the index:
    OpenSearch refuses more, whatever the texts.
    """
    if "highlight" not in body:
        return {**body}
    return {**body, "highlight": {**body["highlight"], _ANALYZED[kind]: characters}}


def _text_match(text: str, words: str | None, fields: Sequence[str]) -> Json:
    if not fields:
        return {"match_none": {}}

    def match(query: str, **how: str) -> Json:
        multi_match = {"query": query, "fields": list(fields), "lenient": True, **how}
        return {"multi_match": multi_match}

    if words is None or words == text:
        return match(text)
    phrase = match(text, type="phrase")
    return {"bool": {"should": [match(words), phrase]}} if words else phrase


def _ids(ids: Sequence[str]) -> Json:
    return {"ids": {"values": list(ids)}}


def _page(field: str, *, size: int, source: bool | Sequence[str]) -> Json:
    wanted: Any = False
    if source is not False:
        wanted = {"excludes": [f"{field}.vector", segments_path(field)]}
        if source is not True:
            wanted["includes"] = list(source)
    return {"size": size, "track_total_hits": False, "_source": wanted}


def _inner_hits(field: str, size: int, *, vectors: bool) -> Json:
    path = segments_path(field)
    return {
        "name": SEGMENT_HITS,
        "size": size,
        "_source": False,
        "fields": [
            f"{path}.{name}" for name in (*SEGMENT_FIELDS, *(["vector"] if vectors else []))
        ],
    }


def _on_segments(field: str, filters: Sequence[Mapping[str, Any]]) -> Json:
    """Clauses on segments that Elasticsearch applies to segments.

    It decides from the clauses, too, and takes ``exists``, ``prefix``, ``wildcard`` and
    ``must_not`` for clauses on the videos: the search then finds nothing, or moments that do not
    match. One clause on a number of the segments settles it, if no other one must hold beside it.
    Seen on 9.5.3.
    """
    return {
        "bool": {
            "filter": [{"range": {f"{segments_path(field)}.start": {"gte": 0}}}],
            "should": [all_of(filters)],
            "minimum_should_match": 1,
        }
    }
