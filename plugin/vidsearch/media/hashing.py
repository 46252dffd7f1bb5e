"""What makes two files the same video."""

from __future__ import annotations

import hashlib
from pathlib import Path

__all__ = ["content_hash"]

_CHUNK = 1 << 20


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hex digits; memory stays flat."""
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    with path.open("rb", buffering=0) as file:
        while read := file.readinto(buffer):
            digest.update(view[:read])
    return digest.hexdigest()
