"""Calls that are made later, in one thread for all."""

from __future__ import annotations

import os
import threading

import pytest

from vidsearch.later import call_later

_LONG = 20.0


def test_calls_come_in_the_order_of_their_times_whenever_they_were_asked_for() -> None:
    made: list[str] = []
    done = threading.Event()
    call_later(0.2, done.set)
    call_later(0.1, lambda: made.append("second"))
    call_later(0.0, lambda: made.append("first"))
    assert done.wait(_LONG)
    assert made == ["first", "second"]


def test_a_cancelled_call_is_left_out_and_those_after_it_come() -> None:
    made: list[str] = []
    done = threading.Event()
    call_later(0.1, done.set)
    later = call_later(0.05, lambda: made.append("cancelled"))
    later.cancel()
    later.cancel()
    assert later.is_cancelled
    assert done.wait(_LONG)
    assert made == []


def test_all_calls_come_from_one_thread_that_outlasts_them() -> None:
    threads: list[threading.Thread] = []
    for _ in range(3):
        done = threading.Event()
        call_later(0.0, lambda: threads.append(threading.current_thread()))
        call_later(0.0, done.set)
        assert done.wait(_LONG)
    assert len({*threads}) == 1
    assert threads[0].daemon


def test_a_call_that_fails_is_logged_and_the_others_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done = threading.Event()
    call_later(0.0, lambda: 1 / 0)
    call_later(0.05, done.set)
    assert done.wait(_LONG)
    assert "a call that was due has failed" in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_child_of_a_fork_makes_its_own_calls_only() -> None:
    started = threading.Event()
    call_later(0.0, started.set)
    assert started.wait(_LONG)  # the thread runs, which the child does not have
    of_parent = call_later(0.0 + _LONG, lambda: os._exit(3))
    child = os.fork()
    if not child:
        done = threading.Event()
        call_later(0.0, done.set)
        os._exit(0 if done.wait(_LONG) else 1)
    of_parent.cancel()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
