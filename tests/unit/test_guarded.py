"""An engine that changes something only while its user may."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from vidsearch.engines import BulkResult, Engine, Write
from vidsearch.engines.guarded import Confirmation, guarded
from vidsearch.engines.steps import Answer, Request, Steps, run
from vidsearch.errors import ReindexTakenOverError
from vidsearch.testing.fake_clock import FakeClock
from vidsearch.testing.memory_engine import MemoryEngine


class Record:
    """Says whether the run is still this process's."""

    lost = False
    asked = 0

    def __call__(self) -> None:
        self.asked += 1
        if self.lost:
            raise ReindexTakenOverError("taken over by b")


def test_an_answer_counts_until_either_clock_went_on_by_so_much() -> None:
    ticks, machine, record = FakeClock(), FakeClock(), Record()
    held = Confirmation(record, seconds=15, clocks=(ticks, machine))
    held()
    held()
    assert record.asked == 1
    ticks.now += 14.9
    machine.now -= 1000  # it was put right
    held()
    assert record.asked == 1
    ticks.now += 0.1
    held()
    assert record.asked == 2
    machine.now += 15  # it slept, which the other clock has not counted
    held()
    assert record.asked == 3


def test_what_was_refused_is_asked_for_again() -> None:
    clock, record = FakeClock(), Record()
    held = Confirmation(record, seconds=15, clocks=(clock,))
    held()
    record.lost, clock.now = True, clock.now + 20
    for _ in range(2):
        with pytest.raises(ReindexTakenOverError):
            held()
    assert record.asked == 3


def test_an_answer_is_as_old_as_the_question() -> None:
    clock, asked = FakeClock(), []

    def slow() -> None:
        asked.append(clock.now)
        clock.now += 10

    held = Confirmation(slow, seconds=15, clocks=(clock,))
    held()
    clock.now += 6
    held()
    assert len(asked) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda engine: engine.create_index("other", {}),
        lambda engine: engine.delete_index("videos"),
        lambda engine: engine.put_mapping("videos", {"_meta": {"a": 1}}),
        lambda engine: engine.put_settings("videos", {"refresh_interval": "1s"}),
        lambda engine: engine.update_aliases([{"add": {"index": "videos", "alias": "other"}}]),
        lambda engine: engine.put("videos", "a", {"n": 2}),
        lambda engine: engine.update("videos", "a", {"n": 2}),
        lambda engine: engine.delete("videos", "a"),
        lambda engine: engine.bulk("videos", [Write("index", "a", {"n": 2})]),
        lambda engine: engine.block_writes("videos"),
        lambda engine: engine.run(engine.calls.delete("videos", "a")),
    ],
)
def test_nothing_is_changed_by_one_who_may_not(change: Any) -> None:
    engine, record = MemoryEngine(), Record()
    engine.create_index("videos", {})
    engine.put("videos", "a", {"n": 1})
    held = guarded(engine, record)
    record.lost = True
    with pytest.raises(ReindexTakenOverError):
        change(held)
    found = held.get("videos", "a")
    assert found is not None
    assert (found.source, held.count("videos")) == ({"n": 1}, 1)
    assert (engine.settings("videos").keys(), engine.aliases("videos")) == ({"uuid"}, {})
    assert engine.indices_of("other") == ()
    record.lost = False
    change(held)
    assert isinstance(held, Engine)


class Cluster:
    """Takes any change in three requests, with a pause before the second."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, float]] = []
        self.calls = self

    def bulk(self, index: str, writes: Sequence[Write]) -> Steps[BulkResult]:
        yield from self.block_writes(index)
        return BulkResult(len(writes))

    def block_writes(self, index: str) -> Steps[None]:
        for number, pause in enumerate((0.0, 0.001, 0.0)):
            answer: Answer = yield Request("POST", f"/{index}/{number}", pause=pause)
            assert answer.status == 200

    def run(self, steps: Steps[Any]) -> Any:
        return run(steps, self.send)

    def send(self, request: Request) -> Answer:
        self.sent.append((request.path, request.pause))
        return Answer(200, {})


@pytest.mark.parametrize(
    "change",
    [
        lambda engine: engine.bulk("videos", [Write("delete", "a")]),
        lambda engine: engine.block_writes("videos"),
    ],
    ids=["bulk", "block_writes"],
)
def test_a_change_of_several_requests_is_asked_about_before_each(change: Any) -> None:
    cluster, record = Cluster(), Record()
    engine: Any = cluster
    held = guarded(engine, record)
    change(held)
    assert [path for path, _ in cluster.sent] == ["/videos/0", "/videos/1", "/videos/2"]
    assert {pause for _, pause in cluster.sent} == {0.0}, "it has been waited for before the check"
    cluster.sent.clear()
    send = cluster.send

    def lose(request: Request) -> Answer:
        record.lost = True
        return send(request)

    cluster.send = lose  # type: ignore[method-assign]
    with pytest.raises(ReindexTakenOverError):
        change(held)
    assert [path for path, _ in cluster.sent] == ["/videos/0"]
