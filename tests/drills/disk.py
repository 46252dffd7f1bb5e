"""A disk that a drill can fill."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from vidsearch.local.folders import make_folder

__all__ = ["SmallDisk"]

_MEGABYTES = 16


class SmallDisk:
    """A file system of a few megabytes in memory, mounted on a folder.

    Args:
        folder: which is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = make_folder(folder)
        self.missing = self._mount()
        """Why it cannot be mounted; the folder is then a plain one."""
        self._filling = folder / "filling"

    def fill(self) -> None:
        """Leave no room on it, nor what came free since it was filled."""
        with self._filling.open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                return

    def free(self) -> None:
        """Make room again."""
        self._filling.unlink()

    def unmount(self) -> None:
        """Take it away. What is still open on it goes with its process."""
        if self.missing is None:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=True)

    def _mount(self) -> str | None:
        if sys.platform != "linux" or os.geteuid() != 0:
            return "a file system is mounted by root on Linux only"
        command = ["mount", "-t", "tmpfs", "-o", f"size={_MEGABYTES}m", "drill", str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.stderr.strip() or "mount failed" if done.returncode else None
