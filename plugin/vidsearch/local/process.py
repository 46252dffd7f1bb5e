"""Child processes, identified by pid and start time, so that a reused pid is recognised."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vidsearch.errors import LocalError
from vidsearch.local.folders import Folder

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Process", "Server", "spawn", "tail"]

_GUARD = Path(__file__).with_name("guard.py")
_POLL_SECONDS = 0.05
_RESET = [signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@dataclass(frozen=True, slots=True)
class Process:
    """A process that leads its own session, perhaps started by another program."""

    pid: int
    started: str
    """Start time as the kernel gives it: another process with the same pid has another one."""

    def alive(self) -> bool:
        """Whether that process still runs; reaps it where it is a child and has ended."""
        with suppress(ChildProcessError):  # not a child of this process, or reaped before
            os.waitpid(self.pid, os.WNOHANG)
        return _start_time(self.pid) == self.started

    def stop(self, *, grace: float = 15.0) -> None:
        """SIGTERM, then after ``grace`` seconds SIGKILL to all of its session's group."""
        if not self.alive():
            return
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        self._wait(grace)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._wait(5.0)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.alive() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs on this machine; as a context manager it stops at the end."""

    url: str
    folder: Folder
    """Holds its data and logs."""
    process: Process

    def stop(self) -> None:
        """Stop it and remove its folder where that is a temporary one."""
        self.process.stop()
        self.folder.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.stop()


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    bound: bool = False,
    remove: Path | None = None,
) -> Process:
    """Start ``command`` in a session of its own, its output appended to ``log``.

    Args:
        bound: the process ends when this one does, however this one ends.
        remove: folder that is removed in that case; the caller removes it otherwise.

    Raises:
        LocalError: the program cannot be executed.
    """
    program = shutil.which(command[0])
    if program is None:
        raise LocalError(f"cannot run {command[0]!r}: no such program")
    arguments = [program, *command[1:]]
    if bound:
        guard = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(remove or "")]
        arguments = [*guard, *arguments]
    try:
        pid = os.posix_spawn(
            arguments[0],
            arguments,
            os.environ if env is None else env,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
                *((os.POSIX_SPAWN_CLOSE, descriptor) for descriptor in _inherited()),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=_RESET,
        )
    except OSError as error:
        raise LocalError(f"cannot run {program}: {error.strerror}") from error
    return Process(pid, _start_time(pid) or "")


def _inherited() -> Iterator[int]:
    """Descriptors of whoever started this process: a lock or a pipe of its would be held for as
    long as a server runs. Those that Python opens go to no child."""
    try:
        names = os.listdir("/dev/fd")  # noqa: PTH208  (numbers, not paths)
    except OSError:  # there is no such folder
        return
    for name in names:
        with suppress(OSError):  # that of the folder is closed again
            if int(name) > 2 and os.get_inheritable(int(name)):
                yield int(name)


def tail(log: Path, *, lines: int = 25) -> str:
    """The last lines of a log, for an error message."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(the log is empty)"


def _start_time(pid: int) -> str | None:
    """When the process started, ``None`` where there is none or where it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_time_from_ps(pid)
    # The name, field 2, may hold spaces and brackets itself; field 3 follows its last bracket.
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _start_time_from_ps(pid: int) -> str | None:  # macOS
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
