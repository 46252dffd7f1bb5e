"""Texts without the secrets in them: messages of other libraries may show what ours never do."""

from __future__ import annotations

import re

__all__ = ["masked", "masked_values", "names_secret"]

_NAMES = (
    r"password|passwd|secret|token(?!s|iz)|credential|signature|\bsig\b"
    r"|(?:api|account|access|private)[_-]?key"
)
_NAME = re.compile(_NAMES, re.IGNORECASE)
_VALUE = re.compile(
    rf"((?:{_NAMES})\w*['\"]?\s*[=:]\s*)(?:'[^'\n]*'|\"[^\"\n]*\"|[^\s'\",;&]+)", re.IGNORECASE
)
_SECRETS = (
    # The user of a URL, with what follows a colon there and is no port, as it may be a password
    # with a slash in it; and with what looks like a port, if a host follows an @ further on.
    (
        re.compile(
            r"(?<=://)(?:[^\s'\"/?#\[\]]*:(?!\d*(?:[/?#\s'\"]|$))[^\s'\"]*@"
            r"|[^\s'\"/?#]*@"
            r"|[^\s'\"/?#\[\]]+:\d*[/?#][^\s'\"]*[^\s'\"/]@(?=[\w.-]+(?::\d+)?/))"
        ),
        "",
    ),
    (re.compile(r"(://[^\s'\"?]*)\?[^\s'\"]+"), r"\1?…"),
    (re.compile(r"\?[^\s'\"]*=[^\s'\"]*"), "?…"),  # of a path
    (re.compile(r"\b(Bearer|ApiKey)\s+[^\s'\"]+", re.IGNORECASE), r"\1 …"),
    (re.compile(r"\b([Bb]asic)\s+(?=[a-z]*[A-Z0-9+/=])[^\s'\"]+"), r"\1 …"),
)


def masked(text: str) -> str:
    """The text without users and queries of URLs, tokens of headers, and values of what has the
    name of a secret. Hosts and paths stay."""
    for secret, shown in _SECRETS:
        text = secret.sub(shown, text)
    return masked_values(text)


def masked_values(text: str) -> str:
    """The text without the values that follow the name of a secret, as in ``password=…``."""
    return _VALUE.sub(r"\1…", text)


def names_secret(name: str) -> bool:
    """Whether a key, such as ``sentinel_password``, names a secret."""
    return name.lower() in {"key", "pass", "pwd"} or _NAME.search(name) is not None
