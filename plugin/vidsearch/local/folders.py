"""Folders of services, and locks on files in them."""

from __future__ import annotations

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vidsearch.errors import LocalError

__all__ = ["Folder", "locked", "make_folder"]


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a service keeps data and logs; a temporary one is removed with the service."""

    path: Path
    temporary: bool

    @classmethod
    def claim(cls, path: Path | None, *, prefix: str) -> Folder:
        """``path``, made where absent; a fresh temporary folder for ``None``.

        Raises:
            LocalError: the folder cannot be made.
        """
        if path is None:
            return cls(Path(tempfile.mkdtemp(prefix=prefix)).resolve(), temporary=True)
        return cls(make_folder(path).resolve(), temporary=False)

    @property
    def to_remove(self) -> Path | None:
        """The folder if it should not outlive the service."""
        return self.path if self.temporary else None

    def release(self) -> None:
        """Remove it if it is temporary."""
        if self.temporary:
            shutil.rmtree(self.path, ignore_errors=True)


def make_folder(path: Path) -> Path:
    """Make the folder where it is absent.

    Raises:
        LocalError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LocalError(f"cannot make the folder {path}: {error.strerror}") from error
    return path


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold a lock that one process has at a time; the file is made where it is absent.

    Raises:
        LocalError: its folder cannot be made.
    """
    make_folder(file.parent)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
