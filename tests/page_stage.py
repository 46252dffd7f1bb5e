"""The pages on an index in memory, with coloured videos, as a browser's requests see them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from starlette.testclient import TestClient
from tests.search_index import Video, create_index
from tests.waiting import until

from vidsearch.config import Settings
from vidsearch.engines import AsyncEngine
from vidsearch.engines.steps import Answer, Request, Steps, Work, run_async
from vidsearch.media.frames import FrameBatch
from vidsearch.registry import State, VideoRecord
from vidsearch.registry.index import create_registry_index
from vidsearch.search import AsyncVideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch.web import create_app
from vidsearch.web.context import WebContext
from vidsearch_tasks import Services

__all__ = ["COLOURS", "TOKEN", "Page", "open_page", "picture"]

TOKEN = "a-token-of-some-length"
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255, 255, 255)}
_HTML = {"accept": "text/html"}
_INDEX = "videos-000001"


@dataclass(frozen=True)
class Page:
    """A running app."""

    client: TestClient
    engine: MemoryEngine
    services: Services

    @property
    def context(self) -> WebContext:
        return cast(WebContext, cast(Any, self.client.app).state.context)

    def get(self, path: str, **options: Any) -> Any:
        """What a browser gets; redirects are not followed."""
        return self.client.get(path, headers=_HTML, follow_redirects=False, **options)

    def post(self, path: str, **options: Any) -> Any:
        return self.client.post(path, headers=_HTML, follow_redirects=False, **options)

    def put_record(self, id: str, uri: Any, **values: Any) -> None:
        """Register a video that was ingested, unless the values say otherwise."""
        known = {"state": State.INDEXED, "indexed_at": 1.0, "registered_at": 1.0, "updated_at": 1.0}
        record = VideoRecord(id, str(uri), **{**known, **values})
        self.engine.put(self.services.settings.index.registry, id, record.to_source())

    def put_video(self, id: str, colours: str, **fields: Any) -> None:
        """Index a video with a segment of each colour."""
        self.engine.put(_INDEX, id, _video(id, colours.split(), fields).document("video"))

    def remove_video(self, id: str) -> None:
        self.engine.delete(_INDEX, id)


@contextmanager
def open_page(
    *,
    root_path: str = "",
    properties: Mapping[str, Any] | None = None,
    **settings: Mapping[str, Any],
) -> Iterator[Page]:
    """The app with four videos: r (red, then blue), g, b and w; waits until the model is loaded.

    Args:
        root_path: where the app is mounted.
        properties: further fields of the mapping.
        settings: sections.
    """
    engine, encoder = MemoryEngine(), FakeEncoder()
    videos = [
        _video(
            "r", ["red", "blue"], {"title": "Harbour", "tags": ["sea", "day"], "shot": "2024-05-01"}
        ),
        _video("g", ["green"], {"title": "Meadow", "tags": ["land", "day"], "shot": "2026-05-01"}),
        _video("b", ["blue", "green"], {"title": "Lagoon", "tags": ["sea"], "shot": "2025-05-01"}),
        _video("w", ["white"], {"title": "Glacier", "tags": ["land"]}),
    ]
    create_index(engine, _INDEX, videos, alias="videos", identity=encoder.identity)
    fields = {
        "title": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "tags": {"type": "keyword"},
        "shot": {"type": "date"},
        "secret": {"type": "keyword"},
        **(properties or {}),
    }
    engine.put_mapping(_INDEX, {"properties": fields})
    made = Settings(**cast(Any, settings))
    create_registry_index(engine, made.index)
    services = Services(made, encoder=encoder)
    vars(services)["engine"] = engine
    search = AsyncVideoSearch(cast(AsyncEngine, _InMemory(engine)), encoder, settings=made.search)
    app = create_app(made, search=search, services=services)
    with TestClient(app, base_url="http://localhost", root_path=root_path) as client:
        page = Page(client, engine, services)
        until(lambda: page.context.readiness.state == "ready", what="the model to be loaded")
        yield page


def picture(colour: str, *, format: str = "PNG") -> bytes:
    """A picture of one colour."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 48), COLOURS[colour]).save(file, format)
    return file.getvalue()


def _video(id: str, colours: list[str], fields: dict[str, Any]) -> Video:
    frames = np.array([np.full((4, 4, 3), COLOURS[each], np.uint8) for each in colours])
    times = np.arange(len(colours), dtype=np.float64)
    return Video(id, fields, FakeEncoder().encode_frames(FrameBatch(frames, times)))


class _InMemory:
    """The engine in memory for an event loop."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self.kind, self.calls = engine.kind, engine.calls

    async def run(self, steps: Any) -> Any:
        def in_memory() -> Steps[Any]:
            return (yield Work(lambda: self._engine.run(steps)))

        async def sent(request: Request) -> Answer:
            raise AssertionError(request)

        return await run_async(in_memory(), sent)

    async def close(self) -> None:
        """Nothing is open."""
