"""What a run that is gone on with may be told anew, and what a plan makes of a throttle."""

from __future__ import annotations

import math

import pytest
from tests.reindexing_in_memory import Stage, stage_of_three

from vidsearch.errors import BackendUnavailableError, ReindexError
from vidsearch.reindex import ReindexRun, Step
from vidsearch.reindex.changes import Changes

FLOAT = Changes(quantization="float")


class Killed(BaseException):
    """What a process does not see of its own kill."""


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    return stage_of_three()


def test_what_is_being_undone_is_not_swapped_in_any_more(stage: Stage) -> None:
    stage.reindexer().start(FLOAT, swap=False)

    def kill(run: ReindexRun) -> None:
        raise Killed

    with pytest.raises(Killed):
        stage.reindexer(on_step=kill).roll_back()
    with pytest.raises(ReindexError, match=r"being undone.*`vidsearch reindex resume` finishes"):
        stage.reindexer().swap()
    assert stage.reindexer().resume().step is Step.ROLLED_BACK


def test_throttle_can_be_another_one_when_a_run_goes_on(stage: Stage) -> None:
    stage.documents.error = BackendUnavailableError("HTTP 503")
    with pytest.raises(BackendUnavailableError):
        stage.reindexer().start(FLOAT, throttle=1.0)
    for given, kept in ((None, 1.0), (1000.0, 1000.0)):
        with pytest.raises(BackendUnavailableError):
            stage.reindexer().resume(throttle=given)
        run = stage.reindexer().runs.open()
        assert run is not None
        assert run.throttle == kept


@pytest.mark.parametrize(
    ("changes", "throttle", "is_limited"),
    [
        (Changes(shards=2), 1e-6, True),
        (Changes(shards=2), math.inf, False),
        (Changes(segment_seconds=5), 1e-6, False),
        (Changes(segment_seconds=5), math.inf, False),
    ],
)
def test_a_plan_goes_by_the_throttle_of_a_copy_alone(
    stage: Stage, changes: Changes, throttle: float, is_limited: bool
) -> None:
    plan = stage.reindexer().plan(changes, throttle=throttle)
    assert (plan.per_second == throttle) == is_limited
    assert ("--throttle" in plan.measured) == is_limited
