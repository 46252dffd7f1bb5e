"""Names of files, as people type them."""

from __future__ import annotations

import unicodedata

__all__ = ["composed"]


def composed(name: str) -> str:
    """The name in composed letters (NFC): one that a Mac wrote may have letters and accents apart,
    and stays another file for the file systems of others."""
    return unicodedata.normalize("NFC", name)
