"""What is said of workers that do not serve the index of the settings."""

from __future__ import annotations

import pytest

from vidsearch.cli.workers import describe_worker, worker_problem
from vidsearch.config import Settings
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import BrokerState, Services, WorkerState

SETTINGS = Settings(
    engine={"url": "http://here:9200"}, index={"name": "clips"}, broker={"queue": "q"}
)
OURS = WorkerState("a@h", ("celery", "q"), "clips", "http://here:9200", "demo")
OTHER = WorkerState("b@h", ("q",), "films", "http://there:9200", "demo")
SILENT = WorkerState("c@h", ("q",))
ELSEWHERE = WorkerState("d@h", ("celery",))


def problem(*workers: WorkerState) -> str | None:
    return worker_problem(BrokerState("redis://h:1/0", "q", 0, workers), SETTINGS)


def test_workers_of_this_index_are_no_problem() -> None:
    assert problem(OURS, ELSEWHERE) is None
    assert describe_worker(OURS, SETTINGS) == "a@h: index 'clips', model 'demo'"


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        ((), "no worker answers over redis://h:1/0. Start one with these settings: celery -A"),
        ((ELSEWHERE,), "no worker takes from the queue 'q' (d@h takes from 'celery'). Start one"),
        (
            (OTHER, SILENT),
            (
                "all workers of the queue 'q' serve another index than 'clips' (b@h: index 'films' "
                "at http://there:9200, model 'demo'; c@h: does not say which index it serves), "
                "and drop"
            ),
        ),
        ((OURS, OTHER), "some workers of the queue 'q' serve another index than 'clips' (b@h: "),
        ((OURS, SILENT), "some workers of the queue 'q' run no vidsearch tasks, or those of an"),
    ],
)
def test_missing_or_foreign_workers_are_reported_with_advice(
    workers: tuple[WorkerState, ...], said: str
) -> None:
    told = problem(*workers)
    assert told is not None
    assert told.startswith(said)


def test_worker_reports_its_index_engine_and_model() -> None:
    told = Services(SETTINGS).worker_info()
    assert told == {"index": "clips", "engine": "http://here:9200", "model": SETTINGS.model.name}
    handed_in = Services(SETTINGS, client=object(), encoder=FakeEncoder()).worker_info()
    assert handed_in == {"index": "clips", "engine": None, "model": FakeEncoder().identity.name}
