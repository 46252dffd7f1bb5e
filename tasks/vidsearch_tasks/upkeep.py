"""What every worker does beside its tasks: it takes from all queues, and sees that sweeps happen.

It holds for the workers of any Celery app that includes the tasks, without settings of its own.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import bootsteps
from celery.signals import celeryd_after_setup, celeryd_init

from vidsearch.errors import VidsearchError
from vidsearch_tasks.celery_app import bulk_queue, maintenance_queue, queue_of
from vidsearch_tasks.configured import current_services
from vidsearch_tasks.sending import send_sweep

__all__ = ["SweepTimer"]

_log = logging.getLogger(__name__)


class SweepTimer(bootsteps.StartStopStep):  # type: ignore[misc]
    """Puts a sweep into its queue every ``ingest.sweep_seconds``, unless one waits there already.

    A worker that is idle takes it at once, one that is busy after its task. Most find that another
    worker has just swept. The parent process, in which this runs, does nothing else for the sweep:
    it forks, so it must not connect to the engine.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Begin, each time that the worker has connected."""
        queue = maintenance_queue(current_services().settings.broker.queue)
        if queue in consumer.app.amqp.queues.consume_from:
            seconds = current_services().settings.ingest.sweep_seconds
            self._timer = consumer.timer.call_repeatedly(seconds, _send, (consumer.app, queue))

    def stop(self, consumer: Any) -> None:
        """End, as the worker stops or has lost the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _send(app: Any, queue: str) -> None:
    try:
        send_sweep(app, queue=queue, timeout=current_services().settings.broker.timeout)
    except VidsearchError as error:
        _log.warning("no sweep: %s", error)


@celeryd_init.connect  # type: ignore[untyped-decorator]
def _add_timer(instance: Any, **_: Any) -> None:
    instance.app.steps["consumer"].add(SweepTimer)


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]
def _take_from_all_queues(instance: Any, **_: Any) -> None:
    """A worker that takes from the queue of the settings takes from those beside it as well.

    One that was given any of these by name takes exactly what it was given.
    """
    queue = current_services().settings.broker.queue
    beside = [bulk_queue(queue), maintenance_queue(queue)]
    queues = instance.app.amqp.queues
    if queue in queues.consume_from and not {*beside} & {*queues.consume_from}:
        for name in beside:
            queues.select_add(queue_of(instance.app, name))
