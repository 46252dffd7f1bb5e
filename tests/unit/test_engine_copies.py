"""Which copies of a shard are asked for what was written before a refresh."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from vidsearch.engines.calls import Calls
from vidsearch.engines.dialect import Dialect
from vidsearch.engines.elasticsearch import ElasticsearchDialect
from vidsearch.engines.opensearch import OpenSearchDialect
from vidsearch.engines.steps import Answer, Request, Steps, run
from vidsearch.errors import BackendUnavailableError
from vidsearch.index import require_vectors
from vidsearch.index.size import size_of

URL = "http://127.0.0.1:9200"


def first_request(steps: Steps[object]) -> Request:
    request = next(steps)
    steps.close()
    assert isinstance(request, Request)
    return request


def preferences(steps: Steps[object]) -> list[str | None]:
    """That of each search of one request."""
    headers = (first_request(steps).lines or b"").splitlines()[::2]
    return [json.loads(each).get("preference") for each in headers]


def scan(calls: Calls) -> Steps[object]:
    """The first request of a scan: a point in time, or a scroll."""
    dialect = calls.dialect
    if dialect.kind == "elasticsearch":
        return dialect.open_scan("videos")
    return dialect.page("videos", None, source=True, body={"size": 1})


@pytest.mark.parametrize(
    ("made", "whole", "one"),
    [
        (ElasticsearchDialect, None, "_shards:2"),  # every copy shows it, and this is refused
        (OpenSearchDialect, "_primary", "_shards:2|_primary"),
    ],
)
def test_a_replica_that_lags_is_not_asked(
    made: Callable[[str], Dialect], whole: str | None, one: str
) -> None:
    calls = Calls(made(URL))
    for asked in (
        calls.search("videos", {}),
        calls.count("videos"),
        calls.open_point_in_time("videos"),
        scan(calls),
    ):
        assert first_request(asked).params.get("preference") == whole
    for asked in (
        calls.search("videos", {}, refreshed=False),
        calls.count("videos", refreshed=False),
    ):
        assert "preference" not in first_request(asked).params
    for asked in (
        calls.search_shard("videos", 2, {}),
        calls.changes_page("videos", 2, 0, 9, size=1),
        calls.open_point_in_time("videos", shard=2),
    ):
        assert first_request(asked).params["preference"] == one
    read = calls.read_shards("videos", {2: 0}, size=1, bodies=[(2, {})])
    assert preferences(read) == [one, one, whole]
    assert preferences(calls.msearch("videos", [{}])) == [None]


def test_a_search_of_users_waits_for_no_primary_shard() -> None:
    calls = Calls(OpenSearchDialect(URL))
    for asked in (
        size_of(calls, "videos", "video"),
        require_vectors(calls, "videos", "video", all_of_them=False),
    ):
        assert "preference" not in first_request(asked).params


@pytest.mark.parametrize("made", [ElasticsearchDialect, OpenSearchDialect])
def test_a_refresh_that_a_shard_has_not_done_is_an_error(made: Callable[[str], Dialect]) -> None:
    def refreshed(failed: int) -> Answer:
        failures = [
            {"shard": 0, "reason": {"type": "circuit_breaking_exception", "reason": "full"}}
        ]
        shards = {"total": 2, "successful": 2 - failed, "failed": failed}
        return Answer(200, {"_shards": {**shards, "failures": failures[:failed]}})

    run(Calls(made(URL)).refresh("videos"), lambda request: refreshed(0))
    with pytest.raises(BackendUnavailableError, match=r"1 of 2 shards of index 'videos'.*full"):
        run(Calls(made(URL)).refresh("videos"), lambda request: refreshed(1))
