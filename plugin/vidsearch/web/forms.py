"""Forms that people and programs send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.requests import Request

from vidsearch.web.problems import Problem

__all__ = ["opened_form"]

_CHARSETS = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})
"""Charsets of forms. Python's decoders for others take time that grows by the square of the length,
as that of ``punycode``, or make texts that are no Unicode."""


@asynccontextmanager
async def opened_form(
    request: Request, *, max_files: int, max_fields: int
) -> AsyncIterator[FormData]:
    """The form in the body of a request; its files are closed at the end.

    Raises:
        Problem: 400 where its texts are in another charset than UTF-8.
        HTTPException: 400 where it is no form, or has more files or fields.
    """
    _, parameters = parse_options_header(request.headers.get("content-type"))  # as the form is read
    if parameters.get(b"charset", b"utf-8").lower() not in _CHARSETS:
        raise Problem.of_status(400, "the texts of the form must be in UTF-8")
    async with request.form(max_files=max_files, max_fields=max_fields) as form:
        yield form
