"""A small index of synthetic videos with known vectors, for the tests of the search."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders.base import Vectors
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Engine, Write
from vidsearch.media.frames import FrameBatch
from vidsearch_mappings import index_meta, videos_index
from vidsearch_mappings.types import Quantization

DIMS = 64
SEGMENT_SECONDS = 10.0


@dataclass(frozen=True)
class Video:
    """A video of ``(n, DIMS)`` unit segment vectors."""

    id: str
    fields: dict[str, Any]
    segments: NDArray[np.float32]

    @property
    def mean(self) -> NDArray[np.float32]:
        mean = self.segments.mean(axis=0)
        unit: NDArray[np.float32] = mean / np.linalg.norm(mean)
        return unit

    def cosine(self, vector: NDArray[np.float32], *, level: str) -> float:
        """By brute force."""
        if level == "video":
            return float(self.mean @ vector)
        return float((self.segments @ vector).max())

    def document(self, field: str) -> dict[str, Any]:
        ours = {
            "uri": f"file:///videos/{self.id}.mp4",
            "model": "table@1",
            "fingerprint": self.id,
            "embedded_at": "2026-01-01T00:00:00Z",
            "duration": SEGMENT_SECONDS * len(self.segments),
            "width": 320,
            "height": 240,
            "vector": self.mean.tolist(),
            "segments": [
                {
                    "start": SEGMENT_SECONDS * at,
                    "end": SEGMENT_SECONDS * at + 9.3,
                    "vector": vector.tolist(),
                    "thumbnail": f"thumb-{self.id}-{at}",
                    **({"text": "spoken words"} if at % 2 else {}),
                }
                for at, vector in enumerate(self.segments)
            ],
        }
        return {**self.fields, field: ours}


class TableEncoder:
    """Gives every text a unit vector of its own, the same in every process."""

    context_length = 12

    def __init__(self, *, revision: str = "1", dims: int = DIMS) -> None:
        self.identity = ModelIdentity("table", revision, dims, image_size=1)
        self.asked: list[str] = []

    def count_tokens(self, text: str) -> int:
        return len(text.split()) + 2

    def encode_text(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.stack([unit_vectors(text, 1, dims=self.identity.dims)[0] for text in texts])

    def encode_frames(self, frames: FrameBatch) -> Vectors:
        raise AssertionError("a search embeds no frames")


def unit_vectors(name: str, count: int, *, dims: int = DIMS) -> NDArray[np.float32]:
    """``(count, dims)`` unit vectors, drawn from a stable hash of a name."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    drawn = np.random.default_rng(seed).standard_normal((count, dims)).astype(np.float32)
    unit: NDArray[np.float32] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return unit


def make_videos(count: int = 60, *, dims: int = DIMS) -> list[Video]:
    """Videos of one to six segments with titles, tags, years; a few lack ``licence``."""
    colours = ["red", "green", "blue", "yellow", "white"]
    things = ["circle", "dog", "house", "river"]
    videos = []
    for at in range(count):
        title = f"{colours[at % 5]} {things[at % 4]}" + (" at night" if at % 7 == 0 else "")
        fields: dict[str, Any] = {
            "title": title,
            "description": f"number {at}",
            "tags": [colours[at % 5], "odd" if at % 2 else "even"],
            "year": 2000 + at % 25,
            "recorded": f"2020-02-{1 + at % 28:02}",
        }
        if at % 6:
            fields["licence"] = "CC BY" if at % 3 else "all rights reserved"
        segments = unit_vectors(f"video {at}", 1 + at % 6, dims=dims)
        videos.append(Video(f"v{at:02}", fields, segments))
    return videos


def create_index(
    engine: Engine,
    name: str,
    videos: Sequence[Video],
    *,
    quantization: Quantization = "float",
    field: str = "video",
    identity: ModelIdentity | None = None,
    alias: str | None = None,
    shards: int = 1,
    created_by: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """An index of the managed layout that holds the videos, behind an alias where one is given.

    ``created_by`` has the node believe that another version made it, by that version's number;
    ``settings`` are of the index, besides.
    """
    identity = identity or TableEncoder().identity
    meta = index_meta(
        model=identity.to_meta(),
        quantization=quantization,
        field=field,
        segment_seconds=SEGMENT_SECONDS,
    )
    body = videos_index(
        engine.kind,
        dims=identity.dims,
        field=field,
        meta=meta,
        quantization=quantization,
        shards=shards,
        replicas=0,
    )
    body["settings"]["index"]["refresh_interval"] = "100ms"  # what is written is waited for
    body["settings"]["index"] |= settings or {}
    body["mappings"]["properties"] |= {
        "year": {"type": "integer"},
        "recorded": {"type": "date"},
        "licence": {"type": "text", "fields": {"keyword": {"type": "keyword"}}},
        "rating": {"type": "float"},
        "live": {"type": "boolean"},
    }
    if created_by:
        body["settings"]["index"]["version.created"] = created_by
    if alias:
        body["aliases"] = {alias: {}}
    engine.create_index(name, body)
    engine.bulk(name, [Write("index", v.id, v.document(field)) for v in videos], refresh=True)


def nearest(
    videos: Sequence[Video],
    vector: NDArray[np.float32],
    *,
    level: str = "segment",
    where: Callable[[Video], bool] = lambda video: True,
) -> list[tuple[str, float]]:
    """Ids with cosines by brute force, best first."""
    found = [(video.id, video.cosine(vector, level=level)) for video in videos if where(video)]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))
