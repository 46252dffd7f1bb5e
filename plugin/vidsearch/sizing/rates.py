"""What was measured, and with which command; `docs/sizing.md` says on which machine.

Times are of two cores that the search node and its clients share. Where a figure was measured of
one preset only, the others' follow from a second measurement of all: :data:`ELASTICSEARCH`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = [
    "ELASTICSEARCH",
    "FRAMES_PER_SECOND",
    "INT8_LOADED_PER_SECOND",
    "INT8_MERGED_PER_SECOND",
    "MEASURED_DIMS",
    "MERGING",
    "OPENSEARCH",
    "VIDEO_SECONDS",
    "Measured",
    "OfPreset",
]

MEASURED_DIMS = 512


class Measured(NamedTuple):
    """A figure and where it is from."""

    value: float
    source: str


class OfPreset(NamedTuple):
    """What a preset took, of 100,000 vectors of 512 dims in one shard and one client."""

    disk: float
    """Bytes per vector, with the exact vectors and the stored document, merged."""
    loaded_per_second: float
    """Vectors."""
    merged_per_second: float
    """Vectors, into one Lucene segment."""


_CLIP = "python -m benchmarks --only whole_clip: 360p, 30 s, one core"
FRAMES_PER_SECOND = {
    "fp32": Measured(30 / 1.4796, f"{_CLIP}, fp32"),
    "bf16": Measured(30 / 0.9346, f"{_CLIP}, bf16"),
    "int8": Measured(30 / 0.7493, f"{_CLIP}, int8 (ONNX)"),
}
"""Frames that a worker decodes and embeds in a second, a model of the shape of ViT-B/32, by
``model.precision``."""

VIDEO_SECONDS = Measured(
    0.0137, "python -m benchmarks --only ingestion: both processes of a worker, of a short clip"
)
"""CPU of a worker for each video, whatever its length: registry, queue, document, store."""

_LARGE = "python -m benchmarks.large: 1,500,000 segments of 100,000 videos, Elasticsearch, int8"
INT8_LOADED_PER_SECOND = Measured(1_600_000 / 330, f"{_LARGE}, loaded in 292 to 363 s")
INT8_MERGED_PER_SECOND = Measured(1_600_000 / 336, f"{_LARGE}, merged in 270 to 402 s")
"""Vectors of Elasticsearch, those of videos among them; by the mean of three runs."""
MERGING = Measured(2.9, f"{_LARGE}: 12.1 GB at most while 4.2 GB were merged")
"""Times the merged index: the most that is on disk meanwhile."""

_MIB = 2**20 / 100_000
ELASTICSEARCH = {
    "float": OfPreset(200 * _MIB, 1400, 100_000 / 10),
    "int8": OfPreset(251 * _MIB, 1395, 100_000 / 16),
    "int4": OfPreset(226 * _MIB, 1385, 100_000 / 15),
    "binary": OfPreset(208 * _MIB, 1320, 100_000 / 13),
    "flat": OfPreset(197 * _MIB, 7226, 100_000 / 1),
    "int8_flat": OfPreset(247 * _MIB, 7656, 100_000 / 5),
    "int4_flat": OfPreset(223 * _MIB, 6510, 100_000 / 5),
    "binary_flat": OfPreset(204 * _MIB, 7407, 100_000 / 2),
}
OPENSEARCH = {
    "float": OfPreset(811 * _MIB, 625, 100_000 / 93),
    "int8": OfPreset(860 * _MIB, 538, 100_000 / 59),
    "flat": OfPreset(612 * _MIB, 3522, 100_000 / 2),
}
"""Both: ``python -m benchmarks --only index_presets``."""
