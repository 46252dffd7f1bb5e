"""Requests that fit the settings, each with its fusion."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from vidsearch.config import SearchSettings
from vidsearch.errors import ModelUnavailableError, QueryError, SourceUnavailableError
from vidsearch.search.fusion import Fusion
from vidsearch.search.native import NativeFusion, choose
from vidsearch.search.request import SearchRequest, require_text
from vidsearch.search.types import FacetCounts, Hit, SearchResult

__all__ = ["CheckedRequest"]


@dataclass(frozen=True, slots=True)
class CheckedRequest:
    """A request that fits the settings, and what fuses its legs."""

    request: SearchRequest
    fusion: Fusion | None = None
    """What fuses the legs here; ``None`` where the engine does, or of a single leg."""
    engine_fusion: NativeFusion | None = None
    """What fuses them inside the engine."""
    position: str = ""
    """``texts[3]``, for messages, of a request with its own options among several."""

    def result(
        self, index: str, *, hits: tuple[Hit, ...] = (), warnings: tuple[str, ...] = ()
    ) -> SearchResult:
        """The result of an index with these hits; nothing is counted yet."""
        request = self.request
        return SearchResult(
            hits,
            mode=request.resolved_mode,
            level=request.level,
            index=index,
            took=0.0,
            warnings=warnings,
            facets={facet.field: FacetCounts(facet.field) for facet in request.counted},
            group_by=request.group_by,
        )

    @classmethod
    def of(
        cls, text: Any, options: Mapping[str, Any], *, settings: SearchSettings, position: str = ""
    ) -> CheckedRequest:
        """The request of a text and options, or the one given in place of the text.

        Raises:
            QueryError: an argument is wrong. Nothing was sent.
        """
        with _errors_at(position):
            request = SearchRequest.of(text, options, window=settings.window)
            fusion = choose(request.fusion, settings=settings)
            if not request.fuses:
                return cls(request, position=position)
            if not isinstance(fusion, NativeFusion):
                return cls(request, fusion, position=position)
            for name in ("min_cosine", "gap"):
                if getattr(request, name) is not None:
                    raise QueryError(
                        f"{name} cuts the vector leg, which the engine does not return where it "
                        "fuses: leave it out, or take fusion=rrf or fusion=linear",
                        argument=name,
                    )
            if request.by_moment:
                raise QueryError(
                    "group_by=moment fuses rankings of moments, which no engine does: take "
                    "fusion=rrf or fusion=linear",
                    argument="group_by",
                )
            if request.level == "both":
                raise QueryError(
                    "level=both has two rankings of vectors, which no engine fuses: take "
                    "fusion=rrf or fusion=linear, or another level",
                    argument="level",
                )
            return cls(request, engine_fusion=fusion, position=position)

    @classmethod
    def several(
        cls, texts: Any, options: Mapping[str, Any], *, settings: SearchSettings
    ) -> list[CheckedRequest]:
        """The requests of several texts with the same options; a request keeps its own.

        Raises:
            QueryError: an argument is wrong; the message names the position of a wrong text.
        """
        if isinstance(texts, (str, bytes, SearchRequest)) or not hasattr(texts, "__iter__"):
            raise QueryError(f"texts must be a list of texts, not {texts!r}", argument="texts")
        if "text" in options:
            raise QueryError("the texts are given already: leave out text", argument="text")
        checked = []
        for at, text in enumerate(texts):
            position = f"texts[{at}]"
            if isinstance(text, SearchRequest):
                checked.append(cls.of(text, {}, settings=settings, position=position))
                continue
            with _errors_at(position):
                text = require_text(text)
            checked.append(cls.of(text, options, settings=settings))
        return checked

    def without_vectors(self, field: str) -> CheckedRequest | None:
        """The keyword leg alone; ``None`` where nothing can be found without vectors.

        ``field`` is the vidsearch object, which no document has: what is asked of fields in it is
        left out.
        """
        request = self.request
        filtered_by = json.dumps(request.filter, default=str)
        if "keyword" not in request.legs or request.by_moment or f'"{field}.' in filtered_by:
            return None

        def exists(name: object) -> bool:
            return not f"{name}.".startswith(f"{field}.")

        left: dict[str, Any] = {"mode": "keyword"}
        left["facets"] = tuple(facet for facet in request.counted if exists(facet.field))
        left["sort"] = request.sort if request.sort_key and exists(request.sort_key[0]) else None
        left["collapse"] = request.collapse if exists(request.collapse) else None
        if not isinstance(request.highlight, bool):
            left["highlight"] = tuple(filter(exists, request.highlight))
        return CheckedRequest(request.model_copy(update=left), position=self.position)

    @contextmanager
    def errors_about(self, argument: str) -> Iterator[None]:
        """Name the position of the request, and the argument at fault, in errors raised inside."""
        with _errors_at(self.position):
            try:
                yield
            except QueryError as error:
                error.argument = error.argument or argument
                raise


@contextmanager
def _errors_at(position: str) -> Iterator[None]:
    try:
        yield
    except (QueryError, SourceUnavailableError, ModelUnavailableError) as error:
        if not position:
            raise
        if isinstance(error, QueryError):
            message = f"{position}: {error.public}"
            raise QueryError(message, argument="texts", known=error.known) from error
        raise type(error)(f"{position}: {error}") from error
