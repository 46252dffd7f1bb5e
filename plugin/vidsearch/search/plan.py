"""From a search and the index that it meets to the bodies of its legs. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from vidsearch.config import SearchSettings
from vidsearch.engines.base import EngineKind, Json
from vidsearch.errors import QueryError
from vidsearch.search.filters import build_filters, split_segment_filters
from vidsearch.search.live_index import IndexView
from vidsearch.search.live_mapping import expand_fields, find_field
from vidsearch.search.moments import segments_needed
from vidsearch.search.request import Asked, Leg
from vidsearch_mappings.queries import (
    Level,
    documents_query,
    highlighted,
    keyword_query,
    moment_path,
    vector_query,
)
from vidsearch_mappings.scores import Similarity

__all__ = ["VIDEO_BODY", "Conditions", "Plan"]

VIDEO_BODY = "vector_video"
"""Name of the second body of the vector leg at level ``both``: among mean vectors."""


# Lucene counts one clause per word and field, and OpenSearch stops at 1,024 of them.
_MOST_CLAUSES = 900
# Much as the standard analyzer cuts: single CJK characters, runs of letters and digits up to its
# limit, single symbols beyond ASCII (emoji).
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]{{1,255}}|[^\w\s\x00-\u203b]")


@dataclass(frozen=True, slots=True)
class Conditions:
    """The filter of a search as each leg takes it."""

    on_videos: list[Json]
    """For a search among mean vectors, and for words."""
    beside_segments: list[Json]
    """For a search among segments: those on videos only, …"""
    on_segments: list[Json]
    """… and those on segments, which decide what moments there can be."""

    @classmethod
    def of(cls, asked: Asked, view: IndexView) -> Conditions:
        """The checked conditions of a search.

        Raises:
            QueryError: the filter does not fit the index, or an engine would misread it.
        """
        clauses = build_filters(asked.filter, properties=view.properties)
        own: list[Json] = []
        if asked.input[0] == "like":
            own = [{"bool": {"must_not": [{"ids": {"values": [asked.input[1]]}}]}}]
        if not asked.needs_vector or asked.level == "video":
            return cls(clauses + own, clauses + own, [])
        path = moment_path(view.field)
        on_videos, on_segments = split_segment_filters(clauses, path=path)
        together: list[Json] = []
        if on_segments:
            together = [{"nested": {"path": path, "query": {"bool": {"filter": on_segments}}}}]
        return cls(on_videos + together + own, on_videos + own, on_segments)


@dataclass(frozen=True, slots=True)
class Plan:
    """A search that meets an index: makes the bodies."""

    asked: Asked
    kind: EngineKind
    view: IndexView
    vector: Sequence[float]
    """What the vector leg compares with; empty in keyword mode."""
    settings: SearchSettings
    conditions: Conditions

    @property
    def levels(self) -> dict[str, Level]:
        """Level of each body of the vector leg, by its name."""
        if self.asked.level == "both":
            return {"vector": "segment", VIDEO_BODY: "video"}
        return {"vector": self.asked.level}

    def similarity(self, level: Level) -> Similarity:
        """How a body of the vector leg is scored.

        Raises:
            MappingConflictError: the index has no such vector, or none that can be compared.
        """
        scripted = self._oversample is not None or (
            level == "segment" and self.conditions.on_segments
        )
        by_field = self.view.similarity(level)
        return "half_inner_product" if self.kind == "opensearch" and scripted else by_field

    def legs(self, *, content: bool = True, spare: int = 0) -> tuple[dict[Leg, Json], list[str]]:
        """The body of each leg, and what the user should be told about them.

        At level ``both`` the vector leg has two: among segments, and among mean vectors.

        Args:
            content: bring back documents and moments, not only ids and scores.
            spare: hits of a single leg beyond those asked for.

        Raises:
            QueryError: a field to highlight does not fit the index.
        """
        asked, view = self.asked, self.view
        # A vector leg by itself needs no window; the hits asked for are enough.
        alone = content and not asked.fuses and not asked.reorders
        size = asked.last + spare if alone else self.settings.window
        size = min(size, self.settings.window)
        source = asked.source if content else False
        bodies: dict[Leg, Json] = {}
        said: list[str] = []
        if asked.needs_vector:
            for name, level in self.levels.items():
                bodies[name] = self._near(level, size=size, content=content, source=source)
        if "keyword" in asked.legs:
            text, fields, said = self._words()
            body = keyword_query(
                field=view.field,
                text=text,
                fields=fields,
                size=size,
                source=source,
                filters=self.conditions.on_videos,
            )
            bodies["keyword"] = self._with_fragments(body) if content else body
        return bodies, said

    def page(self, ids: Sequence[str]) -> dict[Leg, Json]:
        """The bodies that fill the final hits: cosines and moments, and ``documents``."""
        chosen: list[Json] = [{"ids": {"values": list(ids)}}]
        bodies = {
            name: self._near(level, size=len(ids), content=True, source=False, chosen=chosen)
            for name, level in self.levels.items()
            if self.asked.needs_vector
        }
        documents = documents_query(field=self.view.field, ids=ids, source=self.asked.source)
        return {**bodies, "documents": self._with_fragments(documents)}

    @property
    def _oversample(self) -> float | None:
        return self.view.oversample if self.settings.rescore else None

    def _near(
        self,
        level: Level,
        *,
        size: int,
        content: bool,
        source: bool | Sequence[str],
        chosen: list[Json] | None = None,
    ) -> Json:
        asked, view, conditions = self.asked, self.view, self.conditions
        among = conditions.beside_segments if level == "segment" else conditions.on_videos
        moments = segments_needed(asked.moments, merge_gap=asked.merge_gap) if content else 0
        # Of shortened vectors the engine cuts by the rough cosine; a hair of room for rounding.
        cut = asked.min_cosine if chosen is None and view.oversample is None else None
        return vector_query(
            self.kind,
            field=view.field,
            vector=self.vector,
            level=level,
            # The same for every page, or else pages would not fit together.
            k=size if chosen is not None else self.settings.window,
            size=size,
            num_candidates=self.settings.num_candidates,
            moments=moments,
            source=source,
            oversample=self._oversample,
            filters=chosen or among,
            segment_filters=conditions.on_segments if level == "segment" else (),
            similarity=None if cut is None else max(-1.0, cut - 1e-4),
        )

    def _words(self) -> tuple[str, tuple[str, ...], list[str]]:
        properties, named = self.view.properties, self.settings.keyword_fields
        fields = expand_fields(properties, named, hidden=self.view.field)
        return _within_limits(self.asked.text or "", fields)

    def _with_fragments(self, body: Json) -> Json:
        """With the highlights that were asked for; ``explain`` tells matched fields by them."""
        asked = self.asked
        if "keyword" not in asked.legs or not (asked.highlight or asked.explain):
            return body
        text, boosted, _ = self._words()
        fields = [name.partition("^")[0] for name in boosted]
        if not isinstance(asked.highlight, bool):
            for name in asked.highlight:
                if find_field(self.view.properties, name) is None:
                    raise QueryError(f"highlight: the index has no field {name!r}")
            fields = list(dict.fromkeys([*asked.highlight, *(fields if asked.explain else [])]))
        if not fields:
            return body
        tags = self.settings.highlight_tags
        return highlighted(body, text=text, fields=fields, tags=tags)


def _within_limits(text: str, fields: tuple[str, ...]) -> tuple[str, tuple[str, ...], list[str]]:
    """As many fields, and words in all of them, as the engine can look for."""
    if not fields:
        said = "the index has none of the fields of search.keyword_fields: no hit by keyword"
        return text, fields, [said]
    warnings = []
    if len(fields) > _MOST_CLAUSES:
        warnings.append(f"words are looked for in {_MOST_CLAUSES} of {len(fields)} fields only")
        fields = fields[:_MOST_CLAUSES]
    words = list(_WORD.finditer(text))
    most = _MOST_CLAUSES // len(fields)
    if len(words) > most:
        warnings.append(f"only the first {most} of {len(words)} words are looked for by keyword")
        text = text[: words[most - 1].end()]
    return text, fields, warnings
