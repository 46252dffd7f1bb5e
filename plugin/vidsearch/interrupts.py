"""Interrupts that wait until what must not be left half done is done, and that let it be undone."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, NoReturn

__all__ = ["Uninterrupted", "ending_as_an_error", "exit_by"]

_log = logging.getLogger(__name__)
_SIGNALS = tuple(  # the last one comes where a terminal is closed; Windows has none
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


def exit_by(number: int, frame: object) -> NoReturn:
    """A handler of a signal: ends the process with the exit code that a shell shows for it."""
    sys.exit(128 + number)


@contextmanager
def ending_as_an_error() -> Iterator[None]:
    """In this block SIGTERM and SIGHUP end the process as Ctrl-C does: by an error, so that what
    was begun is undone. One that the program handles itself, or ignores (``nohup``), it keeps."""
    replaced = []
    if threading.current_thread() is threading.main_thread():
        usual = [one for one in _SIGNALS if signal.getsignal(one) is signal.SIG_DFL]
        replaced = [one for one in usual if one is not signal.SIGINT]
    for number in replaced:
        signal.signal(number, exit_by)
    try:
        yield
    finally:
        for number in replaced:
            signal.signal(number, signal.SIG_DFL)


class Uninterrupted:
    """A context in which Ctrl-C, SIGTERM and SIGHUP are put off to its end.

    At the end they do what they would have done, once, however often they came. For work that takes
    a moment, or whose requests time out. In a thread that is not the main one nothing is put off,
    as none of them gets there.

        with Uninterrupted("the swap") as interrupts:
            with interrupts.allowed():
                …  # may take long
            …  # is done as a whole
            interrupts.check()  # can be undone here

    ``what`` it is, for the log.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._before: dict[signal.Signals, Any] = {}
        self._came: list[signal.Signals] = []
        self._allowed = False

    def __enter__(self) -> Uninterrupted:
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                before = signal.getsignal(number)
                if before is not None and before is not signal.SIG_IGN:
                    self._before[number] = before
                    signal.signal(number, self._come)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, before in reversed(self._before.items()):
            signal.signal(number, before)
        # SIGINT is the last one, as it raises.
        for number in sorted(self._came, key=lambda came: came is signal.SIGINT):
            signal.raise_signal(number)

    @property
    def is_waiting(self) -> bool:
        """Whether one was put off; at the end the process may be ended by it."""
        return bool(self._came)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """In this block they come at once, and leave it."""
        self._allowed = True
        try:
            yield
        finally:
            self._allowed = False

    def check(self) -> None:
        """Leave the context here where one waits: for work that may take long and is undone then.

        Raises:
            KeyboardInterrupt: at the end the signals do what they would have done.
        """
        if self._came:
            raise KeyboardInterrupt

    def _come(self, number: int, frame: FrameType | None) -> None:
        came = signal.Signals(number)
        if not self._allowed:
            if came not in self._came:
                self._came.append(came)
                # Commands show no warnings unless asked, and this is said to who waits for the end.
                _log.error("%s is put off until %s is done or undone", came.name, self._what)
            return
        before = self._before[came]
        if callable(before):
            before(number, frame)
        else:
            signal.signal(came, before)
            signal.raise_signal(came)
