"""Files of this machine and user that one process locks at a time, whatever becomes of it."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

__all__ = ["locks_folder", "opened_lock", "try_lock"]


def locks_folder(base: Path | None, name: str) -> Path:
    """The folder of the locks of one kind, made unless it is there.

    Args:
        base: what it is in, and is not made: it may be a disk that is not mounted. ``None``: the
            temporary folder of the system.
        name: of the kind.

    Raises:
        OSError: there is no place for it, or another user may have made what is there.
    """
    # With the user's number: the folder of another user could not be written to.
    folder = Path(base or gettempdir()) / f"vidsearch-{name}-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.parent.stat().st_mode & stat.S_IWOTH:
        # Anybody can make one of that name first there, and hold its locks for ever.
        _make_own(folder)
    return folder


def _make_own(folder: Path) -> None:
    """Take the rights of others from a folder that this user has made. Refuse that of another."""
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or not _is_own(status, folder.parent):
        reason = "is not a folder of this user, as another may have made it: remove it"
        raise OSError(errno.EPERM, f"{str(folder)!r} {reason}")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        with contextlib.suppress(OSError):  # a file system with the same rights for all there is
            folder.chmod(0o700)


def _is_own(status: os.stat_result, parent: Path) -> bool:
    if status.st_uid == os.geteuid():
        return True
    # File systems of other machines may give all files to one user, or those of root to nobody.
    with TemporaryDirectory(prefix="vidsearch-", dir=parent) as made:
        return os.lstat(made).st_uid == status.st_uid


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
