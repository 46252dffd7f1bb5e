"""The calls of an application, for an event loop: same names, same arguments, same errors.

Each runs the function of :mod:`vidsearch_tasks` in a thread, so that the loop goes on meanwhile. A
call that is cancelled is not awaited any longer, but what it began is done.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from vidsearch_tasks import register, videos

__all__ = [
    "delete_video",
    "register_video",
    "register_videos",
    "update_fields",
    "video_status",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _in_thread(call: Callable[_P, _R]) -> Callable[_P, Awaitable[_R]]:
    @functools.wraps(call)
    async def twin(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        return await asyncio.to_thread(call, *args, **kwargs)

    return twin


delete_video = _in_thread(videos.delete_video)
register_video = _in_thread(register.register_video)
register_videos = _in_thread(register.register_videos)
update_fields = _in_thread(videos.update_fields)
video_status = _in_thread(videos.video_status)
