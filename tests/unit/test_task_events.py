"""Task events of a worker, which wait for each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery, bootsteps

from vidsearch_tasks.task_events import EventBatches


class Clock:
    """Holds what is to be called later, until a test lets the time pass."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], object]] = []

    def call_after(self, seconds: float, function: Callable[..., object], args: Any) -> Any:
        def call() -> object:
            return function(*args)

        self.waiting.append(call)
        waiting = self.waiting

        class Entry:
            def cancel(self) -> None:
                waiting.remove(call)

        return Entry()

    def pass_by(self) -> None:
        due, self.waiting = self.waiting, []
        for call in due:
            call()


class Consumer:
    """What the step needs of a worker's consumer, with Celery's own dispatcher."""

    def __init__(self, *, loop: bool = True) -> None:
        self.timer = Clock()
        self.sent: list[list[str]] = []
        self.blueprint = bootsteps.Blueprint()
        self.blueprint.state = bootsteps.RUN
        app = Celery(broker="memory://", set_as_current=False)
        self.event_dispatcher = app.events.Dispatcher(
            app.connection_for_write(),
            hostname="w",
            buffer_group=["task"] if loop else None,
            on_send_buffered=self.on_send_event_buffered if loop else None,
        )
        self.event_dispatcher._publish = lambda event, *_, **__: self.sent.append(
            [one["type"] for one in event] if isinstance(event, list) else [event["type"]]
        )

    def on_send_event_buffered(self) -> None:
        raise AssertionError("Celery's own way, which sends each by itself")

    def tell(self, *names: str) -> None:
        for name in names:
            self.event_dispatcher.send(f"task-{name}", uuid="1")


def started(consumer: Consumer) -> EventBatches:
    step = EventBatches(consumer)
    step.start(consumer)
    return step


def test_events_of_a_moment_go_in_one_message() -> None:
    consumer = Consumer()
    started(consumer)
    for _ in range(2):
        consumer.tell("received", "started", "succeeded")
        assert len(consumer.timer.waiting) == 1
        consumer.timer.pass_by()
    assert consumer.sent == [["task-received", "task-started", "task-succeeded"]] * 2


def test_a_worker_that_ends_sends_what_waits() -> None:
    consumer = Consumer()
    step = started(consumer)
    consumer.tell("received", "started")
    consumer.blueprint.state = bootsteps.CLOSE
    step.stop(consumer)
    assert consumer.sent == [["task-received", "task-started"]]
    assert consumer.timer.waiting == []
    step.stop(consumer)
    assert len(consumer.sent) == 1


def test_a_lost_connection_leaves_what_waits_to_the_next_one() -> None:
    consumer = Consumer()
    step = started(consumer)
    consumer.tell("received")
    step.stop(consumer)
    assert (consumer.sent, consumer.timer.waiting) == ([], [])
    step.start(consumer)
    consumer.tell("succeeded")
    consumer.timer.pass_by()
    assert consumer.sent == [["task-received", "task-succeeded"]]


@pytest.mark.parametrize("events", ["sent one by one", "off"])
def test_a_worker_without_an_event_loop_or_events_is_left_alone(events: str) -> None:
    consumer = Consumer(loop=False)
    if events == "off":
        consumer.event_dispatcher = None
    step = started(consumer)
    if events != "off":
        consumer.tell("received")
        assert consumer.sent == [["task-received"]]
    step.stop(consumer)
    assert consumer.timer.waiting == []
