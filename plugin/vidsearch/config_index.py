"""The section of the settings about the videos index.

See :mod:`vidsearch.config_sections`, which has the other sections.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from vidsearch.config_sources import Section
from vidsearch_mappings.names import write_alias_of
from vidsearch_mappings.own import own_mapping
from vidsearch_mappings.types import Quantization
from vidsearch_mappings.vectors import EF_CONSTRUCTION, M

__all__ = ["IndexSettings"]

_NAME = re.compile(r'(?![-_+])[^\sA-Z,*?"<>|/\\:#]+')


class IndexSettings(Section):
    """The index and how videos are laid out in it."""

    name: str = Field(
        "videos",
        min_length=1,
        description="Alias of the videos index. The registry is `<side_prefix><name>-registry`.",
    )
    side_prefix: str = Field(
        "vidsearch-",
        pattern=r"^([a-z0-9.][a-z0-9._-]*)?$",
        description="Prefix of the names of the indices that vidsearch keeps beside the videos "
        "index. No index template of the cluster may have a pattern that matches them.",
    )
    field: str = Field(
        "video",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the object in each document that holds the vectors and segments.",
    )
    quantization: Quantization = Field(
        "int8",
        description="How the engine stores and compares vectors: `float`, `fp16`, `int8`, `int4`, "
        "`binary` or `disk` with a graph, `flat`, `int8_flat`, `int4_flat` or `binary_flat` "
        "without one; see docs/indices.md.",
    )
    m: int = Field(
        M,
        ge=2,
        le=512,
        description="Number of neighbours of each vector in the graph (HNSW). More find better in "
        "large indices, and take memory, disk and time to index.",
    )
    ef_construction: int = Field(
        EF_CONSTRUCTION,
        ge=2,
        le=3200,
        description="Number of candidates among which the neighbours of a new vector are chosen. "
        "More find better, and take time to index.",
    )
    shards: int = Field(
        1, ge=1, description="Number of primary shards of a new index and of a new registry."
    )
    replicas: int = Field(
        1, ge=0, description="Number of replicas of each primary shard, of index and registry."
    )
    segment_seconds: float = Field(
        10.0,
        gt=0,
        allow_inf_nan=False,
        description="Length of a segment in seconds. For `semantic` and `shots` the length aimed "
        "at.",
    )
    max_segments: int = Field(
        512,
        ge=1,
        le=10_000,
        description="Maximum number of segments per video. Longer videos get longer segments.",
    )
    segments: Literal["fixed", "semantic", "shots"] = Field(
        "fixed",
        description="Where a segment ends: every `segment_seconds` (`fixed`), where the content "
        "changes (`semantic`), or at the cuts (`shots`, extra `shots`).",
    )
    segment_overlap: float = Field(
        0.0,
        ge=0,
        description="Number of seconds that neighbouring `fixed` segments share. Must be less than "
        "`segment_seconds`.",
    )

    mapping: dict[str, Any] | None = Field(
        None,
        description="Mappings of your own fields in a managed index: path of a JSON file with "
        "`properties`, or the JSON itself. See docs/indices.md.",
    )

    @field_validator("name")
    @classmethod
    def _one_index(cls, value: str) -> str:
        if _NAME.fullmatch(value) is None or value in (".", "..") or value != value.lower():
            raise ValueError(
                "must be the name of one alias or index as engines take it: in lower case, without "
                'blanks and , * ? " < > | / \\ : #, and not beginning with - _ or +'
            )
        return value

    @field_validator("mapping", mode="before")
    @classmethod
    def _read_mapping(cls, value: Any, info: ValidationInfo) -> Any:
        return None if value is None else own_mapping(value, reserved=info.data.get("field", ""))

    @model_validator(mode="after")
    def _overlap_fits(self) -> IndexSettings:
        if self.segment_overlap >= self.segment_seconds:
            raise ValueError("segment_overlap must be shorter than segment_seconds")
        return self

    @property
    def write_alias(self) -> str:
        """Alias of the two indices that are both written during a reindex; absent otherwise."""
        return write_alias_of(self.name)

    @property
    def registry(self) -> str:
        """Alias of the registry."""
        return f"{self.side_prefix}{self.name}-registry"

    @property
    def embeddings(self) -> str:
        """Alias of the index that the embedding store is kept in."""
        return f"{self.side_prefix}{self.name}-embeddings"

    @property
    def slices(self) -> str:
        """Alias of the index with the slices of long videos."""
        return f"{self.side_prefix}{self.name}-slices"

    @property
    def fills(self) -> str:
        """Alias of the index with the documents that a reindex has workers make."""
        return f"{self.side_prefix}{self.name}-fills"

    @property
    def operations(self) -> str:
        """Alias of the index with the last sweep, the pauses and the reindex runs."""
        return f"{self.side_prefix}{self.name}-operations"

    @property
    def side_advice(self) -> str:
        """What to do where an index template applies to the name of a side index."""
        return (
            f"Set index.side_prefix (now {self.side_prefix!r}) to a prefix that no pattern of a "
            "template matches, or narrow the index_patterns of the template"
        )
