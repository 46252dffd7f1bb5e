"""Bodies of requests and answers."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from vidsearch.errors import QueryError
from vidsearch.web.forms import opened_form
from vidsearch.web.problems import Problem

__all__ = ["json_answer", "json_body", "media_type", "posted_form"]


def json_answer(value: Any, status: int = 200) -> Response:
    """An answer of plain JSON values."""
    return Response(orjson.dumps(value), status, media_type="application/json")


def media_type(request: Request) -> str:
    """What the body of the request is said to be, without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request) -> Any:
    """The JSON value in the body.

    Raises:
        Problem: 415 for another media type, 400 where it is no JSON.
    """
    if media_type(request) != "application/json":
        raise Problem.of_status(415, "the body must be application/json")
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise Problem.of_status(400, f"the body is not JSON: {error}") from error


async def posted_form(request: Request) -> tuple[list[tuple[str, str]], bytes | None]:
    """The texts of a form, and the file that was uploaded as ``image``.

    Raises:
        QueryError: another file.
        Problem: 400 where its texts are in another charset than UTF-8.
        HTTPException: 400 where it is no form.
    """
    pairs: list[tuple[str, str]] = []
    image: bytes | None = None
    async with opened_form(request, max_files=1, max_fields=100) as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                pairs.append((name, value))
            elif name != "image":
                raise QueryError(f"{name} takes no file; upload one as image", argument=name)
            elif value.size:  # a form sends an empty one where none was chosen
                image = await value.read()
    return pairs, image
