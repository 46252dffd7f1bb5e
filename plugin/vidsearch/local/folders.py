"""The folder of a service: a given one, or one that goes when the service does."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from vidsearch.errors import LocalError

__all__ = ["Folder", "make_folder"]


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a service keeps data and logs."""

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
