"""What is tried again: a request that was turned away for load, and a scan that broke off."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from vidsearch.config import EngineSettings
from vidsearch.engines import Write, connect
from vidsearch.engines.calls import Calls
from vidsearch.engines.dialect import Dialect
from vidsearch.engines.elasticsearch import ElasticsearchDialect
from vidsearch.engines.opensearch import OpenSearchDialect
from vidsearch.engines.steps import Answer, Request, Steps, run
from vidsearch.errors import BackendUnavailableError

COUNTED = Answer(200, {"count": 3, "_shards": {"total": 1, "failed": 0}})
BUSY = Answer(429, {"error": {"type": "circuit_breaking_exception", "reason": "Data too large"}})


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses before requests."""
    pauses: list[float] = []
    monkeypatch.setattr("vidsearch.engines.steps.time.sleep", pauses.append)
    return pauses


def calls(made: Callable[[str], Dialect], *, tries: int) -> Calls:
    dialect = made("http://127.0.0.1:9200")
    dialect.tries = tries
    return Calls(dialect)


class Cluster:
    """Turns so many requests away, then counts."""

    def __init__(self, busy: int) -> None:
        self.busy = busy
        self.asked: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.asked.append(request)
        return BUSY if len(self.asked) <= self.busy else COUNTED


@pytest.mark.parametrize("made", [ElasticsearchDialect, OpenSearchDialect])
def test_what_is_turned_away_is_sent_again_after_longer_and_longer_pauses(
    made: Any, slept: list[float]
) -> None:
    cluster = Cluster(busy=3)
    assert run(calls(made, tries=4).count("videos"), cluster) == 3
    assert [one.path for one in cluster.asked] == ["/videos/_count"] * 4
    assert 0.25 <= slept[0] <= 0.5 <= slept[1] <= 1 <= slept[2] <= 2


@pytest.mark.parametrize("tries", [1, 4])
def test_after_the_last_try_it_is_an_error(tries: int, slept: list[float]) -> None:
    cluster = Cluster(busy=9)
    with pytest.raises(BackendUnavailableError, match=r"\(429\): Data too large"):
        run(calls(ElasticsearchDialect, tries=tries).count("videos"), cluster)
    assert len(cluster.asked) == tries


def test_a_bulk_has_its_own_tries_and_no_more(slept: list[float]) -> None:
    cluster = Cluster(busy=99)
    bulk = calls(ElasticsearchDialect, tries=4)
    bulk._aliases.add("videos")
    with pytest.raises(BackendUnavailableError, match="1 of 1 writes"):
        run(bulk.bulk("videos", [Write("index", "a", {})]), cluster)
    assert len(cluster.asked) == 4


def test_while_somebody_waits_nothing_is_sent_again(slept: list[float]) -> None:
    made = calls(ElasticsearchDialect, tries=4)
    made._aliases.add("videos")
    for tries in (1, 4):
        for work in (made.count, lambda name: made.bulk(name, [Write("index", "a", {})])):
            cluster = Cluster(busy=99)
            sending = made.dialect.sending_once() if tries == 1 else nullcontext()
            with sending, pytest.raises(BackendUnavailableError):
                run(work("videos"), cluster)
            assert len(cluster.asked) == tries


def test_of_two_who_wait_the_first_to_end_leaves_the_other_unrepeated() -> None:
    dialect = calls(ElasticsearchDialect, tries=4).dialect
    one, other = dialect.sending_once(), dialect.sending_once()
    one.__enter__()
    with other:
        one.__exit__(None, None, None)
        assert not dialect.is_patient
    assert dialect.is_patient


def test_the_next_page_of_a_scroll_is_asked_for_once(slept: list[float]) -> None:
    dialect = calls(OpenSearchDialect, tries=4).dialect
    pages: list[Steps[Any]] = [
        dialect.page("videos", cursor, source=True, body={"size": 1}) for cursor in (None, "next")
    ]
    asked = []
    for page in pages:
        cluster = Cluster(busy=9)
        with pytest.raises(BackendUnavailableError):
            run(page, cluster)
        asked.append(len(cluster.asked))
    assert asked == [4, 1]


LOST = {"type": "search_context_missing_exception", "reason": "No search context found for id [1]"}


@pytest.mark.parametrize(
    "error", [LOST, {"type": "search_phase_execution_exception", "root_cause": [LOST]}]
)
@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_a_scan_that_a_restarted_node_knows_nothing_of_is_an_outage(
    kind: Any, error: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hit = {"_id": "a", "_seq_no": 1, "_primary_term": 1, "sort": [1]}
    page = {"hits": {"hits": [hit]}, "_shards": {"failed": 0}, "pit_id": "p", "_scroll_id": "s"}
    pages = iter([Answer(200, page), Answer(404, {"error": error, "status": 404})])

    def send(request: Request) -> Answer:
        if request.method == "DELETE" or request.path.endswith("/_pit"):
            return Answer(200, {"id": "p"})
        return next(pages)

    engine = connect(EngineSettings(kind=kind))
    monkeypatch.setattr(engine, "_send", send)
    scan = engine.scan("videos", page_size=1)
    assert next(scan).id == "a"
    with pytest.raises(BackendUnavailableError, match=r"'videos' broke off: .*context found"):
        next(scan)
    engine.close()


def test_an_engine_is_connected_with_as_many_tries_as_are_asked_for() -> None:
    settings = EngineSettings(kind="elasticsearch")
    for options, tries in (({}, 1), ({"tries": 4}, 4)):
        engine = connect(settings, **options)
        assert engine.calls.dialect.tries == tries
        engine.close()
