"""A reindex that workers do: begun by an application, sent again by the sweep, driven by a task."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from tests.reindexing_in_memory import Stage, stage_of_three

from vidsearch.config import Settings
from vidsearch.errors import BackendUnavailableError, ReindexError, WorkerStoppingError
from vidsearch.reindex import Step
from vidsearch_tasks import reindexing, start_reindex
from vidsearch_tasks.backlog import count_messages
from vidsearch_tasks.reindexing import drive_reindex, send_due_reindex
from vidsearch_tasks.services import Services


class Reindexing:
    """Services with a reindexer in memory."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.settings = Settings(broker={"queue": uuid4().hex})
        self.app = Celery("application", broker="memory://", set_as_current=False)
        self.runs = stage.reindexer().runs

    @property
    def sent(self) -> int:
        queue = f"{self.settings.broker.queue}-maintenance"
        with self.app.connection_for_write() as connection:
            return count_messages(connection, [queue])

    @property
    def step(self) -> Step:
        return self.runs.all()[0].step

    def start(self, **options: Any) -> str:
        return start_reindex(**options, services=self.services).id

    def sweep(self) -> bool:
        return send_due_reindex(services=self.services, app=self.app) is not None

    def drive(self) -> str:
        return drive_reindex("1", services=self.services)

    @property
    def services(self) -> Services:
        return self  # type: ignore[return-value]


@pytest.fixture
def reindexing_(monkeypatch: pytest.MonkeyPatch) -> Reindexing:
    stage = stage_of_three()
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    monkeypatch.setattr(reindexing, "reindexer", lambda _, **options: stage.reindexer(**options))
    monkeypatch.setattr(reindexing, "run_store", lambda _: stage.reindexer().runs)
    return Reindexing(stage)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever was sent was sent long ago."""
    monkeypatch.setattr(reindexing, "_RESEND_SECONDS", -1.0)


def test_a_run_is_recorded_and_sent_and_driven_to_its_end(reindexing_: Reindexing) -> None:
    reindexing_.start(shards=2)
    assert (reindexing_.step, reindexing_.sent) == (Step.PLANNED, 1)
    assert not reindexing_.sweep(), "its message has just been sent"
    assert reindexing_.drive() == "swapped"
    assert not reindexing_.sweep()


def test_a_message_that_was_lost_is_sent_again(reindexing_: Reindexing, later: None) -> None:
    reindexing_.start(shards=2)
    assert reindexing_.sweep()
    assert reindexing_.sent == 2


def test_a_broker_that_is_away_leaves_it_to_the_sweep(
    reindexing_: Reindexing, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = BackendUnavailableError("away")
    with monkeypatch.context() as patch:
        patch.setattr(reindexing, "send_ids", lambda *_, **__: ([], away))
        reindexing_.start(shards=2)
    assert reindexing_.sweep()
    assert reindexing_.sent == 1


def test_a_run_of_a_process_of_its_own_is_left_to_it(reindexing_: Reindexing, later: None) -> None:
    from vidsearch.reindex import Changes

    reindexing_.stage.reindexer().begin(Changes(shards=2))
    assert not reindexing_.sweep()


def test_while_other_workers_embed_the_task_ends_and_comes_back(
    reindexing_: Reindexing, later: None
) -> None:
    reindexing_.stage.documents.fills = [False]
    reindexing_.start(shards=2)
    assert reindexing_.drive() == "copying"
    assert reindexing_.sweep()
    assert reindexing_.drive() == "swapped"


def test_a_run_that_is_driven_is_left_alone(reindexing_: Reindexing, later: None) -> None:
    reindexing_.start(shards=2)
    reindexing_.runs.take("1", owner="another", seconds=60)
    assert not reindexing_.sweep()
    assert reindexing_.drive() == "driven"
    assert reindexing_.step is Step.PLANNED


@pytest.mark.parametrize(
    ("error", "is_recorded"),
    [(BackendUnavailableError("HTTP 503"), True), (WorkerStoppingError("stop"), False)],
)
def test_what_ends_the_task_leaves_the_run_to_another(
    reindexing_: Reindexing, later: None, error: Exception, is_recorded: bool
) -> None:
    reindexing_.stage.documents.error = error
    reindexing_.start(shards=2)
    assert reindexing_.drive() == "interrupted"
    run = reindexing_.runs.get("1")
    assert (run.step, run.error is not None) == (Step.COPYING, is_recorded)
    reindexing_.stage.documents.error = None
    assert reindexing_.sweep()
    assert reindexing_.drive() == "swapped"


def test_a_target_that_fails_its_check_waits_for_a_person(
    reindexing_: Reindexing, later: None
) -> None:
    reindexing_.stage.documents.problems = ("3 documents are missing",)
    reindexing_.start(shards=2)
    assert reindexing_.drive() == "interrupted"
    assert not reindexing_.sweep()


def test_what_cannot_differ_is_refused(reindexing_: Reindexing) -> None:
    with pytest.raises(ReindexError, match="cannot reindex with colour"):
        reindexing_.start(colour="red")
    assert reindexing_.sent == 0
