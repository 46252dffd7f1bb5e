"""What tests of the web app need: an index of known videos, a registry, and a light encoder."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from tests.search_index import TableEncoder, create_index, make_videos
from tests.services import RunningServices

from vidsearch.config import IngestSettings, ModelSettings, Settings
from vidsearch.encoders.base import Vectors
from vidsearch.engines import connect
from vidsearch.local import SearchNode
from vidsearch.media.frames import FrameBatch
from vidsearch.registry.index import create_registry_index

__all__ = ["ENCODER", "GATE", "VIDEOS", "WebEncoder", "png", "web_settings"]

ENCODER = "tests.integration.web_stage:WebEncoder"
VIDEOS = make_videos(40)
GATE = threading.Event()
"""The model of this process is loaded when it is set."""
GATE.set()


class WebEncoder(TableEncoder):
    """Texts as the table; a picture, by how bright it is, as the whole of one of the videos."""

    def __init__(self, model: ModelSettings, ingest: IngestSettings) -> None:
        super().__init__()

    def encode_text(self, texts: list[str]) -> Vectors:  # type: ignore[override]
        GATE.wait()
        return super().encode_text(texts)

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        means = np.asarray(frames.data).reshape(len(frames.data), -1).mean(axis=1)
        return np.stack([VIDEOS[round(float(mean))].mean for mean in means])


def png(brightness: int) -> bytes:
    """A file of a grey picture: that of the video of this number."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (32, 32), (brightness,) * 3).save(file, "PNG")
    return file.getvalue()


@contextmanager
def web_settings(
    services: RunningServices,
    node: SearchNode,
    redis_url: str,
    *,
    search: Mapping[str, Any] | None = None,
    **web: Any,
) -> Iterator[Settings]:
    """Settings of an index that holds the videos; it is dropped at the end.

    Args:
        services: drop it.
        node: has it.
        redis_url: of the broker.
        search: the section of that name.
        web: the section of that name.
    """
    name = f"test-{uuid.uuid4().hex[:12]}"
    settings = Settings(
        engine={"url": node.url, "kind": node.kind},
        index={"name": name, "replicas": 0},
        broker={"url": redis_url, "queue": f"q-{name}"},
        model={"name": "table", "encoder": ENCODER},
        sources={"hosts": ("videos.example.com",), "roots": ("/srv/videos",)},
        search=search or {},
        web=web,
    )
    engine = connect(settings.engine)
    try:
        create_index(engine, f"{name}-000001", VIDEOS, alias=name)
        create_registry_index(engine, settings.index)
        yield settings
    finally:
        engine.close()
        services.drop(name)
