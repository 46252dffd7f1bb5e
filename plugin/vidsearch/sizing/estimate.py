"""Computes from a number of videos, by rates that were measured, what an index of them takes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vidsearch.media.segments import fixed_segments
from vidsearch.sizing.rates import (
    ELASTICSEARCH,
    INT8_LOADED_PER_SECOND,
    INT8_MERGED_PER_SECOND,
    MEASURED_DIMS,
    MERGING,
    OPENSEARCH,
    VIDEO_SECONDS,
)
from vidsearch_mappings.types import EngineKind
from vidsearch_mappings.vectors import M, presets_of

__all__ = ["Estimate", "Library", "PresetCost", "estimate"]

_HOUR = 3600
_FRAME_BYTES = 16
"""Of a frame in the store, beside its vector: its time, and for how many points it is shown."""
_ENTRY_BYTES = 1125
"""Of a video in the store: the headers of its file."""
_BASE64 = 4 / 3
_FAISS_GRAPH = 9.5
"""Bytes per vector and neighbour, as the statistics of k-NN tell: 152 where ``m`` is 16."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """Videos that are to be searched, and how."""

    videos: int
    seconds: float
    """Mean length of a video."""
    engine: EngineKind = "elasticsearch"
    dims: int = 512
    fps: float = 1.0
    """Frames that are embedded of a second, ``ingest.fps``."""
    segment_seconds: float = 10.0
    segment_overlap: float = 0.0
    max_segments: int = 512
    m: int = M
    replicas: int = 0
    frames_per_second: float
    """That a worker decodes and embeds."""
    workers: int = 1
    """That work at once, with a core each."""
    vector_bytes: int = 2
    """Of a component in the store of embeddings: 2 for ``fp16``, 4 for ``fp32``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetCost:
    """What a preset of ``index.quantization`` takes. What was not measured is ``None``."""

    preset: str
    memory_bytes: float | None
    """What searches read at random; it should fit beside the heap. ``None``: read from disk."""
    disk_bytes: float | None
    """With replicas, when all is merged."""
    merging_bytes: float | None
    """Disk at most, while everything is merged to one Lucene segment per shard: what it is made of
    is removed at the end."""
    load_hours: float | None
    """Of one copy; replicas are loaded and merged as well, on the nodes that hold them."""
    merge_hours: float | None
    hours_by: str | None
    """What the hours are computed from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a library takes."""

    frames: int
    segments: int
    """Of a video."""
    vectors: int
    """In the index: of segments and of videos."""
    embed_hours: float
    store_folder_bytes: float
    """Of the store of embeddings, in a folder or bucket."""
    store_index_bytes: float
    """Of the same, in an index of the cluster, without replicas."""
    presets: tuple[PresetCost, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values; bytes are whole."""
        return {name: _rounded(name, value) for name, value in asdict(self).items()}


def estimate(library: Library) -> Estimate:
    """Compute what a library takes.

    Memory follows from the rules of the engines' manuals, disk from indices of 100,000 vectors,
    hours from one of 1.5 million: see :mod:`vidsearch.sizing.rates`. All of it grows in proportion
    to the vectors.
    """
    points = max(1, math.ceil(library.seconds * library.fps - 1e-9))
    spans = fixed_segments(
        np.arange(points) / library.fps,
        duration=library.seconds,
        length=library.segment_seconds,
        overlap=library.segment_overlap,
        limit=library.max_segments,
    )
    frames, vectors = library.videos * points, library.videos * (len(spans) + 1)
    working = frames / library.frames_per_second + library.videos * VIDEO_SECONDS.value
    per_frame = library.vector_bytes * library.dims + _FRAME_BYTES
    store = frames * per_frame + library.videos * _ENTRY_BYTES
    return Estimate(
        frames=frames,
        segments=len(spans),
        vectors=vectors,
        embed_hours=working / library.workers / _HOUR,
        store_folder_bytes=store,
        store_index_bytes=store * _BASE64,
        presets=tuple(
            _preset(preset, library, vectors)
            for preset in presets_of(library.engine, dims=library.dims)
        ),
    )


def _preset(preset: str, library: Library, vectors: int) -> PresetCost:
    copies = 1 + library.replicas
    memory, disk = _memory(preset, library), _disk(preset, library)
    loaded, merged, by = _rates(preset, library.engine)
    return PresetCost(
        preset=preset,
        memory_bytes=None if memory is None else memory * vectors * copies,
        disk_bytes=None if disk is None else disk * vectors * copies,
        merging_bytes=(
            None
            if disk is None or library.engine == "opensearch"
            else MERGING.value * disk * vectors * copies
        ),
        load_hours=None if loaded is None else vectors / loaded / _HOUR,
        merge_hours=None if merged is None else vectors / merged / _HOUR,
        hours_by=by,
    )


def _memory(preset: str, library: Library) -> float | None:
    """Bytes per vector: what is compared first, and the graph."""
    faiss = library.engine == "opensearch" and preset not in {"float", "int8"}
    if preset == "disk" and not faiss:
        return None
    graph = 0.0 if preset.endswith("flat") else (_FAISS_GRAPH if faiss else 4.0) * library.m
    return _compared(preset, library.dims, faiss=faiss) + graph


def _compared(preset: str, dims: int, *, faiss: bool = False) -> float:
    """Bytes of a vector as the preset compares it first; the rules of the engines' manuals."""
    if preset in {"binary", "binary_flat", "disk"}:
        return dims / 8 if faiss else dims / 8 + 14
    bits = {"fp16": 16, "int8": 8, "int8_flat": 8, "int4": 4, "int4_flat": 4}.get(preset)
    if bits is None:
        return 4.0 * dims
    return dims * bits / 8 + (0 if bits == 16 else 4)


def _disk(preset: str, library: Library) -> float | None:
    """Bytes per vector."""
    if library.engine == "opensearch":
        # The document that is stored holds the vectors as well, so that all of it grows with them.
        known = OPENSEARCH.get(preset)
        return None if known is None else known.disk * library.dims / MEASURED_DIMS
    if (known := ELASTICSEARCH.get(preset)) is None:
        return None
    return known.disk - _kept(preset, MEASURED_DIMS) + _kept(preset, library.dims)


def _kept(preset: str, dims: int) -> float:
    """Bytes of the exact vector and, beside it, of the quantized one."""
    exact = 4.0 * dims
    return exact if preset in {"float", "flat"} else exact + _compared(preset, dims)


def _rates(preset: str, engine: EngineKind) -> tuple[float, float, str] | tuple[None, None, None]:
    """Vectors loaded and merged per second, and what says so."""
    known = (OPENSEARCH if engine == "opensearch" else ELASTICSEARCH).get(preset)
    if known is None:
        return None, None, None
    if engine == "opensearch":
        return known.loaded_per_second, known.merged_per_second, "100,000 vectors"
    loaded, merged = INT8_LOADED_PER_SECOND.value, INT8_MERGED_PER_SECOND.value
    if preset == "int8":
        return loaded, merged, "1.6 million vectors"
    int8 = ELASTICSEARCH["int8"]
    return (
        loaded * known.loaded_per_second / int8.loaded_per_second,
        merged * known.merged_per_second / int8.merged_per_second,
        "int8's, by the ratio at 100,000",
    )


def _rounded(name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [{key: _rounded(key, each) for key, each in one.items()} for one in value]
    if name.endswith("_bytes") and value is not None:
        return round(value)
    return round(value, 4) if isinstance(value, float) else value
