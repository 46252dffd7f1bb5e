"""Raw MJPEG: JPEG pictures one after the other, without a container."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["is_raw_mjpeg"]

_START, _END, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_MOST_BYTES = 1 << 26
"""Of the first picture."""
_MARKER_IN_SCAN = re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]")
"""The next marker behind compressed data: not a stuffed byte and not a restart."""
_SEVERAL_PICTURES = b"MPF\0"
"""A camera's still picture with another one behind it (a preview, a gain map, the other eye)."""


def is_raw_mjpeg(path: Path) -> bool:
    """Whether a file is a row of JPEG pictures, which FFmpeg takes for a single one."""
    with path.open("rb") as file:
        if file.read(2) != _START:
            return False
        file.seek(0)
        head = file.read(_MOST_BYTES)
    at = len(_START)
    while at + 4 <= len(head) and head[at] == 0xFF:
        if head[at : at + 2] == _END:
            return head[at + 2 : at + 5] == _START + b"\xff"
        if head[at + 4 : at + 8] == _SEVERAL_PICTURES:
            return False
        is_scan = head[at + 1] == _SCAN
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
        if is_scan:
            following = _MARKER_IN_SCAN.search(head, at)
            at = following.end() - 2 if following else len(head)
    return False
