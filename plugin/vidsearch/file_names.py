"""Names of files, as people type them and as they are shown, and in URIs."""

from __future__ import annotations

import os
import unicodedata
from urllib.parse import unquote_to_bytes, urlsplit

__all__ = ["composed", "path_in", "printable"]


def composed(name: str) -> str:
    """The name in composed letters (NFC): one that a Mac wrote may have letters and accents apart,
    and stays another file for the file systems of others."""
    return unicodedata.normalize("NFC", name)


def printable(name: str) -> str:
    """The name with escapes for bytes that are not UTF-8, and for what is no visible character."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def path_in(uri: str) -> str | None:
    """The path that a ``file:`` URI names, as Python has it where a name is not UTF-8; ``None``
    where it is one of another host.

    Raises:
        ValueError: it cannot be taken apart.
    """
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"}:
        return None
    return os.fsdecode(unquote_to_bytes(os.fsencode(parts.path)))
