"""A file as an answer: whole, in ranges, or left out where the client has it (RFC 9110)."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse
from starlette.types import Receive, Scope, Send

from vidsearch.web.problems import Problem

__all__ = ["file_answer"]

_RANGE = re.compile(r"([0-9]{0,18})-([0-9]{0,18})")


def file_answer(
    request: Request,
    path: Path,
    status: os.stat_result,
    *,
    media_type: str,
    headers: Mapping[str, str],
) -> Response:
    """What is sent of a file.

    Args:
        request: that is answered.
        path: of the file.
        status: of the file.
        media_type: that it is sent as.
        headers: of the answer.

    Raises:
        Problem: 416 where none of the ranges that are asked for lies in it.
    """
    answer = _InRanges(path, media_type=media_type, headers=headers, stat_result=status)
    if _is_known(request.headers, etag=answer.headers["etag"], modified=status.st_mtime):
        return NotModifiedResponse(answer.headers)
    asked, validator = request.headers.get("range"), request.headers.get("if-range")
    if (
        request.method == "GET"
        and asked
        and validator in (None, answer.headers["etag"], answer.headers["last-modified"])
    ):
        answer.ranges = _ranges(asked, status.st_size)
    return answer


def _is_known(headers: Headers, *, etag: str, modified: float) -> bool:
    """Whether the client has the file as it is; by its date only where it sends no tag, as a file
    may be replaced by an older one."""
    if tags := headers.getlist("if-none-match"):
        known = [tag.strip(" \t").removeprefix("W/") for tag in ",".join(tags).split(",")]
        return "*" in known or etag in known
    try:
        since = parsedate_to_datetime(headers.get("if-modified-since", ""))
    except (ValueError, OverflowError):  # none, or no date
        return False
    return int(modified) <= since.timestamp()


class _InRanges(FileResponse):
    """Sends the ranges that it is told to, not those of the request: Starlette refuses malformed
    ones, which are to be passed over, and all where one lies behind the end of the file."""

    ranges = ""
    """The header that names them; empty for the whole file."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = MutableHeaders(raw=[*scope["headers"]])
        del headers["if-range"], headers["range"]
        if self.ranges:
            headers["range"] = self.ranges
        await super().__call__({**scope, "headers": headers.raw}, receive, send)


def _ranges(asked: str, size: int) -> str:
    """Those of the ranges that lie in a file of some bytes; empty where the header is malformed.

    Raises:
        Problem: 416 where there is none.
    """
    unit, _, listed = asked.partition("=")
    parts = [part.strip(" \t") for part in listed.split(",")]
    found = [_RANGE.fullmatch(part) for part in parts if part]
    if unit.lower() != "bytes" or not found:
        return ""
    inside = []
    for match in found:
        if match is None or match[0] == "-":
            return ""
        if not match[1]:  # so many bytes at the end
            first, last = max(size - int(match[2]), 0), size - 1
        else:
            first, last = int(match[1]), int(match[2] or size)
            if match[2] and last < first:
                return ""
        if first < size:
            inside.append(f"{first}-{min(last, size - 1)}")
    if not inside:
        raise Problem.of_status(
            416,
            f"the file has {size} bytes, and none in the range that is asked for",
            headers={"content-range": f"bytes */{size}"},
        )
    return f"bytes={','.join(inside)}"
