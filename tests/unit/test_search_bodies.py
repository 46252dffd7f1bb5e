"""The bodies that are sent, against golden JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vidsearch_mappings.queries import documents_query, keyword_query, vector_query

GOLDEN = Path(__file__).parent / "golden"

SPORT = {"term": {"tags": "sport"}}
LATE = {"range": {"video.segments.start": {"gte": 60}}}
RECENT = {"range": {"year": {"gte": 2020}}}
COMMON: dict[str, Any] = {
    "field": "video",
    "vector": (0.6, 0.0, 0.8),
    "k": 20,
    "num_candidates": 200,
}

BODIES = {
    "vector_elasticsearch_segment": vector_query(
        "elasticsearch", level="segment", filters=[SPORT], **COMMON
    ),
    "vector_elasticsearch_video": vector_query(
        "elasticsearch", level="video", filters=[SPORT, RECENT], oversample=1.0, **COMMON
    ),
    "vector_elasticsearch_ids_only": vector_query(
        "elasticsearch", level="segment", moments=0, source=False, **COMMON
    ),
    "vector_opensearch_segment": vector_query(
        "opensearch", level="segment", filters=[SPORT], **COMMON
    ),
    "vector_opensearch_video": vector_query(
        "opensearch", level="video", filters=[SPORT, RECENT], **COMMON
    ),
    "vector_opensearch_ids_only": vector_query(
        "opensearch", level="segment", moments=0, source=False, **COMMON
    ),
    "vector_elasticsearch_segment_filters": vector_query(
        "elasticsearch", level="segment", filters=[SPORT], segment_filters=[LATE], **COMMON
    ),
    "vector_opensearch_segment_filters": vector_query(
        "opensearch", level="segment", filters=[SPORT], segment_filters=[LATE], **COMMON
    ),
    "vector_opensearch_segment_rescored": vector_query(
        "opensearch", level="segment", filters=[SPORT], oversample=1.5, **COMMON
    ),
    "vector_opensearch_video_rescored": vector_query(
        "opensearch", level="video", filters=[SPORT], oversample=1.0, **COMMON
    ),
    "keyword": keyword_query(
        field="video", text="dog on beach", fields=("title^2", "tags"), size=10, filters=[SPORT]
    ),
    "keyword_without_fields": keyword_query(field="video", text="dog", fields=(), size=10),
    "documents": documents_query(field="clip", ids=["a", "b"]),
}


@pytest.mark.parametrize("name", BODIES)
def test_body_is_the_golden_one(name: str) -> None:
    golden = json.loads((GOLDEN / f"search_{name}.json").read_text(encoding="utf-8"))
    assert BODIES[name] == golden


def test_every_golden_body_is_compared() -> None:
    assert {path.stem for path in GOLDEN.glob("search_*.json")} == {f"search_{n}" for n in BODIES}


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_candidates_are_never_fewer_than_k(kind: Any) -> None:
    body = vector_query(
        kind, field="video", vector=(1.0,), level="video", k=50, num_candidates=10, moments=0
    )
    assert '"num_candidates": 50' in json.dumps(body) or '"ef_search": 50' in json.dumps(body)


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_another_field_name_goes_everywhere(kind: Any) -> None:
    body = vector_query(
        kind,
        field="clip",
        vector=(1.0,),
        level="segment",
        k=1,
        num_candidates=1,
        filters=[SPORT],
    )
    assert "video" not in json.dumps(body)
    assert "clip.segments.vector" in json.dumps(body)


def test_filters_of_the_caller_are_not_changed() -> None:
    mine = {"term": {"tags": "sport"}}
    body = keyword_query(field="video", text="x", fields=("title",), size=1, filters=[mine])
    body["query"]["bool"]["filter"][0]["extra"] = 1
    assert mine == {"term": {"tags": "sport"}}
