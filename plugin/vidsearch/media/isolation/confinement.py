"""What the decoding process gives up before it opens the first video.

Each of these is done where the system allows it: limits on memory and files are POSIX, the network
is left on Linux where user namespaces are permitted. What holds everywhere is the worker's clock.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress

__all__ = ["end_with_parent", "leave_network", "limit_resources"]

_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_PR_SET_NO_NEW_PRIVS = 38
_POLL_SECONDS = 1.0
_LINUX: bool = sys.platform == "linux"


def leave_network() -> None:
    """Go where there is no network, nor a way back to the worker's memory and environment.

    To be called before the first thread is started. Often not permitted (in containers, as a rule),
    which changes nothing else.
    """
    if not _LINUX:
        return
    import ctypes

    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    # A user namespace takes from root what lets it read other people's files.
    own_users = 0 if os.geteuid() == 0 else _CLONE_NEWUSER
    libc.unshare(own_users | _CLONE_NEWNET)


def limit_resources(*, megabytes: int) -> None:
    """Bound the address space; write no file, leave no core dump."""
    if os.name != "posix":
        return
    import resource

    limits = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0)]
    if _LINUX:  # macOS counts what the system itself maps
        limits.append((resource.RLIMIT_AS, megabytes << 20))
    for kind, most in limits:
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def end_with_parent(lifeline: int) -> None:
    """End this process when the worker ends, whatever a codec does meanwhile.

    Args:
        lifeline: file descriptor of a pipe over which nothing ever comes, and whose other side only
            the worker holds open.
    """
    if _LINUX:
        _end_with_pipe(lifeline)
    elif os.name == "posix":
        parent = os.getppid()
        threading.Thread(target=_poll_parent, args=(parent,), daemon=True).start()


def _end_with_pipe(pipe: int) -> None:
    # The kernel sends SIGIO when the other side closes, which ends a process at once. It sends it
    # for data, too, and after the reader has it already: hence a pipe that carries none.
    # PR_SET_PDEATHSIG would fire as soon as the *thread* ends that started this process.
    import fcntl
    import select

    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    closed = select.poll()
    closed.register(pipe, 0)
    if closed.poll(0):  # before there was a signal to get
        sys.exit(0)


def _poll_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_SECONDS)
    os._exit(0)
