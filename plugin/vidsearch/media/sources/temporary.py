"""Room for copies of remote videos: bounded, and gone afterwards even if the worker is killed."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from vidsearch.errors import TemporaryFolderError, VideoTooLargeError

__all__ = ["BoundedFile", "workspace"]

_log = logging.getLogger(__name__)

_LOCK = ".lock"
_YOUNG_SECONDS = 60.0


@contextlib.contextmanager
def workspace(folder: Path | None) -> Iterator[Path]:
    """A private folder for as long as the context lasts.

    It is called ``vidsearch-<host>-…`` and holds a locked file. A killed worker's lock is free, by
    which the next one knows that the folder is a leftover and removes it.

    Args:
        folder: where to make it; ``None`` is the system's place for temporary files.

    Raises:
        TemporaryFolderError: it cannot be made; no fault of the video.
    """
    try:
        base = tempfile.gettempdir() if folder is None else str(folder)
        _clear_leftovers(base)
        made = Path(tempfile.mkdtemp(prefix=_prefix(), dir=base))
    except OSError as error:
        raise TemporaryFolderError(
            f"no temporary folder can be made in {folder or 'the place of the system'}: "
            f"{error.strerror}; make room there or set sources.folder"
        ) from error
    lock: int | None = None
    try:
        with contextlib.suppress(OSError):  # a full disk is told when the video is stored
            lock = _lock(made)
        yield made
    finally:
        if lock is not None:
            os.close(lock)
        shutil.rmtree(made, ignore_errors=True)


def _prefix() -> str:
    host = re.sub(r"[^A-Za-z0-9]+", "-", socket.gethostname())[:40]
    return f"vidsearch-{host}-"


def _lock(folder: Path) -> int | None:
    """Hold the folder's lock until the descriptor is closed or the process is dead."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: leftovers stay
        return None
    lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by another, or a file system without locks
        os.close(lock)
        return None
    return lock


@functools.lru_cache(maxsize=16)
def _clear_leftovers(base: str) -> None:
    """Remove what killed workers of this host and user left; once per process and place."""
    with contextlib.suppress(OSError), os.scandir(base) as entries:
        for entry in entries:
            if entry.name.startswith(_prefix()) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _clear_if_left(Path(entry.path))


def _clear_if_left(folder: Path) -> None:
    held = (folder / _LOCK).lstat()  # without it, the folder may be about to be locked
    if held.st_uid != os.geteuid() or time.time() - held.st_mtime < _YOUNG_SECONDS:
        return
    lock = _lock(folder)
    if lock is None:
        return
    try:
        shutil.rmtree(folder, ignore_errors=True)
        _log.info("removed %s, which a killed worker left", folder)
    finally:
        os.close(lock)


class BoundedFile:
    """A file being written that never grows beyond a limit.

    Args:
        path: of the file; it is made anew.
        limit: maximum number of bytes.
        where: the URI as it may be shown.
    """

    def __init__(self, path: Path, *, limit: int, where: str) -> None:
        self.size = 0
        """Bytes so far."""
        self._path = path
        self._limit = limit
        self._where = where
        with self._mapped():
            self._file = path.open("wb")

    def __enter__(self) -> BoundedFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            return
        with self._mapped():
            self._file.close()

    def expect(self, size: int) -> None:
        """Refuse what will not fit, before a byte of it is read.

        Raises:
            VideoTooLargeError: beyond the limit.
            TemporaryFolderError: beyond what the disk has left.
        """
        if size > self._limit:
            raise self._too_large(f"{size} bytes")
        with self._mapped():
            free = shutil.disk_usage(self._path.parent).free
        if size - self.size > free:
            raise TemporaryFolderError(
                f"{self._where} cannot be stored: it has {size} bytes, and {free} are free in the "
                "folder for temporary copies; make room or set sources.folder"
            )

    def write(self, chunk: bytes) -> None:
        """Append.

        Raises:
            VideoTooLargeError: it would go beyond the limit.
            TemporaryFolderError: the disk is full or broken.
        """
        if self.size + len(chunk) > self._limit:
            raise self._too_large("more")
        with self._mapped():
            self._file.write(chunk)
        self.size += len(chunk)

    def restart(self) -> None:
        """Throw away what was written."""
        if not self.size:
            return
        with self._mapped():
            self._file.seek(0)
            self._file.truncate()
        self.size = 0

    def _too_large(self, size: str) -> VideoTooLargeError:
        return VideoTooLargeError(
            f"{self._where} has {size}, and sources.max_bytes allows {self._limit}"
        )

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise TemporaryFolderError(
                f"{self._where} cannot be stored: {error.strerror}; make room in the folder for "
                "temporary copies or set sources.folder"
            ) from error
