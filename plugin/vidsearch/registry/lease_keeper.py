"""Keeps a worker's lease alive while work goes on."""

from __future__ import annotations

import logging
import threading

from vidsearch.errors import LeaseLostError, VidsearchError
from vidsearch.later import Later, call_later
from vidsearch.registry.registry import Registry
from vidsearch.registry.store import Lease

__all__ = ["RENEW_AGAIN_SECONDS", "LeaseKeeper"]

_log = logging.getLogger(__name__)
RENEW_AGAIN_SECONDS = 1.0
"""After which a lease is renewed again that could not be."""


class LeaseKeeper:
    """Renews a lease three times per term, from a thread that the first renewal starts.

    One long step (a download, a slow batch) would otherwise outlast the lease. The thread also
    renews the lease of a worker that hangs. Such a worker is ended by the task's time limit, which
    Celery enforces in its ``prefork`` pool only: in the pools ``solo`` and ``threads``, a video
    whose worker hangs stays ``processing`` until that worker is stopped.
    """

    def __init__(self, registry: Registry, lease: Lease) -> None:
        self._registry = registry
        self._lease = lease
        self._lost: LeaseLostError | None = None
        self._renewing = threading.Lock()
        self._stop = threading.Event()
        self._pause = registry.lease_seconds / 3
        self._thread = threading.Thread(
            target=self._renew_until_stopped, name=f"lease-{lease.id}", daemon=True
        )
        self._first: Later | None = None

    def __enter__(self) -> LeaseKeeper:
        self._first = call_later(self._pause, self._thread.start)
        return self

    def __exit__(self, *error: object) -> None:
        self._end()

    def check(self) -> None:
        """Raise where the lease is known to be lost.

        Raises:
            LeaseLostError: another worker has the video, or it was deleted or registered anew.
        """
        if self._lost is not None:
            raise self._lost

    def renew(self) -> None:
        """Renew now, in the caller's thread. The keeper's own thread goes on.

        Raises:
            LeaseLostError: see :meth:`check`.
            BackendUnavailableError: the engine does not answer.
        """
        with self._renewing:
            self.check()
            try:
                self._lease = self._registry.renew(self._lease)
            except LeaseLostError as error:
                self._lost = error
                raise

    def finish(self) -> Lease:
        """Stop renewing and return the lease as it stands.

        Raises:
            LeaseLostError: see :meth:`check`.
        """
        self._end()
        self.check()
        return self._lease

    def _end(self) -> None:
        self._stop.set()  # a thread that is started at this moment renews nothing
        if self._first is not None:
            self._first.cancel()
        if self._thread.is_alive():
            self._thread.join()

    def _renew_until_stopped(self) -> None:
        is_away = False
        while not self._stop.is_set():
            try:
                self.renew()
            except LeaseLostError:
                return  # the worker finds it in check()
            except VidsearchError as error:
                # The registry is in the engine: while it is away nobody else can take the lease
                # either, so the work goes on. When it is back, the lease may have run out, and the
                # next sweep would take the video from a worker that is well.
                if not is_away:
                    _log.warning("lease of video %s not renewed: %s", self._lease.id, error)
                is_away = True
            else:
                is_away = False
            self._stop.wait(min(self._pause, RENEW_AGAIN_SECONDS) if is_away else self._pause)
