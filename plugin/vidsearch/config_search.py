"""The section of the settings about searches.

See :mod:`vidsearch.config_sections`, which has the other sections.
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from vidsearch.config_sources import Section
from vidsearch_mappings.candidates import MAX_CANDIDATES
from vidsearch_mappings.fusions import Normalizer
from vidsearch_mappings.stop_words import stop_words

__all__ = ["FusionName", "SearchSettings"]

FusionName = Literal["rrf", "linear", "sum", "native", "native_rrf"]
"""Fusions that have a name; see :func:`vidsearch.search.native.choose`."""
_BOOST = re.compile(r"[0-9]+(\.[0-9]+)?|\.[0-9]+")


class SearchSettings(Section):
    """Defaults of a search."""

    keyword_fields: tuple[str, ...] = Field(
        ("title^2", "description", "tags", "*"),
        description="Fields that the keyword leg searches, with boosts (`title^2`).",
    )
    stop_words: tuple[str, ...] = Field(
        ("_english_",),
        description="Words of a text by which the keyword leg finds no video by themselves: lists "
        "by language (`_english_`, `_german_`, …) and single words. A video whose words hold the "
        "whole text as a phrase is found nevertheless. Empty: none.",
    )
    num_candidates: int | Literal["auto"] = Field(
        "auto",
        description="Number of candidates per shard that a kNN search considers, from 1 to 10,000. "
        "Raised to `k` where it is less. `auto`: by the number of vectors per shard; see "
        "docs/search.md.",
    )
    window: int = Field(
        100,
        ge=1,
        le=10_000,
        description="Number of best hits of each leg that a fusion ranks (in the engines: rank "
        "window size). A search's `from_` plus `k` must not exceed it.",
    )
    rescore: bool = Field(
        True,
        description="Whether to rescore the candidates of quantized vectors with the exact "
        "vectors. OpenSearch does it by the script `knn_score`; set it to false where the "
        "cluster allows no scripts.",
    )
    fusion: FusionName = Field(
        "rrf",
        description="Fusion of a hybrid search: computed by vidsearch (`rrf`, `linear`) or by the "
        "engine (`sum`, `native`, `native_rrf`).",
    )
    rank_constant: int = Field(
        60, ge=1, description="Rank constant of reciprocal rank fusion (`rrf`, `native_rrf`)."
    )
    normalizer: Normalizer = Field(
        "min_max", description="Normalizer of the scores of each leg (`linear`, `native`)."
    )
    vector_weight: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="Weight of the vector leg in a fusion."
    )
    keyword_weight: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="Weight of the keyword leg in a fusion."
    )
    highlight_tags: tuple[str, str] = Field(
        ("<em>", "</em>"), description="Tags before and after each match in a highlight."
    )

    @field_validator("keyword_fields")
    @classmethod
    def _with_boosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            name, caret, boost = each.partition("^")
            if not name or (caret and not _BOOST.fullmatch(boost)):
                raise ValueError(
                    f"{each!r} must be a field, or one with its boost, such as title^2"
                )
        return value

    @field_validator("num_candidates", mode="before")
    @classmethod
    def _number_or_auto(cls, value: Any) -> Any:
        text = str(value)
        if text == "auto":
            return text
        if isinstance(value, bool) or not text.isdecimal() or not 1 <= int(text) <= MAX_CANDIDATES:
            raise ValueError(f"must be a number from 1 to {MAX_CANDIDATES:,}, or auto")
        return int(text)

    @field_validator("stop_words")
    @classmethod
    def _known_lists(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        stop_words(value)
        return value

    @model_validator(mode="after")
    def _something_weighs(self) -> SearchSettings:
        if not self.vector_weight + self.keyword_weight:
            raise ValueError("vector_weight and keyword_weight must not both be 0")
        return self
