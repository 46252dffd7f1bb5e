"""A process that reindexes, and ends itself by a signal, such as SIGKILL:
``python -m tests.integration.killed_reindex WHEN SIGNAL``.

``WHEN`` is a :class:`Moment`, or :data:`STOPPED`. The settings come from the environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from tests.waiting import until

from vidsearch.config import load_settings
from vidsearch.engines import Document
from vidsearch.index import catch_up, swap
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.following import Follower
from vidsearch.reindex import Changes, Reindexer, ReindexRun, RunStore
from vidsearch.reindex import target as targets
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, reindexer

__all__ = [
    "BEGUN",
    "LEASE",
    "MOVED",
    "STOPPED",
    "UNDONE",
    "Moment",
    "go_to",
    "killed",
    "stopped",
]

LEASE = 0.5
_STEPS = ("writing_both", "copying", "catching_up", "verified", "swapped")
BEGUN = ("begun:planned", *(f"begun:{step}" for step in _STEPS))
"""As soon as the record says that step."""
UNDONE = tuple(f"undone:{step}" for step in _STEPS)
"""All that the step needs is done, but not recorded: the alias is moved already, for instance."""
MOVED = "undone:moved"
"""Writes to an attached index are refused, and the alias is about to move."""
STOPPED = "stopped:last_pass"
"""Document ``1`` of an attached index was changed when its writes are to stop, and is about to be
written to the copy: the process is stopped there, and goes on when it is told to."""
_ROOT = Path(__file__).resolve().parents[2]


def killed(services: Services, when: str, *, by: signal.Signals = signal.SIGKILL) -> ReindexRun:
    """The record of the run, after a process with these settings was killed at that moment, or got
    that signal, twice."""
    process = _started(services, when, by)
    try:
        _, errors = process.communicate(timeout=200)
    finally:
        process.kill()
    assert process.returncode == -by, errors.decode()
    return reindexer(services).runs.all()[0]


@contextmanager
def stopped(services: Services) -> Iterator[subprocess.Popen[bytes]]:
    """A process with these settings that is :data:`STOPPED`."""
    process = _started(services, STOPPED, signal.SIGSTOP)
    try:
        about = psutil.Process(process.pid)
        until(
            lambda: about.status() in {psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE},
            what="the process is stopped",
        )
        assert process.poll() is None
        yield process
    finally:
        process.kill()
        process.communicate()


def _started(services: Services, when: str, by: signal.Signals) -> subprocess.Popen[bytes]:
    settings = services.settings
    env = {
        "VIDSEARCH_ENGINE__URL": settings.engine.url,
        "VIDSEARCH_ENGINE__KIND": settings.engine.kind,
        "VIDSEARCH_INDEX__NAME": settings.index.name,
        "VIDSEARCH_INDEX__REPLICAS": "0",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-m", "tests.integration.killed_reindex", when, by.name]
    return subprocess.Popen(
        command, env={**os.environ, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@dataclass(frozen=True)
class Moment:
    """A moment of a run, at which something is done: ``begun:STEP`` or ``undone:STEP``."""

    when: str
    act: Callable[[], object]

    @property
    def step(self) -> str:
        return self.when.partition(":")[2]

    def begun(self, run: ReindexRun) -> None:
        """To be told each record."""
        if self.when == f"begun:{run.step}":
            self.act()

    def recording(self, change: Callable[..., ReindexRun]) -> Callable[..., ReindexRun]:
        """What takes the place of ``RunStore.change``."""

        def watched(self_: RunStore, id: str, *, held_by: str, **values: Any) -> ReindexRun:
            if self.when == f"undone:{values.get('step')}":
                self.act()
            return change(self_, id, held_by=held_by, **values)

        return watched

    def moving(self, moves: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
        """What takes the place of ``alias_moves``."""

        def watched(*args: Any, **options: Any) -> list[Any]:
            if self.when == MOVED:
                self.act()
            return moves(*args, **options)

        return watched


def go_to(step: str, reindexer: Reindexer) -> ReindexRun:
    """Reindex, or undo that, on the way to a step."""
    if step.startswith("roll"):
        return reindexer.roll_back()
    if reindexer.runs.open() is not None:
        return reindexer.resume()
    return reindexer.start(Changes(quantization="flat"), keep_old=step != "done")


def _stop_in_the_last_pass() -> None:
    finish, put = CatchUp.finish, Follower._put

    def finishing(self: CatchUp, stop_writes: Callable[[], object], **options: Any) -> None:
        self._engine.put(self._source, "1", {"n": 1})
        Follower._put = stopping  # type: ignore[method-assign]
        finish(self, stop_writes, **options)

    def stopping(self: Follower, documents: Sequence[Document], **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)
        put(self, documents, **options)

    CatchUp.finish = finishing  # type: ignore[method-assign]


def main(when: str, by: signal.Signals) -> None:
    def act() -> None:
        for _ in range(2):
            os.kill(os.getpid(), by)

    if by is signal.SIGINT:  # a process of the background has it ignored
        signal.signal(by, signal.default_int_handler)
    targets._WRITERS_SECONDS = 0.0  # this process is the only one that writes
    catch_up._CALM_SECONDS = 0.5
    if when == STOPPED:
        _stop_in_the_last_pass()
    moment = Moment(when, act)
    RunStore.change = moment.recording(RunStore.change)  # type: ignore[method-assign]
    swap.alias_moves = moment.moving(swap.alias_moves)
    with Services(load_settings(), encoder=FakeEncoder()) as services:
        go_to(moment.step, reindexer(services, lease_seconds=LEASE, on_step=moment.begun))


if __name__ == "__main__":
    main(sys.argv[1], signal.Signals[sys.argv[2]])
