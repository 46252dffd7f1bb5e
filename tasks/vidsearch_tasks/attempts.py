"""What a worker does around an attempt: it waits for the engine, pauses, and hands work back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socket import gethostname
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from billiard.process import current_process
from celery.exceptions import SoftTimeLimitExceeded
from celery.signals import task_prerun

from vidsearch.error_texts import first_line
from vidsearch.errors import (
    BackendUnavailableError,
    ConfigError,
    LeaseLostError,
    RegistryError,
    VideoNotRegisteredError,
    VidsearchError,
    WorkerStoppingError,
)
from vidsearch.later import call_later
from vidsearch.retry import Decision, decide, engine_delay, pause_delay
from vidsearch_mappings.registry import WAITING, ErrorRecord
from vidsearch_tasks.celery_app import EMBED_SLICE, FILL, INGEST
from vidsearch_tasks.configured import current_services
from vidsearch_tasks.register import enqueue, enqueue_fills, enqueue_slices
from vidsearch_tasks.sending import send_ids
from vidsearch_tasks.services import Services
from vidsearch_tasks.stopping import STOP

if TYPE_CHECKING:
    from celery import Celery

    from vidsearch.ingest import Outcome
    from vidsearch.registry import Registry

__all__ = ["FILLS", "SETUP_PAUSE", "SLICES", "VIDEOS", "Work", "attempted"]

_log = logging.getLogger(__name__)
SETUP_PAUSE = "setup:"
"""How the keys of pauses begin of workers that are not set up right."""
_LOOK_SECONDS = 0.25
_GRACE_SECONDS = 2.5
"""For the work to end between two batches, before its lease is given back all the same."""
_WORKED = {"indexed", "unchanged", "sliced"}


@dataclass(frozen=True, slots=True)
class Work:
    """What is attempted: videos, slices of them, or their documents in another index."""

    task: str
    """Name of the task whose messages ask for it."""
    entries: Callable[[Services], Registry]
    attempt: Callable[[Services], Callable[..., Outcome]]
    """Builds what does it, with its model; takes the id and the ``owner``."""
    send: Callable[[Services, Celery, str], object]


VIDEOS = Work(
    INGEST,
    lambda services: services.registry,
    lambda services: services.indexer.ingest,
    lambda services, app, id: enqueue(id, services=services, app=app),
)
SLICES = Work(
    EMBED_SLICE,
    lambda services: services.board.entries,
    lambda services: services.slice_worker.embed,
    lambda services, app, id: enqueue_slices([id], services=services, app=app),
)
FILLS = Work(
    FILL,
    lambda services: services.fills.entries,
    lambda services: services.filler.fill,
    lambda services, app, id: enqueue_fills([id], services=services, app=app),
)


_UNHEARD = 2.0
"""Seconds after Celery's own alarm at which one that nobody heard is acted upon: two at once would
interrupt each other."""


@task_prerun.connect  # type: ignore[untyped-decorator]
def _limit(task: Any = None, **_: Any) -> None:
    """Tell the work of a task for how long it may go on, where Celery enforces that."""
    is_enforced = current_process().name != "MainProcess"  # in processes of ``prefork`` alone
    if task is not None and task.request.is_eager:
        return  # of an application, inside a task of its own, which alone is limited
    is_attempt = task is not None and task.name in {INGEST, EMBED_SLICE, FILL}
    seconds = current_services().settings.ingest.time_limit if is_attempt and is_enforced else None
    STOP.limit(None if seconds is None else seconds + _UNHEARD)


def attempted(
    task: Any, services: Services, id: str, work: Work, *, owner: str | None = None
) -> Outcome:
    """Attempt one video, slice or document, once.

    While the engine is away, nothing can be read or written: the worker keeps the message and waits
    in place; at its time limit it puts the message back, with the owner of the lease. A worker that
    is not set up right gives the video back for others, and waits before it takes the next message.
    When it is told to end, it hands back what it has.

    The lease gets an owner of its own in each attempt: a message that a broker delivers again, as
    its worker has taken long, does not take the lease of that worker.

    Args:
        task: that is running; it may be that of another message.
        services: what to work with.
        id: of the video, slice or document.
        work: which of them.
        owner: of a lease that could not be given back, as the message says; see
            ``Registry.claim``.

    Raises:
        VidsearchError: the engine is away, and the task was called without a worker.
    """
    own = uuid4().hex[:12]
    trial = _Trial(task, services, id, work, f"{owner} {own}" if owner else own)
    with trial.handed_back_in_time():
        return trial.outcome()


class _Trial:
    def __init__(self, task: Any, services: Services, id: str, work: Work, owner: str) -> None:
        self._task = task
        self._services = services
        self._id = id
        self._work = work
        self._owner = owner
        self._has_worker = not (task.request.called_directly or task.request.is_eager)
        self._worker = task.request.hostname or gethostname()
        self._handing_back = threading.Lock()
        self._is_handed_back = False

    def outcome(self) -> Outcome:
        from vidsearch.ingest import Outcome

        try:
            outcome = self._with_engine()
            if outcome.error is not None and decide(outcome.error) is Decision.GIVE_BACK:
                self._pause(outcome.error)
            elif self._has_worker and outcome.status in _WORKED:
                _circuit.close(self._services, self._worker)
            return outcome
        except VideoNotRegisteredError as error:
            _log.warning("message ignored: %s", error)
            return Outcome("unknown")
        except WorkerStoppingError as error:
            self._hand_back()
            return Outcome("retry", reason=str(error), error=error)
        except SystemExit:  # the pool's process is ended
            self._hand_back()
            raise

    def _with_engine(self) -> Outcome:
        from vidsearch.ingest import Outcome

        tries = 0
        while True:
            try:
                STOP.check()
                return self._attempt()
            except (VideoNotRegisteredError, WorkerStoppingError):
                raise
            except SoftTimeLimitExceeded as error:
                if not tries:
                    raise
                return self._put_back(error)
            except BackendUnavailableError as error:
                if not self._has_worker:
                    raise
                if STOP.is_late or isinstance(error.__cause__, SoftTimeLimitExceeded):
                    return self._put_back(error)
                tries += 1
                delay = engine_delay(tries)
                _log.warning("video %r: next try in %.1f s: %s", self._id, delay, error)
            except RegistryError as error:
                # A newer version wrote its record. The message would come back at once; the sweep
                # of a worker of that version sends another one.
                _log.warning("video %r is left to newer workers: %s", self._id, error)
                if not self._has_worker:
                    raise
                return Outcome("retry", reason=str(error), error=error)
            except VidsearchError as error:
                # Nothing can be recorded, as there is no registry, or no right to write to it.
                _log.warning("video %r is left to another worker: %s", self._id, error)
                if not self._has_worker:
                    raise
                self._send()
                return Outcome("retry", reason=str(error), error=error)
            try:
                STOP.pause(delay)
            except SoftTimeLimitExceeded as error:
                return self._put_back(error)

    def _put_back(self, error: Exception) -> Outcome:
        """End in time, as the hard limit would end this process with the lease in its hands. Who
        follows the message takes it up again, uncounted."""
        from vidsearch.ingest import Outcome

        if self._is_first_to_hand_back():
            _log.warning(
                "video %r: its message is put back: the engine is away for too long", self._id
            )
            self._send(owner=self._owner)
        return Outcome("retry", reason="the engine is away", error=error)

    def _attempt(self) -> Outcome:
        """Do the work; where this worker cannot (no encoder, no decoder, …) its record says why."""
        try:
            attempt = self._work.attempt(self._services)
        except BackendUnavailableError:
            raise
        except Exception as error:
            return self._cannot_work(error)
        return attempt(self._id, owner=self._owner)

    def _cannot_work(self, error: Exception) -> Outcome:
        from vidsearch.ingest import Outcome

        if not isinstance(error, VidsearchError) or decide(error) is not Decision.GIVE_BACK:
            what = f"{type(error).__name__}: {first_line(error)}"
            error = ConfigError(f"this worker cannot embed videos: {what}")
        reason, entries = ErrorRecord.of(error, stage="prepare"), self._work.entries(self._services)
        record = None
        with suppress(LeaseLostError):
            lease = entries.claim(self._id, owner=self._owner)
            record = entries.release(lease, reason, counted=False)
        return Outcome("retry", record=record, reason=str(reason), error=error)

    def _pause(self, error: Exception) -> None:
        if self._has_worker:
            STOP.pause(_circuit.open(self._services, self._worker, error))

    @contextmanager
    def handed_back_in_time(self) -> Iterator[None]:
        """Hand back what is still going on some time after the worker was told to end: a download,
        a decoder that hangs."""
        done = threading.Event()

        def watch() -> None:
            while not STOP.is_set():
                if done.wait(_LOOK_SECONDS):
                    return
            if not done.wait(_GRACE_SECONDS):
                self._hand_back()

        thread = threading.Thread(target=watch, name=f"hand-back-{self._id}", daemon=True)
        first_look = call_later(_LOOK_SECONDS, thread.start)
        try:
            yield
        finally:
            done.set()
            first_look.cancel()

    def _hand_back(self) -> None:
        """Give the lease back, uncounted, and send a message for another worker. Once."""
        from vidsearch.registry.holders import is_handed_over
        from vidsearch.registry.queueing import WORKER_STOPPED

        if not self._is_first_to_hand_back():
            return
        reason = ErrorRecord(WORKER_STOPPED, "processing", "the worker was told to end")
        entries = self._work.entries(self._services)
        try:
            record = entries.hand_back(self._id, owner=self._owner, error=reason)
            # No other message comes for a long video whose slices have ended.
            if record.state in WAITING or is_handed_over(record):
                self._work.send(self._services, self._task.app, self._id)
                _log.info("video %r is handed back, as the worker is told to end", self._id)
        except BackendUnavailableError:
            self._send(owner=self._owner)
        except VidsearchError as error:
            _log.warning("video %r is not handed back: %s", self._id, error)

    def _is_first_to_hand_back(self) -> bool:
        """Whether no other thread of this attempt has sent a message for another worker."""
        with self._handing_back:
            is_first, self._is_handed_back = not self._is_handed_back, True
        return is_first

    def _send(self, *, owner: str | None = None) -> None:
        """Put the message back as it came, or with the owner of a lease."""
        broker, app = self._services.settings.broker, self._task.app
        _, problem = send_ids(
            app,
            self._work.task,
            [self._id],
            queue=broker.queue,
            timeout=broker.timeout,
            owner=owner,
        )
        if problem:  # the sweep sends it later
            _log.warning("the message for video %r is not sent: %s", self._id, problem)


class _Circuit(threading.local):
    """Whether this process, or thread, can work at all."""

    tries = 0
    """Times in a row that it could not."""
    noted = True
    """Whether operations may say that it cannot; an earlier process may have left that."""

    def open(self, services: Services, worker: str, error: Exception) -> float:
        """Note that it could not work; the seconds for which it is to take no video."""
        self.tries, self.noted = self.tries + 1, True
        seconds = pause_delay(self.tries, first=services.settings.ingest.retry_seconds)
        _log.warning("worker %s takes no videos for %.0f s: %s", worker, seconds, error)
        with suppress(VidsearchError):
            services.operations.pause(
                _key(worker),
                error=ErrorRecord.of(error, stage="prepare"),
                until=services.clock() + seconds,
                by=worker,
            )
        return seconds

    def close(self, services: Services, worker: str) -> None:
        """Note that it has worked."""
        self.tries = 0
        if self.noted:
            with suppress(VidsearchError):
                services.operations.resume(_key(worker))
                self.noted = False


_circuit = _Circuit()


def _key(worker: str) -> str:
    return f"{SETUP_PAUSE}{worker}"
