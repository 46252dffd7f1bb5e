"""A real worker process for tests."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import psutil
from tests.waiting import until

from vidsearch.local.process import spawn

__all__ = ["FAKE_APP", "Worker", "until"]

_ROOT = Path(__file__).resolve().parents[2]
_DECODERS = ("vidsearch.media.isolation.child", "misbehaving_child.py")

FAKE_APP = "tests.integration.fake_app"
"""Our tasks with the fake encoder."""


class Worker:
    """``python -m celery -A … worker`` with prefork and one child.

    It ends with the test session, however that one ends. At the end of its block it is killed, as a
    warm shutdown takes two seconds: a test that needs one says so (:meth:`stop`).

    Args:
        folder: for its log.
        env: settings; what is empty is unset.
        app: what ``-A`` names.
        options: further options of the command line.
    """

    def __init__(
        self,
        folder: Path,
        env: Mapping[str, str],
        *,
        app: str = FAKE_APP,
        options: tuple[str, ...] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "worker.log"
        command = [
            *(sys.executable, "-m", "celery", "-A", app, "worker"),
            *("--pool", "prefork", "--concurrency", "1", "--loglevel", "INFO"),
            *("--without-mingle", "--without-gossip", "--hostname", f"{folder.name}@%h"),
            *options,
        ]
        # Temporary files of one that is killed stay, and go with the test.
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": path, "TMPDIR": str(folder)}
        merged = {**os.environ, **own, **env}
        environment = {name: value for name, value in merged.items() if value}
        self._process = spawn(command, log=self.log, env=environment, bound=True)

    def __enter__(self) -> Worker:
        try:
            until(self.is_ready, what="the worker is ready", worker=self)
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def text(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def is_ready(self) -> bool:
        """Whether it has begun to take messages."""
        return " ready." in self.text()

    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.alive()

    @property
    def pid(self) -> int:
        """Of Celery's parent process; what started it ends it with the test session."""
        return self._parent().pid

    def child(self) -> int:
        """Pid of the process that does the work; not of one that decodes for it."""
        found: list[int] = []

        def works() -> bool:
            pool = self.processes()["pool"]
            parents = {_parent_of(process) for process in pool}
            found[:] = [process.pid for process in pool if process.pid not in parents]
            return len(found) == 1

        until(works, what="one process does the work", worker=self)
        return found[0]

    def processes(self) -> dict[str, list[psutil.Process]]:
        """Those that it consists of just now: ``parent``, ``pool`` and ``decoder``."""
        found: dict[str, list[psutil.Process]] = {"parent": [], "pool": [], "decoder": []}
        with contextlib.suppress(psutil.NoSuchProcess, ValueError):
            parent = self._parent()
            found["parent"].append(parent)
            for process in parent.children(recursive=True):
                with contextlib.suppress(psutil.NoSuchProcess):
                    found["decoder" if _is_decoder(process) else "pool"].append(process)
        return found

    def _parent(self) -> psutil.Process:
        (parent,) = psutil.Process(self._process.pid).children()
        return parent

    def stop(self) -> None:
        """Warm shutdown; whatever is left after it is killed."""
        self._process.stop(grace=30)

    def kill(self) -> None:
        """SIGKILL to the parent and its child: no clean-up of any kind."""
        if self.alive():  # else another process may have that pid by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        while self.alive():
            time.sleep(0.02)


def _is_decoder(process: psutil.Process) -> bool:
    return any(part.endswith(_DECODERS) for part in process.cmdline())


def _parent_of(process: psutil.Process) -> int | None:
    try:
        return process.ppid()
    except psutil.NoSuchProcess:
        return None
