"""Hosts of videos that do not answer are left alone, but for a probe a minute."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from os import getpid
from socket import gethostname
from typing import TypeVar
from urllib.parse import urlsplit

from vidsearch.errors import BackendError, SourcePausedError, SourceUnavailableError, VideoError
from vidsearch.registry.operations import Operations, Pause
from vidsearch_mappings.registry import ErrorRecord

__all__ = ["SourceCircuit", "source_host", "unwatched"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_ALLOWED_FAILURES = 2
"""In a row, of any of a host's videos, before it is left alone: one broken video is no outage."""
_PROBE_SECONDS = 60.0


def source_host(uri: str) -> str | None:
    """Host and port, or bucket, of a video; ``None`` where it lies on this machine."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # brackets that do not close: it is refused when it is read
        return None
    if parts.scheme in {"", "file"}:
        return None
    return parts.netloc.rpartition("@")[2].lower() or parts.scheme


def unwatched(uri: str) -> Callable[[], AbstractContextManager[None]]:
    """As :meth:`SourceCircuit.watch`, where nobody keeps a circuit."""
    return nullcontext


class SourceCircuit:
    """Keeps workers from a host that did not answer several times in a row.

    All workers share what they found out, by the notes of operations. Where these cannot be read or
    written, the host is asked.

    Args:
        operations: where pauses are noted.
        clock: seconds since the epoch, the same in all workers.
    """

    def __init__(self, operations: Operations, *, clock: Callable[[], float]) -> None:
        self._operations = operations
        self._clock = clock
        self._by = f"{gethostname()}:{getpid()}"

    def watch(self, uri: str) -> Callable[[], AbstractContextManager[None]]:
        """What requests for one video are made in: ``asking`` of ``open_source``.

        Raises:
            SourcePausedError: on entering; its host is left alone for now.
        """
        host = source_host(uri)
        return unwatched(uri) if host is None else _Watch(self, host).asking

    def admit(self, host: str) -> bool:
        """Let a video of a host be asked for; whether something is noted about the host.

        Raises:
            SourcePausedError: the host is left alone, and somebody else has the next probe.
        """
        found = self._noted(lambda: self._operations.find_pause(_key(host)))
        if found is None or found.tries <= _ALLOWED_FAILURES:
            return found is not None
        now = self._clock()
        if found.until <= now:
            # A probe counts as a failure until it has worked. Of several workers, one counts next.
            probe = self._noted(lambda: self._pause(host, found.error, now + _PROBE_SECONDS))
            if probe is None or probe.tries == found.tries + 1:
                return True
        raise SourcePausedError(
            f"{host} did not answer {found.tries} times in a row, and is asked again once a "
            f"minute; the last time: {found.error.message}",
            seconds=found.until - now,
        )

    def failed(self, host: str, error: SourceUnavailableError) -> None:
        """Note that a host did not answer."""
        before = self._noted(lambda: self._operations.find_pause(_key(host)))
        tries = before.tries if before else 0
        until = self._clock() + (_PROBE_SECONDS if tries >= _ALLOWED_FAILURES else 0.0)
        self._noted(lambda: self._pause(host, ErrorRecord.of(error, stage="fetch"), until))
        if tries == _ALLOWED_FAILURES:
            _log.warning("%s is left alone, but for one video a minute: %s", host, error)

    def worked(self, host: str) -> None:
        """Note that a host answered."""
        self._noted(lambda: self._operations.resume(_key(host)))

    def _pause(self, host: str, error: ErrorRecord, until: float) -> Pause:
        return self._operations.pause(_key(host), error=error, until=until, by=self._by)

    def _noted(self, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except BackendError as error:
            _log.warning("what is noted about hosts of videos is not used: %s", error)
            return None


class _Watch:
    """The requests for one video: the first one asks to be let, and tells whether it worked."""

    def __init__(self, circuit: SourceCircuit, host: str) -> None:
        self._circuit = circuit
        self._host = host
        self._admitted = False
        self._noted = False

    @contextmanager
    def asking(self) -> Iterator[None]:
        if not self._admitted:
            self._noted = self._circuit.admit(self._host)
            self._admitted = True
        try:
            yield
        except SourceUnavailableError as error:
            if error.fault == "outage":  # and no want of room on this machine
                self._admitted = False
                self._circuit.failed(self._host, error)
            raise
        except VideoError:
            self._answered()
            raise
        self._answered()

    def _answered(self) -> None:
        if self._noted:
            self._noted = False
            self._circuit.worked(self._host)


def _key(host: str) -> str:
    return f"source:{host}"
