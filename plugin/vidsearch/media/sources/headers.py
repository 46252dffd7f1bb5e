"""Headers of requests for videos: by host from the settings, or from the resolver."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

from pydantic import SecretStr

from vidsearch.config import SourceSettings
from vidsearch.errors import ConfigError
from vidsearch.media.sources.allowlist import host_pattern

__all__ = ["Headers", "checked_headers", "headers_of_host"]

Headers: TypeAlias = Mapping[str, SecretStr]
"""By name in lower case."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_HTTPS = 443
_TAKEN = frozenset(
    [
        "host",
        "range",
        "if-range",
        "accept-encoding",
        "connection",
        "content-length",
        "transfer-encoding",
    ]
)


def checked_headers(headers: Mapping[Any, Any], where: str) -> Headers:
    """Headers that can be sent.

    Args:
        headers: texts, or secrets, by name.
        where: beginning of a message.

    Raises:
        ConfigError: a name or a value is no header's, or vidsearch sends that header itself. The
            message does not show the value.
    """
    checked = {}
    for name, given in headers.items():
        value = given.get_secret_value() if isinstance(given, SecretStr) else given
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ConfigError(f"{where}: {name!r} cannot be the name of a header")
        if name.lower() in _TAKEN:
            raise ConfigError(f"{where}: the header {name!r} is set by vidsearch; leave it out")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise ConfigError(
                f"{where}: the value of {name!r} must be a text in Latin-1 without line breaks"
            )
        checked[name.lower()] = SecretStr(value.strip())
    return checked


def headers_of_host(
    settings: SourceSettings, host: str = "", port: int | None = None, *, scheme: str = "https"
) -> Headers:
    """What the setting ``sources.headers`` has for a host; all entries are checked.

    An entry without a port is for port 443, and that port is for https alone: whoever may register
    a video could otherwise have a secret sent in plain text, or to another service of the host.

    Raises:
        ConfigError: an entry is no host, or has what cannot be sent.
    """
    found: dict[str, SecretStr] = {}
    for entry, headers in settings.headers.items():
        checked = checked_headers(headers, f"setting sources.headers, host {entry!r}")
        pattern = host_pattern("headers", entry)
        wanted = _HTTPS if pattern.port is None else pattern.port
        if wanted == _HTTPS and scheme != "https":
            continue
        if port == wanted and pattern.covers(host, port):
            found |= checked
    return found
