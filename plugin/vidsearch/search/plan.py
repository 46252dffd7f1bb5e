"""From the arguments of a search to the bodies of its legs. No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from vidsearch.config import SearchSettings
from vidsearch.engines.base import EngineKind, Json
from vidsearch.errors import QueryError
from vidsearch.search.filters import Filter, build_filters
from vidsearch.search.live_index import IndexView
from vidsearch.search.live_mapping import expand_fields
from vidsearch.search.types import Level, Mode
from vidsearch_mappings.queries import documents_query, keyword_query, vector_query

__all__ = ["Asked", "Leg", "Plan", "ask", "require_text"]

Leg = str
"""``vector`` or ``keyword``."""

_LEGS: dict[Mode, tuple[Leg, ...]] = {
    "hybrid": ("vector", "keyword"),
    "vector": ("vector",),
    "keyword": ("keyword",),
}
_MOST_MOMENTS = 100  # the engines' own limit of inner hits
# Lucene counts one clause per word and field, and OpenSearch stops at 1,024 of them.
_MOST_CLAUSES = 900
# Much as the standard analyzer cuts: single CJK characters, runs of letters and digits up to its
# limit, single symbols beyond ASCII (emoji).
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W{_CJK}]{{1,255}}|[^\w\s\x00-\u203b]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A search whose arguments were checked as far as that goes without the index."""

    text: str
    k: int
    mode: Mode
    level: Level
    filter: Filter | None
    min_cosine: float | None
    moments: int

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that the mode has."""
        return _LEGS[self.mode]

    @property
    def fuses(self) -> bool:
        """Whether there are several legs to fuse."""
        return len(self.legs) > 1

    @property
    def needs_vector(self) -> bool:
        """Whether the text must be embedded."""
        return "vector" in self.legs


def ask(
    text: str,
    *,
    k: int,
    mode: Mode,
    level: Level,
    filter: Filter | None,
    min_cosine: float | None,
    moments: int,
    window: int,
) -> Asked:
    """Check the arguments.

    Raises:
        QueryError: one of them is wrong; the message names it and what is allowed.
    """
    text = require_text(text)
    if mode not in get_args(Mode):
        raise QueryError(f"mode must be hybrid, vector or keyword, not {mode!r}")
    if level not in get_args(Level):
        raise QueryError(f"level must be segment or video, not {level!r}")
    _require_int("k", k, 1, window, why=" (the setting search.window)")
    _require_int("moments", moments, 0, _MOST_MOMENTS)
    if min_cosine is not None and not (_is_real(min_cosine) and -1 <= min_cosine <= 1):
        raise QueryError(f"min_cosine must be a number between -1 and 1, not {min_cosine!r}")
    return Asked(text, k, mode, level, filter, min_cosine, moments)


def require_text(text: str) -> str:
    """The text without blanks around it.

    Raises:
        QueryError: not a text, or nothing in it.
    """
    if not isinstance(text, str):
        raise QueryError(f"the search text must be a str, not {type(text).__name__}")
    text = text.strip()
    if not text:
        raise QueryError("the search text is empty: say what the video should show")
    return text


@dataclass(frozen=True, slots=True)
class Plan:
    """A search that meets an index: makes the bodies."""

    asked: Asked
    kind: EngineKind
    view: IndexView
    vector: Sequence[float]
    """Of the text; empty in keyword mode."""
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
        size = self.settings.window if asked.fuses else asked.k
        bodies: dict[Leg, Json] = {}
        said: list[str] = []
        if asked.needs_vector:
            _refuse_nested(filters, kind=self.kind, level=asked.level)
            moments = asked.moments if content else 0
            bodies["vector"] = self._near(size, filters, moments=moments, source=content)
        if "keyword" in asked.legs:
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
            rescore=self.view.quantized,
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


def _require_int(name: str, value: Any, low: int, high: int, *, why: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise QueryError(f"{name} must be a whole number from {low} to {high}{why}, not {value!r}")


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
