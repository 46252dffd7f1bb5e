"""Ctrl-C, SIGTERM and SIGHUP wait until what must not be left half done is done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from vidsearch.interrupts import Uninterrupted, ending_as_an_error


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[int]]:
    """Those of a program that runs in a terminal; all but SIGINT note that they came."""
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        came.append(number)

    before = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, note),
        signal.SIGHUP: signal.signal(signal.SIGHUP, note),
    }
    yield came
    for number, handler in before.items():
        signal.signal(number, handler)


def press() -> None:
    """Ctrl-C."""
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_comes_when_the_work_is_done_however_often_it_is_made(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []

    def work() -> None:
        with Uninterrupted("the swap"):
            press()
            done.append("first")
            press()
            done.append("second")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["first", "second"]
    said = [(one.levelname, one.message) for one in caplog.records]
    assert said == [("ERROR", "SIGINT is put off until the swap is done or undone")]  # shown so
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_where_it_is_allowed_it_comes_at_once_and_the_next_one_waits_for_the_end() -> None:
    done: list[str] = []

    def work() -> None:
        with Uninterrupted("the swap") as interrupts:
            try:
                with interrupts.allowed():
                    press()
                    done.append("not reached")
            finally:
                press()
                done.append("undone")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["undone"]


def test_an_error_of_the_work_is_the_context_of_an_interrupt_that_waited() -> None:
    def work() -> None:
        with Uninterrupted("the swap"):
            press()
            raise ValueError("no")

    with pytest.raises(KeyboardInterrupt) as raised:
        work()
    assert isinstance(raised.value.__context__, ValueError)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_handler_of_a_program_is_told_at_the_end(
    handlers: list[int], number: signal.Signals
) -> None:
    with Uninterrupted("the swap") as interrupts:
        os.kill(os.getpid(), number)
        assert handlers == []
        with interrupts.allowed():
            os.kill(os.getpid(), number)
            assert handlers == [number]
    assert handlers == [number] * 2


def test_a_signal_that_a_program_ignores_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Uninterrupted("the swap"):
        press()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_one_within_another_waits_for_the_outer_one() -> None:
    done: list[str] = []

    def work() -> None:
        with Uninterrupted("all of it"):
            with Uninterrupted("the swap"):
                press()
                done.append("inner")
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inner", "outer"]


def test_in_another_thread_nothing_is_put_off() -> None:
    handlers: list[Any] = []

    def work() -> None:
        with Uninterrupted("the swap") as interrupts, interrupts.allowed():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_nobody_handles_ends_the_work_as_an_error_so_that_it_is_undone(
    number: signal.Signals,
) -> None:
    signal.signal(number, signal.SIG_DFL)
    undone: list[str] = []

    def work() -> None:
        with ending_as_an_error(), Uninterrupted("the swap") as interrupts, interrupts.allowed():
            try:
                os.kill(os.getpid(), number)
                threading.Event().wait(5.0)
            except BaseException:
                undone.append("copy")
                raise

    with pytest.raises(SystemExit) as ended:
        work()
    assert (ended.value.code, undone) == (128 + number, ["copy"])
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_the_program_handles_or_ignores_stays_with_it(handlers: list[int]) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    with ending_as_an_error():
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
    assert handlers == [signal.SIGTERM]
