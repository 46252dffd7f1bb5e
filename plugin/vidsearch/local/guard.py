"""Runs a command and ends it, with all of its process group, when the parent is gone.

A script of its own, run with ``python -I -S``: ``guard.py PARENT_PID FOLDER_OR_EMPTY COMMAND…``.
Polling the parent's pid works however the parent ends, by SIGKILL too, on every Unix, and whichever
of its threads started this script. A pipe would stay open in forked siblings, and PR_SET_PDEATHSIG
would fire when the starting thread ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

__all__ = ["main"]

_POLL_SECONDS = 0.05
_GRACE_SECONDS = 10.0


def main(parent: int, remove: str, command: list[str]) -> int:
    """Return the command's exit code, or 0 where it was stopped."""
    told: list[int] = []  # the handler only notes: raising could hit the middle of Popen
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: told.append(number))
    child = subprocess.Popen(command)
    while not told and os.getppid() == parent:
        code = child.poll()
        if code is not None:
            return code
        time.sleep(_POLL_SECONDS)
    _end(child)
    if not told:  # else whoever told it does the rest
        _clean_up(remove)
    return 0


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _clean_up(remove: str) -> None:
    """Kill what the command left in its process group, which is this one's, and remove a folder."""
    group = os.getpgrp()
    if os.fork():
        signal.pause()  # until killed with the group
    os.setsid()
    os.killpg(group, signal.SIGKILL)
    if remove:
        shutil.rmtree(remove, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2], sys.argv[3:]))
