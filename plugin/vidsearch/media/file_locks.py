"""Files of this machine and user that one process locks at a time, whatever becomes of it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from tempfile import gettempdir

__all__ = ["locks_folder", "opened_lock", "try_lock"]


def locks_folder(base: Path | None, name: str) -> Path:
    """The folder of the locks of one kind, made unless it is there.

    Args:
        base: what it is in, and is not made: it may be a disk that is not mounted. ``None``: the
            temporary folder of the system.
        name: of the kind.

    Raises:
        OSError: there is no place for it, or what is there is not this user's alone.
    """
    # With the user's number: the folder of another user could not be written to.
    folder = Path(base or gettempdir()) / f"vidsearch-{name}-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    # Anybody can make one of that name first where all may write, and hold its locks for ever.
    status = os.lstat(folder)
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_own or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        reason = "is not a folder that this user alone may write to: remove it"
        raise OSError(errno.EPERM, f"{str(folder)!r} {reason}")
    return folder


def opened_lock(path: Path, stack: contextlib.ExitStack) -> int:
    """The descriptor of a file to lock. The lock ends with the context, or with the process.

    Raises:
        OSError: the file cannot be made, or is a link.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    lock = os.open(path, flags, 0o600)
    stack.callback(os.close, lock)
    return lock


def try_lock(lock: int) -> bool:
    """Lock a file unless another holds it, and tell whether it is locked now.

    Where locks do not exist, it always is.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system
        return True
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:  # another holds it
        return False
    except OSError:  # a file system without locks
        return True
    return True
