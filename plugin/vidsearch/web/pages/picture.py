"""Searching by a picture: an uploaded file, or a frame of the player."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from vidsearch.errors import QueryError
from vidsearch.web.forms import opened_form
from vidsearch.web.pages.picture_vector import to_text
from vidsearch.web.pages.query import PageQuery
from vidsearch.web.pages.rendering import root_of
from vidsearch.web.parameters import image_of

if TYPE_CHECKING:
    from vidsearch.web.context import WebContext

__all__ = ["Picture"]

_MAX_FIELDS = 5


class Picture:
    """Answers ``POST /picture``: goes to the search whose address holds the picture's vector.

    Args:
        context: of the app.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context

    async def answer(self, request: Request) -> Response:
        """Embed the picture; it is not kept.

        Raises:
            QueryError: no picture, or none that can be read.
            Problem: the model is not loaded, or it took too long.
        """
        async with opened_form(request, max_files=1, max_fields=_MAX_FIELDS) as form:
            file, before, label = (form.get(name) for name in ("image", "search", "label"))
            if not isinstance(file, UploadFile) or not file.size:
                raise QueryError("no picture was given: choose a file", argument="image")
            data, name = image_of(await file.read()), file.filename
        vector, model = await self._context.embed_image(data)
        query = PageQuery.of_string(before if isinstance(before, str) else "")
        label = label if isinstance(label, str) and label else name
        # Its look takes the place of what was searched for, and keeps the filters.
        url = query.url(
            root_of(request),
            q="",
            like=None,
            at=None,
            v=to_text(vector, model),
            pic=PageQuery.of([("pic", label or "")]).pic,
            mode="" if query.by_words else query.mode,
        )
        return RedirectResponse(url, 303)
