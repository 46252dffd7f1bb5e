"""What is said of workers that do not serve the index of the settings."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vidsearch.cli.workers import describe_worker, model_note, model_problem, worker_problem
from vidsearch.config import Settings
from vidsearch.encoders import ModelIdentity
from vidsearch.index import VideosIndex
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


# -- the model of a worker, and that of the index

DEMO = {"name": "demo", "revision": "1", "dims": 512, "image_size": 64}
LOCAL = {"name": "local", "revision": "abc", "dims": 512, "image_size": 64}


def index_of(model: dict[str, Any]) -> VideosIndex:
    return cast(
        VideosIndex,
        SimpleNamespace(
            name="clips-000002",
            identity=ModelIdentity.from_meta(model),
            require_model=lambda other: other.require(
                ModelIdentity.from_meta(model), where="index 'clips'"
            ),
        ),
    )


def state_of(identity: dict[str, Any], *others: dict[str, Any]) -> BrokerState:
    worker = replace(OURS, identity=identity, others=others)
    return BrokerState("redis://h:1/0", "q", 0, (worker,))


@pytest.mark.parametrize(
    ("state", "index", "is_problem", "note"),
    [
        (state_of(DEMO), DEMO, False, None),
        (state_of(LOCAL), DEMO, False, "set it to demo"),
        (state_of(DEMO, LOCAL), LOCAL, False, "set it to that checkpoint's folder"),
        (state_of(DEMO), LOCAL, True, None),
        (state_of(DEMO | {"sampling": "played-at@2fps"}), DEMO, True, None),
        (state_of(DEMO), LOCAL | {"name": "acme/clip"}, False, "set it to acme/clip"),
    ],
)
def test_a_worker_of_another_model_is_a_problem_where_it_does_not_find_that_of_the_index(
    state: BrokerState, index: dict[str, Any], is_problem: bool, note: str | None
) -> None:
    problem, said = model_problem(state, index_of(index)), model_note(state, index_of(index))
    assert (problem is not None) == is_problem
    assert (said is None) == (note is None)
    if said is not None and note is not None:
        assert said.startswith("a@h: index 'clips-000002' holds vectors of ")
        assert said.endswith(note)
    if problem is not None:
        assert problem.startswith("a@h embeds with another model: index 'clips' holds vectors of")
