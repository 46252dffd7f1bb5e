"""Whether a URI holds a user or a password, also where it is not written as one should be."""

from __future__ import annotations

import re

__all__ = ["holds_credentials", "without_invisible"]

_INVISIBLE = re.compile("[\\s\x00-\x20\u200b-\u200f\u2060\ufeff]+")
"""Spaces, and what comes along when text is copied, such as a byte order mark."""
_DROPPED = re.compile(r"[\t\r\n]+")
"""What parsers of URLs leave out wherever it stands."""
# What stands before an @ in the authority. What follows a colon there and is no port is a password
# with a slash in it that is not encoded. So is what looks like a port, if a host and a folder
# follow an @ further on: https://user:123/4@host/x.
_AUTHORITY = (
    r"(?:[^/?#]*@|[^/?#\[\]]*:(?!\d*(?:[/?#]|$))|[^/?#\[\]]+:\d*[/?#].*[^/]@[\w.-]+(?::\d+)?/)"
)
_PATTERN = re.compile(
    # well written, or with slashes too few or too many where it can be nothing else
    rf"[a-z][a-z0-9+.-]+://{_AUTHORITY}"
    rf"|(?:https?|ftps?|s3a?|gs|gcs|az|abfss?):/*{_AUTHORITY}"
    r"|(?!file:)(?:[a-z][a-z0-9+.-]+:/+|//+)[^/?#:]+:[^/?#]*@",
    re.IGNORECASE | re.DOTALL,
)


def without_invisible(uri: str) -> str:
    """The URI from its first character that can be seen."""
    found = _INVISIBLE.match(uri)
    return uri[found.end() :] if found else uri


def holds_credentials(uri: str) -> bool:
    """Whether a user, a token or a password stands before the host, or seems to."""
    return _PATTERN.match(_DROPPED.sub("", without_invisible(uri))) is not None
