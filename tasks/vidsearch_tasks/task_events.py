"""Celery's task events, several to a message.

A worker tells of a task when it receives it, begins and ends it. Celery sends what comes in one
turn of its event loop, and these three come in three.
"""

from __future__ import annotations

from typing import Any

from celery import bootsteps
from celery.signals import celeryd_init

__all__ = ["EventBatches"]

_SECONDS = 0.5
"""For which an event may wait for the next ones; each holds its own time."""


class EventBatches(bootsteps.StartStopStep):  # type: ignore[misc]
    """Lets events wait for a moment, in workers that have an event loop and send task events."""

    requires = ("celery.worker.consumer.events:Events",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Begin, each time that the worker has connected."""
        dispatcher = consumer.event_dispatcher
        if dispatcher is not None and dispatcher.on_send_buffered is not None:
            dispatcher.on_send_buffered = lambda: self._flush_soon(consumer)

    def stop(self, consumer: Any) -> None:
        """End, as the worker stops or has lost the connection."""
        if self._timer is None:
            return
        self._timer.cancel()
        if consumer.blueprint.state == bootsteps.RUN:  # it connects again
            self._timer = None
        else:
            self._flush(consumer)

    def _flush_soon(self, consumer: Any) -> None:
        if self._timer is None:
            self._timer = consumer.timer.call_after(_SECONDS, self._flush, (consumer,))

    def _flush(self, consumer: Any) -> None:
        self._timer = None
        if consumer.event_dispatcher is not None:
            consumer.event_dispatcher.flush()


@celeryd_init.connect  # type: ignore[untyped-decorator]
def _add_step(instance: Any, **_: Any) -> None:
    instance.app.steps["consumer"].add(EventBatches)
