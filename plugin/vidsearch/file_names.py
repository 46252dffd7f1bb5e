"""Names of files, as people type them and as they are shown."""

from __future__ import annotations

import os
import unicodedata

__all__ = ["composed", "printable"]


def composed(name: str) -> str:
    """The name in composed letters (NFC): one that a Mac wrote may have letters and accents apart,
    and stays another file for the file systems of others."""
    return unicodedata.normalize("NFC", name)


def printable(name: str) -> str:
    """The name with escapes for bytes that are not UTF-8, and for what is no visible character."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
