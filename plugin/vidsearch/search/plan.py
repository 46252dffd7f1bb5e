"""From a search and the index that it meets to the bodies of its legs. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vidsearch.config import SearchSettings
from vidsearch.engines.base import EngineKind, Json
from vidsearch.errors import QueryError
from vidsearch.search.filters import build_filters
from vidsearch.search.live_index import IndexView
from vidsearch.search.live_mapping import expand_fields
from vidsearch.search.request import Asked, Leg
from vidsearch.search.types import Level
from vidsearch_mappings.queries import documents_query, keyword_query, vector_query

__all__ = ["Plan"]

# Lucene counts one clause per word and field, and OpenSearch stops at 1,024 of them.
_MOST_CLAUSES = 900
# Much as the standard analyzer cuts: single CJK characters, runs of letters and digits up to its
# limit, single symbols beyond ASCII (emoji).
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]{{1,255}}|[^\w\s\x00-\u203b]")


@dataclass(frozen=True, slots=True)
class Plan:
    """A search that meets an index: makes the bodies."""

    asked: Asked
    kind: EngineKind
    view: IndexView
    vector: Sequence[float]
    """What the vector leg compares with; empty in keyword mode."""
    settings: SearchSettings

    def legs(self, *, content: bool = True) -> tuple[dict[Leg, Json], list[str]]:
        """The body of each leg, and what the user should be told about them.

        Args:
            content: bring back documents and moments, not only ids and scores.

        Raises:
            QueryError: the filter does not fit the index.
        """
        asked, view = self.asked, self.view
        filters = build_filters(asked.filter, properties=view.properties)
        # A single leg needs no window to be fused in; the hits asked for are enough.
        size = self.settings.window if asked.fuses else asked.last
        bodies: dict[Leg, Json] = {}
        said: list[str] = []
        if asked.needs_vector:
            _refuse_nested(filters, kind=self.kind, level=asked.level)
            moments = asked.moments if content else 0
            bodies["vector"] = self._near(size, filters, moments=moments, source=content)
        if "keyword" in asked.legs:
            assert asked.text is not None
            text, fields, said = _within_limits(
                asked.text,
                expand_fields(view.properties, self.settings.keyword_fields, hidden=view.field),
            )
            bodies["keyword"] = keyword_query(
                field=view.field,
                text=text,
                fields=fields,
                size=size,
                source=content,
                filters=filters,
            )
        return bodies, said

    def page(self, ids: Sequence[str]) -> tuple[Json, Json]:
        """The two bodies that fill the final hits: cosines and moments, and documents."""
        chosen = [{"ids": {"values": list(ids)}}]
        near = self._near(len(ids), chosen, moments=self.asked.moments, source=False)
        return near, documents_query(field=self.view.field, ids=ids)

    def _near(self, k: int, filters: list[Json], *, moments: int, source: bool) -> Json:
        return vector_query(
            self.kind,
            field=self.view.field,
            vector=self.vector,
            level=self.asked.level,
            k=k,
            num_candidates=self.settings.num_candidates,
            moments=moments,
            source=source,
            oversample=self.view.oversample,
            filters=filters,
        )


def _refuse_nested(filters: Any, *, kind: EngineKind, level: Level) -> None:
    """OpenSearch reads a nested clause inside a nested kNN clause wrongly, without a word."""
    if kind != "opensearch" or level != "segment":
        return
    for clause in filters if isinstance(filters, list) else [filters]:
        if isinstance(clause, dict):
            if "nested" in clause:
                raise QueryError(
                    "OpenSearch cannot filter moments by a `nested` clause: "
                    "search at level=video, or without it"
                )
            for inner in clause.values():
                _refuse_nested(inner, kind=kind, level=level)


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
