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

__all__ = ["die_with", "follow_parent", "leave_network", "limit_resources"]

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


def die_with(lifeline: int) -> None:
    """Make the end of the other side of a pipe the end of this process.

    The kernel sees to it, whatever a codec does: by SIGIO, which ends a process at once. What comes
    over a pipe makes that signal, too, and makes it after the reader has it already. So the pipe
    must be one that nothing ever comes over. PR_SET_PDEATHSIG would fire as soon as the *thread*
    ends that started us. Not where the kernel cannot be relied on, see :func:`follow_parent`.
    """
    if not _LINUX:
        return
    import fcntl
    import select

    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)
    gone = select.poll()
    gone.register(lifeline, 0)
    if gone.poll(0):  # before there was a signal to get
        sys.exit(0)


def follow_parent() -> None:
    """Where :func:`die_with` has no kernel to rely on: look for the parent now and then."""
    if _LINUX or os.name != "posix":
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_POLL_SECONDS)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
