"""Forms that people and programs send."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.datastructures import FormData
from starlette.requests import Request

from vidsearch.web.problems import Problem

__all__ = ["opened_form"]


@asynccontextmanager
async def opened_form(
    request: Request, *, max_files: int, max_fields: int
) -> AsyncIterator[FormData]:
    """The form in the body of a request; its files are closed at the end.

    Raises:
        Problem: 400 where its texts are not Unicode.
        HTTPException: 400 where it is no form, or has more files or fields.
    """
    try:
        async with request.form(max_files=max_files, max_fields=max_fields) as form:
            for name, value in form.multi_items():
                name.encode()  # some charsets can spell what is no Unicode
                (value if isinstance(value, str) else value.filename or "").encode()
            yield form
    except UnicodeError as error:
        raise Problem.of_status(400, "the texts of the form must be in UTF-8") from error
