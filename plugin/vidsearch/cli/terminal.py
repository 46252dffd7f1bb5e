"""Texts on a terminal: titles, URIs and errors are shown there, and never obeyed."""

from __future__ import annotations

import logging
import re

__all__ = ["LogLines", "escaped", "escaped_json"]

# What moves the cursor, changes colours, the window's title or the clipboard, or turns the order of
# letters round; and halves of characters, which no terminal takes. What joins letters, as between
# those of Persian or of an emoji, stays.
_OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escaped(text: str) -> str:
    """The text with escapes, such as ``\\x1b``, for what a terminal would obey. Line breaks
    and tabs stay."""
    whole = text.replace("\r\n", "\n")
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), whole)


def escaped_json(text: str) -> str:
    """JSON with escapes of its own for the same; line breaks are between values alone."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class LogLines(logging.Formatter):
    """Lines of a log that a terminal shows."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return escaped(super().format(record))
