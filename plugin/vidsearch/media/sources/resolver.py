"""From a registered URI to the one that is read: the setting ``sources.resolver``.

A registry keeps URIs as they are given. What may not be stored there, such as a signature or a
token, is added by a function of the user where the video is read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vidsearch.config import SourceSettings
from vidsearch.dotted import imported
from vidsearch.errors import ConfigError, SourceUnavailableError, VidsearchError
from vidsearch.media.sources.headers import Headers, checked_headers
from vidsearch.media.sources.uris import public_uri

__all__ = ["Place", "load_resolver", "resolve"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a video is read."""

    uri: str = field(repr=False)
    headers: Headers = field(default_factory=dict)
    """Of the request, if it is one over http; they win over those of the settings."""


def load_resolver(settings: SourceSettings) -> Callable[[str], Any] | None:
    """The function that the setting names.

    Raises:
        ConfigError: it cannot be imported.
    """
    if settings.resolver is None:
        return None
    return imported(settings.resolver, f"setting sources.resolver is {settings.resolver!r}, but")


def resolve(uri: str, settings: SourceSettings) -> Place:
    """Ask the resolver where to read a video; without one, where its URI says.

    Raises:
        SourceUnavailableError: the resolver raised an error. Those of vidsearch pass as they are.
        ConfigError: it returned something else than a URI, or a URI and headers.
    """
    resolver = load_resolver(settings)
    if resolver is None:
        return Place(uri)
    where = f"sources.resolver {settings.resolver!r}"
    try:
        found = resolver(uri)
    except VidsearchError:
        raise
    except Exception as error:  # its message may hold a secret: only its class is said
        raise SourceUnavailableError(
            f"{public_uri(uri)} cannot be read: {where} raised {type(error).__name__}"
        ) from None
    match found:
        case str():
            return Place(found)
        case (str() as url, Mapping() as headers):
            return Place(url, checked_headers(headers, where))
    raise ConfigError(
        f"{where} must return a URI, or a URI and a dict of headers; for {public_uri(uri)} it "
        f"returned a {type(found).__name__}"
    )
