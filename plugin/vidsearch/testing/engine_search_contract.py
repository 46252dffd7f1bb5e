"""The half of the engine contract that is about searches; see :mod:`.engine_contract`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vidsearch.engines import Engine, Json, Write
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.testing.small_index import small_index
from vidsearch_mappings import vector_query
from vidsearch_mappings.facets import (
    counted,
    facet_aggs,
    sorted_by,
    with_doc_values,
    without_hits,
    without_ids,
)
from vidsearch_mappings.queries import Level

__all__ = ["EngineSearchContract"]

_DIMS = 16
_STEP = math.pi / 18
_AXES = [[(-1.0) ** (d // step) / 4 for d in range(_DIMS)] for step in (1, 2)]
"""Two directions at right angles, with a part in every dimension."""


def _at(step: float) -> list[float]:
    """The unit vector at so many steps of ten degrees on a quarter of a circle."""
    cos, sin = math.cos(step * _STEP), math.sin(step * _STEP)
    return [cos * x + sin * y for x, y in zip(*_AXES, strict=True)]


def _video(step: int) -> Json:
    segments = [
        {"start": 10.0 * n, "end": 10.0 * (n + 1), "vector": vector}
        for n, vector in enumerate([_at(step), [-x for x in _at(step)]])
    ]
    tag = "odd" if step % 2 else "even"
    return {"tags": [tag], "video": {"vector": _at(step), "segments": segments}}


def _nearest(
    engine: Engine,
    level: Level,
    *,
    at: float,
    k: int,
    filters: Sequence[Mapping[str, Any]] = (),
) -> Json:
    return vector_query(
        engine.kind,
        field="video",
        vector=_at(at),
        level=level,
        k=k,
        num_candidates=50,
        filters=filters,
    )


def _ids(response: Json) -> list[str]:
    return [hit["_id"] for hit in response["hits"]["hits"]]


class EngineSearchContract:
    """Searches, counts, scans, vectors."""

    # -- searches

    @pytest.fixture
    def index(self, engine: Engine, index_name: str) -> str:
        """An empty videos index."""
        engine.create_index(index_name, small_index(engine))
        return index_name

    @pytest.fixture
    def filled(self, engine: Engine, index: str) -> str:
        """Twenty-five documents, ``00`` to ``24``; every fifth has the tag ``five``."""
        writes = [
            Write("index", f"{n:02}", {"n": n, "tags": ["five"] if n % 5 == 0 else []})
            for n in range(25)
        ]
        engine.bulk(index, writes)
        engine.refresh(index)
        return index

    def test_search_filters_sorts_and_selects_fields(self, engine: Engine, filled: str) -> None:
        body = {
            "query": {
                "bool": {"filter": [{"term": {"tags": "five"}}, {"range": {"n": {"lt": 20}}}]}
            },
            "sort": [{"n": "desc"}],
            "size": 3,
            "_source": ["n"],
        }
        response = engine.search(filled, body)
        assert _ids(response) == ["15", "10", "05"]
        assert [hit["_source"] for hit in response["hits"]["hits"]] == [
            {"n": 15},
            {"n": 10},
            {"n": 5},
        ]
        assert response["hits"]["total"] == {"value": 4, "relation": "eq"}

    def test_a_range_from_now_gives_the_time_of_the_engine(
        self, engine: Engine, index_name: str
    ) -> None:
        engine.create_index(index_name, {"mappings": {"properties": {"at": {"type": "date"}}}})
        ranges = [{"from": "now"}]
        body = {"size": 0, "aggs": {"now": {"date_range": {"field": "at", "ranges": ranges}}}}
        before = time.time()
        response = engine.search(index_name, body)
        now = response["aggregations"]["now"]["buckets"][0]["from"] / 1000
        # A node on this machine; it may look at the clock a little less often.
        assert before - 1 < now < time.time() + 0.1

    def test_a_malformed_search_is_rejected(self, engine: Engine, filled: str) -> None:
        with pytest.raises(RequestRejectedError, match="no_such_query"):
            engine.search(filled, {"query": {"no_such_query": {}}})
        with pytest.raises(RequestRejectedError, match="no_such_key"):
            engine.search(filled, {"no_such_key": 1})

    def test_msearch_answers_in_order(self, engine: Engine, filled: str) -> None:
        bodies = [{"query": {"term": {"n": n}}} for n in (3, 1, 2)]
        answers = engine.msearch(filled, bodies)
        assert [_ids(answer) for answer in answers] == [["03"], ["01"], ["02"]]
        assert engine.msearch(filled, []) == []

    def test_msearch_takes_the_search_type_of_a_body(self, engine: Engine, filled: str) -> None:
        body = {"query": {"term": {"n": 3}}, "search_type": "dfs_query_then_fetch"}
        answers = engine.msearch(filled, [body, {"query": {"term": {"n": 1}}}])
        assert [_ids(answer) for answer in answers] == [["03"], ["01"]]
        assert body["search_type"] == "dfs_query_then_fetch"

    def test_a_field_is_read_without_the_document(self, engine: Engine, filled: str) -> None:
        body = {"query": {"term": {"n": 3}}, "_source": False, "fields": ["n"]}
        (hit,) = engine.search(filled, body)["hits"]["hits"]
        assert (hit["fields"], "_source" in hit) == ({"n": [3]}, False)

    def test_msearch_raises_what_one_of_them_would(self, engine: Engine, filled: str) -> None:
        with pytest.raises(RequestRejectedError, match="no_such_query"):
            engine.msearch(filled, [{}, {"query": {"no_such_query": {}}}, {}])

    def test_count_gives_the_number_of_matches(self, engine: Engine, filled: str) -> None:
        assert engine.count(filled) == 25
        assert engine.count(filled, {"term": {"tags": "five"}}) == 5
        assert engine.count(filled, {"term": {"tags": "six"}}) == 0

    def test_aggregations_count_and_show_what_they_hold(self, engine: Engine, filled: str) -> None:
        last = {"top_hits": {"size": 1, "sort": [{"n": {"order": "desc"}}], "_source": ["n"]}}
        late = {"range": {"n": {"gte": 20}}}
        body = {
            "size": 0,
            "query": {"range": {"n": {"gte": 10}}},
            "aggs": {
                "tags": {"terms": {"field": "tags", "size": 5}, "aggs": {"last": last}},
                "late": {"filter": late, "aggs": {"all": {"missing": {"field": "tags"}}}},
                "parts": {"filters": {"filters": {"late": late, "all": {"match_all": {}}}}},
            },
        }
        found = engine.search(filled, body)["aggregations"]
        (bucket,) = found["tags"]["buckets"]
        assert (bucket["key"], bucket["doc_count"]) == ("five", 3)
        assert [hit["_source"] for hit in bucket["last"]["hits"]["hits"]] == [{"n": 20}]
        assert found["late"] == {"doc_count": 5, "all": {"doc_count": 4}}
        parts = {name: each["doc_count"] for name, each in found["parts"]["buckets"].items()}
        assert parts == {"late": 5, "all": 15}

    @pytest.fixture
    def valued(self, engine: Engine, index_name: str) -> str:
        """Documents with values of every kind that are counted and sorted by; ``d`` has none."""
        kinds = {"tags": "keyword", "live": "boolean", "stars": "float", "day": "date"}
        body = small_index(engine)
        body["mappings"]["properties"] |= {name: {"type": kind} for name, kind in kinds.items()}
        engine.create_index(index_name, body)
        rows = {
            "a": {"tags": ["x", "y"], "live": True, "stars": [1.5, 4.5], "day": "2024-02-29"},
            "b": {"tags": "y", "live": False, "stars": 2.5, "day": "2024-12-31T23:00:00Z"},
            "c": {"tags": ["z", "x"], "live": True, "stars": 3.5, "day": "2023-12-31"},
            "d": {},
        }
        engine.bulk(index_name, [Write("index", id, row) for id, row in rows.items()])
        engine.refresh(index_name)
        return index_name

    def test_values_are_read_without_the_document(self, engine: Engine, valued: str) -> None:
        fields = [{"field": name} for name in ("tags", "live", "stars")]
        fields.append({"field": "day", "format": "epoch_millis"})
        body = {"_source": False, "docvalue_fields": fields}
        found = {hit["_id"]: hit for hit in engine.search(valued, body)["hits"]["hits"]}
        day = 1709164800000  # 2024-02-29
        assert found["a"]["fields"] == {
            "tags": ["x", "y"],
            "live": [True],
            "stars": [1.5, 4.5],
            "day": [str(day)],
        }
        assert not found["d"].get("fields")
        assert "_source" not in found["a"]

    def test_values_are_read_without_the_ids(self, engine: Engine, valued: str) -> None:
        body = without_ids(with_doc_values({"_source": False}, [{"field": "stars"}]))
        hits = engine.search(valued, body)["hits"]["hits"]
        assert not any("_id" in hit for hit in hits)
        assert {hit["_index"] for hit in hits} == {valued}
        values = [hit["fields"]["stars"] for hit in hits if hit.get("fields")]
        assert sorted(values) == [[1.5, 4.5], [2.5], [3.5]]

    @pytest.mark.parametrize(
        ("name", "descending", "ids"),
        [
            ("stars", False, "abcd"),  # the least of several
            ("stars", True, "acbd"),  # the greatest
            ("day", True, "bacd"),
            ("tags", True, "cabd"),
        ],
    )
    def test_hits_are_sorted_by_a_value_and_those_without_are_last(
        self, engine: Engine, valued: str, name: str, descending: bool, ids: str
    ) -> None:
        body = sorted_by({"size": 10}, path=name, descending=descending)
        hits = engine.search(valued, body)["hits"]["hits"]
        assert "".join(hit["_id"] for hit in hits) == ids
        assert {hit["_score"] for hit in hits} == {1.0}

    def test_values_are_counted(self, engine: Engine, valued: str) -> None:
        aggs = {
            **facet_aggs("tags", path="tags", size=2, order="count"),
            **facet_aggs("first", path="tags", size=1, order="value"),
            **facet_aggs("stars", path="stars", size=9, order="count", interval=2.0),
            **facet_aggs("years", path="day", size=9, order="count", interval="year"),
            **facet_aggs("hours", path="day", size=9, order="count", interval="hour"),
        }
        found = engine.search(valued, {"size": 0, "aggs": aggs})["aggregations"]

        def counts(name: str) -> list[tuple[Any, int]]:
            return [(each["key"], each["doc_count"]) for each in found[name]["buckets"]]

        assert counts("tags") == [("x", 2), ("y", 2)]
        assert found["tags"]["sum_other_doc_count"] == 1
        assert (counts("first"), found["first"]["sum_other_doc_count"]) == ([("x", 2)], 3)
        assert counts("stars") == [(0.0, 1), (2.0, 2), (4.0, 1)]
        assert counts("years") == [(1672531200000, 1), (1704067200000, 2)]
        assert counts("hours")[-1] == (1735686000000, 1)
        assert {found[f"{name}-missing"]["doc_count"] for name in ("tags", "years")} == {1}

    def test_all_that_a_query_finds_is_counted_beside_one_hit(
        self, engine: Engine, valued: str
    ) -> None:
        aggs = facet_aggs("tags", path="tags", size=9, order="count")
        body = {"query": {"exists": {"field": "day"}}, "size": 2}
        found = engine.search(valued, without_hits(counted(body, aggs)))
        assert found["hits"]["total"] == {"value": 3, "relation": "eq"}
        assert [hit["_index"] for hit in found["hits"]["hits"]] == [valued]
        assert sum(each["doc_count"] for each in found["aggregations"]["tags"]["buckets"]) == 5

    # -- scans

    @pytest.mark.parametrize("page_size", [1, 5, 7, 25, 26])
    def test_scan_yields_every_document_once(
        self, engine: Engine, filled: str, page_size: int
    ) -> None:
        documents = list(engine.scan(filled, page_size=page_size))
        assert sorted(d.id for d in documents) == [f"{n:02}" for n in range(25)]
        assert all(d.source["n"] == int(d.id) for d in documents)

    def test_scan_of_an_index_that_gives_few_hits_at_once_yields_every_document_once(
        self, engine: Engine, filled: str
    ) -> None:
        whole = sorted(document.id for document in engine.scan(filled))
        engine.put_settings(filled, {"max_result_window": 3})
        assert sorted(document.id for document in engine.scan(filled)) == whole
        by_id = engine.scan(filled, query={"terms": {"_id": whole}})
        assert sorted(document.id for document in by_id) == whole
        with engine.scan_slices(filled, 2) as parts:
            assert sorted(document.id for part in parts for document in part) == whole

    def test_scan_of_some_documents_and_some_of_their_fields(
        self, engine: Engine, filled: str
    ) -> None:
        query = {"term": {"tags": "five"}}
        found = list(engine.scan(filled, query=query, source=["n"], page_size=2))
        assert sorted(d.source["n"] for d in found) == [0, 5, 10, 15, 20]
        assert all(d.source.keys() == {"n"} for d in found)
        assert {str(d.source) for d in engine.scan(filled, source=False)} == {"{}"}
        assert list(engine.scan(filled, query={"term": {"tags": "six"}})) == []

    def test_scan_brings_revisions_and_vectors(self, engine: Engine, index: str) -> None:
        source = {"title": "x", "video": {"vector": [0.0, 1.0, 0.0, 0.0]}}
        revision = engine.put(index, "a", source, refresh=True)
        (found,) = engine.scan(index)
        assert (found.source, found.revision, found.version) == (source, revision, 1)
        (found,) = engine.scan(index, source=["video.vector"])
        assert found.source == {"video": source["video"]}
        engine.put(index, "a", {"n": 1}, expect=found.revision)

    def test_scan_reads_one_point_in_time(self, engine: Engine, filled: str) -> None:
        scan = engine.scan(filled, page_size=5)
        first = next(scan)
        engine.bulk(filled, [Write("delete", f"{n:02}") for n in range(25)])
        engine.bulk(filled, [Write("index", f"new {n}", {"n": n}) for n in range(25)])
        engine.refresh(filled)
        rest = [document.id for document in scan]
        assert sorted([first.id, *rest]) == [f"{n:02}" for n in range(25)]

    @pytest.mark.parametrize("slices", [1, 2, 5])
    def test_slices_of_a_scan_hold_every_document_once(
        self, engine: Engine, filled: str, slices: int
    ) -> None:
        with (
            engine.scan_slices(filled, slices, page_size=3) as parts,
            ThreadPoolExecutor(slices) as pool,
        ):
            read = pool.map(lambda part: [*part], parts)
            found = [one for documents in read for one in documents]
        assert len(parts) == slices
        assert sorted(one.id for one in found) == [f"{n:02}" for n in range(25)]
        assert all(one.source["n"] == int(one.id) for one in found)
        with engine.scan_slices(filled, slices, source=False, page_size=3) as parts:
            assert next(one for part in parts for one in part).source == {}

    # -- vectors

    @pytest.fixture(params=["float", "int8", "flat"])
    def vectors(self, engine: Engine, index_name: str, request: pytest.FixtureRequest) -> str:
        """Videos ``00`` to ``09`` on a quarter circle, each with a second, opposite segment."""
        engine.create_index(index_name, small_index(engine, quantization=request.param, dims=_DIMS))
        writes = [Write("index", f"{step:02}", _video(step)) for step in range(10)]
        engine.bulk(index_name, writes)
        engine.refresh(index_name)
        return index_name

    def test_the_nearest_video_comes_first(self, engine: Engine, vectors: str) -> None:
        query = _nearest(engine, "video", at=3.2, k=4)
        response = engine.search(vectors, query)
        assert _ids(response) == ["03", "04", "02", "05"]
        scores = [hit["_score"] for hit in response["hits"]["hits"]]
        expected = [(1 + math.cos((3.2 - step) * _STEP)) / 2 for step in (3, 4, 2, 5)]
        assert scores == pytest.approx(expected, abs=0.01)

    def test_a_filter_stands_inside_the_vector_search(self, engine: Engine, vectors: str) -> None:
        query = _nearest(engine, "video", at=3.2, k=2, filters=[{"term": {"tags": "odd"}}])
        assert _ids(engine.search(vectors, query)) == ["03", "05"]

    def test_the_video_with_the_nearest_segment_comes_first(
        self, engine: Engine, vectors: str
    ) -> None:
        query = _nearest(engine, "segment", at=3.2, k=3)
        response = engine.search(vectors, query)
        assert _ids(response) == ["03", "04", "02"]
        segments = response["hits"]["hits"][0]["inner_hits"]["moments"]["hits"]["hits"]
        assert segments[0]["_nested"]["offset"] == 0
        assert segments[0]["_score"] == pytest.approx((1 + math.cos(0.2 * _STEP)) / 2, abs=0.01)
