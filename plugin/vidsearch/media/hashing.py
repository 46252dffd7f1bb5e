"""What makes two files the same video."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vidsearch.errors import SourceUnavailableError

__all__ = ["content_hash"]

_CHUNK = 1 << 20


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes as 64 hex digits; memory stays flat.

    Raises:
        SourceUnavailableError: the disk or the share failed while it was read.
    """
    digest = hashlib.sha256()
    buffer = bytearray(_CHUNK)
    view = memoryview(buffer)
    try:
        with path.open("rb", buffering=0) as file:
            while read := file.readinto(buffer):
                digest.update(view[:read])
    except OSError as error:
        raise SourceUnavailableError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()
