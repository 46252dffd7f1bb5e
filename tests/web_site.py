"""The search page of a real node with drawn clips, served as ``vidsearch web`` serves it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from tests.waiting import until

from vidsearch.config import Settings
from vidsearch.demo import DemoClip, demo_clips
from vidsearch.index import create_videos_index
from vidsearch.web import create_app
from vidsearch.web.context import WebContext
from vidsearch_tasks import Services

__all__ = ["Site", "indexed_clips", "serve"]


@dataclass(frozen=True)
class Site:
    """A running server."""

    url: str
    clips: tuple[DemoClip, ...]
    context: WebContext


def indexed_clips(
    settings: Settings,
    folder: Path,
    *,
    number: int,
    uri_of: Callable[[DemoClip], str] = lambda clip: str(clip.path),
) -> tuple[DemoClip, ...]:
    """Draw clips and index them in this process.

    Beside them there are ``copy``, a near-duplicate of the first, and ``broken``, which failed.

    Args:
        settings: of the index.
        folder: for the clips.
        number: of clips.
        uri_of: where each is read.
    """
    clips = demo_clips(folder, number=number)
    shutil.copy(clips[0].path, folder / "copy.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    with Services(settings) as services:
        create_videos_index(services.engine, settings.index, services.encoder.identity)
        videos: list[tuple[str, str, dict[str, Any]]] = [
            (
                clip.id,
                uri_of(clip),
                {"title": clip.title, "tags": list(clip.tags), "shot": f"2026-01-{1 + at:02}"},
            )
            for at, clip in enumerate(clips)
        ]
        videos.append(("copy", str(folder / "copy.mp4"), {"title": f"{clips[0].title} (copy)"}))
        videos.append(("broken", str(folder / "broken.mp4"), {}))
        for id, uri, fields in videos:
            services.registry.register(id, uri=uri, fields=fields)
            services.registry.mark_queued(id)
            services.indexer.ingest(id, owner="the test")
        services.engine.refresh(settings.index.name)
    return clips


@contextmanager
def serve(settings: Settings, clips: tuple[DemoClip, ...]) -> Iterator[Site]:
    """Serve the pages on a free port, until the model is loaded and beyond."""
    app = create_app(settings)
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="web")
    thread.start()
    try:
        until(lambda: server.started, what="the server to listen")
        port = server.servers[0].sockets[0].getsockname()[1]
        context: WebContext = app.state.context
        until(lambda: context.readiness.state == "ready", what="the model to be loaded")
        yield Site(f"http://127.0.0.1:{port}", clips, context)
    finally:
        server.should_exit = True
        thread.join()
