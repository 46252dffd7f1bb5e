"""What Linux tells of another process; ``None`` elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["bytes_read", "megabytes_held"]


def bytes_read(pid: int) -> int | None:
    """Bytes that a process has read so far, from the disk or its cache."""
    try:
        text = Path(f"/proc/{pid}/io").read_text()
    except OSError:
        return None
    return int(text.split("rchar:", 1)[1].split(None, 1)[0])


def megabytes_held(pid: int) -> float | None:
    """Address space of a process."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text().split(None, 1)[0]
    except OSError:
        return None
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20
