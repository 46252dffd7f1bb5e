"""What the header of an FLV file says that FFmpeg keeps to itself."""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["size_by_header"]

_SIGNATURE = b"FLV\1"
_SIZE = b"\0\x08filesize\0"
"""In the metadata that a file begins with; the value follows as a double."""
_HEAD_BYTES = 4096


def size_by_header(path: Path) -> int | None:
    """Bytes of the whole file; ``None`` where it was written live."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    _, _, after = head.partition(_SIZE)
    if not head.startswith(_SIGNATURE) or len(after) < 8:
        return None
    size: float = struct.unpack(">d", after[:8])[0]
    return int(size) if 0 < size < 1 << 62 else None
