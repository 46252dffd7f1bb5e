"""Types that mappings, settings and engines share."""

from __future__ import annotations

from typing import Any, Literal

__all__ = ["EngineKind", "Json", "Level", "Quantization"]

Json = dict[str, Any]
"""An object of JSON: a body, a mapping, a document."""
EngineKind = Literal["elasticsearch", "opensearch"]
"""Which of the two engines; the setting `engine.kind` may leave it to be found out."""
Quantization = Literal[
    "float",
    "int8",
    "int4",
    "binary",
    "fp16",
    "disk",
    "flat",
    "int8_flat",
    "int4_flat",
    "binary_flat",
]
"""Presets for how an engine keeps vectors."""
Level = Literal["segment", "video"]
"""What a search by vectors compares with: each segment of a video, or its mean vector."""
