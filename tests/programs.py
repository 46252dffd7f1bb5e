"""Programs that tests run, and what becomes of a test on a machine without them."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import NoReturn

import pytest

__all__ = ["ffmpeg", "ffprobe", "program", "unavailable"]

_SECONDS = 60


def unavailable(reason: str) -> NoReturn:
    """The test needs something that is not on this machine: it fails in CI, and skips elsewhere."""
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def program(name: str, *, package: str | None = None) -> str:
    """Where a program is that ``scripts/setup`` installs.

    Args:
        package: of Debian, where it has another name.
    """
    found = shutil.which(name)
    if found is None:
        unavailable(f"no {name} here: on Debian `apt-get install {package or name}`")
    return found


def ffmpeg(*arguments: object) -> None:
    """Write a file with the command; one of that name may be there already."""
    _output("ffmpeg", "-y", "-nostdin", *arguments)


def ffprobe(*arguments: object) -> str:
    """What the command prints."""
    return _output("ffprobe", *arguments)


def _output(name: str, *arguments: object) -> str:
    command = [program(name, package="ffmpeg"), "-v", "error", *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=_SECONDS)
    return done.stdout
