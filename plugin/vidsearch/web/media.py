"""Videos and pictures for the pages: files of this machine, or the way to where they lie.

Only what was ingested is shown: a registered file that is no video, such as one that somebody
registered to read it here, never gets so far, and neither does one that takes the place of a video
which was. Where the settings let it be read from (``sources.*``) holds as for a worker.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from vidsearch.errors import SourceNotFoundError
from vidsearch.media import ThumbnailStore, open_source
from vidsearch.once import Once
from vidsearch.web.file_answers import file_answer
from vidsearch.web.problems import Problem
from vidsearch.web.rest_of_path import REST
from vidsearch_mappings.registry import State

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.web.context import WebContext
    from vidsearch_mappings.registry import VideoRecord
    from vidsearch_tasks import Services

__all__ = ["media_routes", "thumbnail_path"]

_log = logging.getLogger(__name__)
_SIGNED_SECONDS = 6 * 3600
"""For which a signed URL holds: a paused player goes on with it."""
_TYPES = {
    ".webm": "video/webm",
    ".mkv": "video/x-matroska",
    ".ogv": "video/ogg",
    ".avi": "video/x-msvideo",
    ".ts": "video/mp2t",
    ".mpg": "video/mpeg",
    ".mpeg": "video/mpeg",
}
"""Others are sent as ``video/mp4``: never as what a browser would run, whatever the file is called.
Players look at the bytes."""
_ASK_AGAIN = {"cache-control": "private, no-cache"}
"""As another file may take the place of one."""
_FOR_EVER = "private, max-age=31536000, immutable"


def media_routes(context: WebContext) -> list[BaseRoute]:
    """``/video/ID`` and ``/thumbnail/KEY``."""
    store = Once(lambda: ThumbnailStore.of(context.settings.thumbnails))

    async def video(request: Request) -> Response:
        id = request.path_params["id"]
        place = await context.beside_searches(lambda: _place(context, id))
        if not isinstance(place, str):
            path, status = place
            kind = _TYPES.get(path.suffix.lower(), "video/mp4")
            return file_answer(request, path, status, media_type=kind, headers=_ASK_AGAIN)
        if not is_shown_origin(place, context.settings.web.media_origins):
            raise Problem.of_status(
                403,
                "the video lies on another server, which pages may not load videos from: the "
                "setting web.media_origins lists those that they may",
            )
        return RedirectResponse(place, 307)

    async def thumbnail(request: Request) -> Response:
        key = request.path_params["key"]
        found = await context.beside_searches(lambda: _picture(store, key))
        if found is None:
            raise Problem.of_status(404, "there is no such picture")
        data, format = found
        return Response(data, media_type=f"image/{format}", headers={"cache-control": _FOR_EVER})

    return [
        Route(f"/video/{{id:{REST}}}", video),
        Route(f"/thumbnail/{{key:{REST}}}", thumbnail),
    ]


def thumbnail_path(settings: Settings, key: str | None) -> str | None:
    """The path of a picture on this server, by its key in the store of thumbnails.

    ``None`` where there is none, or this server has no such store.
    """
    return f"/thumbnail/{key}" if key and settings.thumbnails.url is not None else None


def is_shown_origin(url: str, origins: Iterable[str]) -> bool:
    """Whether a URL is of one of the origins, such as ``https://*.example.com``."""
    parts = urlsplit(url)
    host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
    for origin in origins:
        scheme, _, name = origin.lower().partition("://")
        below = name.startswith("*.") and host.endswith(name[1:])
        if scheme == parts.scheme and (below or host == name):
            return True
    return False


def _place(context: WebContext, id: str) -> tuple[Path, os.stat_result] | str:
    """Where a video is read: a file and its status, or a URL.

    Raises:
        Problem: it was never ingested, was deleted, or its file is gone.
        VidsearchError: it is not known, or may not be read.
    """
    record = context.record(id)
    if not _was_ingested(record, context.services):
        raise Problem.of_status(404, f"video {id!r} cannot be played: it is {record.state}")
    try:
        with open_source(record.uri, settings=context.services.settings.sources) as source:
            return source.to_play(seconds=_SIGNED_SECONDS)
    except SourceNotFoundError as error:
        _log.info("%s", error)
        raise Problem.of_status(404, f"the file of video {id!r} is not there any more") from error


def _was_ingested(record: VideoRecord, services: Services) -> bool:
    """Whether the file that the record names was, and not just one that it named before."""
    if record.indexed_at is None or record.state is State.DELETED:
        return False
    # Another URI, or an order to embed it anew, leaves no hash of content in the record.
    if record.state is State.INDEXED or record.content is not None:
        return True
    index = services.open_index()
    document = index.read(record.id, routing=record.routing)
    stored = document.source.get(index.field) if document else None
    return isinstance(stored, dict) and stored.get("uri") == record.uri


def _picture(store: Once[ThumbnailStore | None], key: str) -> tuple[bytes, str] | None:
    """The bytes and the format of a picture; opening the store may ask a bucket."""
    opened = store()
    return opened.read(key) if opened is not None else None
