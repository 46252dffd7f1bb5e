"""A videos index small enough for tests of an engine."""

from __future__ import annotations

from typing import Any

from vidsearch.engines import Engine, Json
from vidsearch_mappings import index_meta, videos_index

__all__ = ["SMALL_MODEL", "small_index"]

SMALL_MODEL = {"name": "demo", "revision": "0", "dims": 4, "image_size": 8}
"""The identity in its ``_meta``."""


def small_index(engine: Engine, *, quantization: Any = "float", dims: int = 4) -> Json:
    """Body of a videos index with short vectors, in two shards."""
    meta = index_meta(
        model=SMALL_MODEL, quantization=quantization, field="video", segment_seconds=10.0
    )
    body = videos_index(
        engine.kind,
        dims=dims,
        field="video",
        meta=meta,
        quantization=quantization,
        shards=2,
        replicas=0,
    )
    body["settings"]["index"]["refresh_interval"] = "100ms"  # tests wait for what they write
    return body
