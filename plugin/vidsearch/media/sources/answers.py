"""What a web server's answer says about a video."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from vidsearch.errors import SourceNotFoundError, SourceUnavailableError, VideoOpenError

if TYPE_CHECKING:
    import httpcore

__all__ = [
    "Part",
    "header",
    "is_of_other_bytes",
    "mapped",
    "part_of",
    "require_plain",
    "require_success",
    "strong_etag",
    "strong_validator",
    "whole_size",
]

_TRIED_AGAIN = {202, 408, 425, 429}
_COMPRESSED = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
_HINTS = {
    401: "; it needs credentials, or others",
    403: "; the link may have run out, or needs credentials",
}


@dataclass(frozen=True, slots=True)
class Part:
    """Which bytes of the video an answer holds; for one that holds none, both numbers are 0."""

    begin: int
    end: int
    """The number of the byte after its last one."""
    total: int | None
    """Bytes of the whole video, where the server says it."""


def part_of(response: httpcore.Response) -> Part | None:
    """What ``Content-Range`` says; ``None`` where it says nothing, or something senseless."""
    found = _CONTENT_RANGE.fullmatch(header(response, "content-range"))
    if found is None:
        return None
    first, last, size = found.groups()
    total = None if size == "*" else int(size)
    if first is None:
        return Part(0, 0, total)
    part = Part(int(first), int(last) + 1, total)
    return part if part.begin < part.end <= (part.end if total is None else total) else None


def require_success(response: httpcore.Response, *, offset: int, where: str) -> None:
    """Refuse what is not the video, or its rest from ``offset`` on.

    Raises:
        SourceNotFoundError: the server has no such file, or denies access.
        SourceUnavailableError: it may have later.
    """
    status = response.status
    if status == HTTPStatus.OK:
        return
    if status == HTTPStatus.PARTIAL_CONTENT and offset:
        part = part_of(response)
        if part and part.begin == offset:
            return
        raise SourceUnavailableError(f"{where} went on at a place that was not asked for")
    if status == HTTPStatus.NOT_FOUND:
        raise SourceNotFoundError(f"{where} was not found (404)")
    phrase = response.extensions.get("reason_phrase", b"").decode("ascii", "replace")
    reason = f"{where} was answered with {status} {phrase}".rstrip()
    if status >= 500 or status in _TRIED_AGAIN:
        raise SourceUnavailableError(reason)
    raise SourceNotFoundError(reason + _HINTS.get(status, ""))


def require_plain(response: httpcore.Response, *, where: str) -> None:
    """Refuse a compressed body, whose true size is unknown before it is unpacked.

    Raises:
        VideoOpenError: it is compressed although that was declined.
    """
    encodings = {one.strip() for one in header(response, "content-encoding").lower().split(",")}
    if encodings & _COMPRESSED:
        raise VideoOpenError(
            f"{where} comes compressed ({', '.join(sorted(encodings))}) although that was declined"
        )


@contextmanager
def mapped(where: str) -> Iterator[None]:
    """Errors of httpcore up to the head of the answer.

    Raises:
        SourceUnavailableError: the server cannot be reached, is silent or speaks something else.
        SourceNotFoundError: what would be asked for cannot be written as a request.
    """
    import httpcore

    try:
        yield
    except httpcore.TimeoutException as error:
        raise SourceUnavailableError(f"{where} did not answer in time") from error
    except httpcore.ConnectError as error:
        hint = ""
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = "; SSL_CERT_FILE may name a bundle with the authority of your own servers"
        raise SourceUnavailableError(f"{where} cannot be reached: {error}{hint}") from error
    except httpcore.LocalProtocolError:  # "from None": the message holds what was to be sent
        raise SourceNotFoundError(f"{where} is not a valid URL") from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise SourceUnavailableError(f"{where} broke off: {type(error).__name__}") from error


def header(response: httpcore.Response, name: str) -> str:
    """The last header of this name (in lower case), or nothing."""
    values = [value for key, value in response.headers if key.lower() == name.encode()]
    return values[-1].decode("utf-8", "replace").strip() if values else ""


def strong_etag(response: httpcore.Response) -> str | None:
    """The ETag that changes with every byte (RFC 9110, 8.8.1)."""
    etag = header(response, "etag")
    return etag if _STRONG_ETAG.fullmatch(etag) else None


def whole_size(response: httpcore.Response) -> int | None:
    """Bytes of the whole video, as the answer to a part of it or to all of it says."""
    if response.status == HTTPStatus.PARTIAL_CONTENT:
        part = part_of(response)
        return part.total if part else None
    # A length beside chunks does not count (RFC 9112, 6.3).
    size = "" if header(response, "transfer-encoding") else header(response, "content-length")
    return int(size) if size.isdecimal() else None


def strong_validator(response: httpcore.Response) -> str | None:
    """By which a server can tell that a part belongs to the same bytes (RFC 9110, 8.8)."""
    if header(response, "accept-ranges").lower() == "none":
        return None
    if etag := strong_etag(response):
        return etag
    modified = header(response, "last-modified")
    try:
        age = parsedate_to_datetime(header(response, "date")) - parsedate_to_datetime(modified)
    except (TypeError, ValueError):
        return None
    return modified if age.total_seconds() >= 1 and modified.isascii() else None


def is_of_other_bytes(response: httpcore.Response, validator: str) -> bool:
    """Whether an answer says that it is of another video than one of :func:`strong_validator`."""
    is_etag = _STRONG_ETAG.fullmatch(validator)
    now = header(response, "etag" if is_etag else "last-modified")
    return bool(now) and now.removeprefix("W/") != validator
