"""What a search does, from its request to the hits, written once for both clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import SearchSettings, Settings
from vidsearch.encoders.output import embedded_texts
from vidsearch.engines import Json
from vidsearch.engines.calls import Calls
from vidsearch.engines.errors import TextTooLongError
from vidsearch.engines.steps import Steps, Work
from vidsearch.errors import (
    BackendUnavailableError,
    IndexNotFoundError,
    MappingConflictError,
    QueryError,
)
from vidsearch.index.description import IndexDescription
from vidsearch.index.health import require_vectors
from vidsearch.search.checked_filter import CheckedFilter
from vidsearch.search.checked_request import CheckedRequest
from vidsearch.search.embedded import Embedded
from vidsearch.search.index_cache import IndexCache, IndexMovedError
from vidsearch.search.models import Models, pool_of
from vidsearch.search.native import Cluster
from vidsearch.search.own_filters import without_own_filters
from vidsearch.search.past_searches import PastSearches
from vidsearch.search.plan import Plan
from vidsearch.search.query_vector import (
    MediaInput,
    QueryVector,
    given_vector,
    stored_vector,
)
from vidsearch.search.ranking import Ranking
from vidsearch.search.refusals import REFUSALS, refused
from vidsearch.search.request import Leg
from vidsearch.search.types import FacetCounts, Hit, SearchResult
from vidsearch.search.values import Values
from vidsearch_mappings.queries import highlighting_beginnings, stored_vectors_query

if TYPE_CHECKING:
    from vidsearch.encoders.base import Encoder
    from vidsearch.encoders.pool import EncoderPool

__all__ = ["SearchCore"]

_T = TypeVar("_T")
_LARGE_WINDOW = 1000
"""To rank, sort and count more hits takes a while, which an event loop should not wait for."""


class SearchCore:
    """The steps of searches in one index. Thread-safe.

    A hybrid search is one ``_msearch`` of a vector leg and a keyword leg that brings back ids and
    scores only, fused here: right on every licence and the same on both engines. A second one
    reads documents, cosines and moments of the final hits, those that only the keyword leg found
    included. Reading every document of both windows in the first would cost several times as much,
    as older engines must parse all vectors of a document to leave them out. Several searches share
    each ``_msearch``.

    Args:
        alias: alias or name of the videos index.
        encoders: finds the encoder of the index that answers; made when a model is first needed.
        settings: candidates, window, fields of the keyword leg.
        media: reads images and clips.
        registry: alias of the registry; by default that of the default ``index.side_prefix``.
        cold: whether the time that loading the configured model takes is none of the search.
    """

    def __init__(
        self,
        alias: str,
        *,
        encoders: Callable[[], EncoderPool],
        settings: SearchSettings,
        media: MediaInput | None = None,
        registry: str | None = None,
        cold: bool = False,
    ) -> None:
        self.alias = alias
        self.models = Models(encoders, alias=alias, cold=cold)
        self._settings = settings
        self._media = media or MediaInput()
        self.index = IndexCache(alias, registry=registry)
        self._past = PastSearches()
        self._is_slow = settings.window > _LARGE_WINDOW

    @classmethod
    def from_settings(
        cls, settings: Settings, *, encoder: Encoder | EncoderPool | None = None
    ) -> SearchCore:
        """By the sections ``model``, ``index``, ``search``, ``sources``, ``ingest``.

        The model is loaded when first needed; ``encoder`` is used instead where it is given.
        """
        model, ingest, index = settings.model, settings.ingest, settings.index

        def pool() -> EncoderPool:
            from vidsearch import encoders

            return encoders.EncoderPool(lambda: encoders.load_encoder(model, ingest), model, ingest)

        return cls(
            index.name,
            encoders=pool if encoder is None else pool_of(encoder),
            settings=settings.search,
            media=MediaInput(settings.sources, ingest, model.batch_size),
            registry=index.registry,
            cold=True,
        )

    def request(self, text: Any, options: Mapping[str, Any]) -> CheckedRequest:
        """See :meth:`CheckedRequest.of`."""
        return CheckedRequest.of(text, options, settings=self._settings)

    def requests(self, texts: Any, options: Mapping[str, Any]) -> list[CheckedRequest]:
        """See :meth:`CheckedRequest.several`."""
        return CheckedRequest.several(texts, options, settings=self._settings)

    def embed(self, text: str, calls: Calls) -> Steps[NDArray[np.float32]]:
        """The unit vector of a text, of the model of the index: ``(dims,)`` float32.

        Of the configured model where there is no index, and so nothing to compare with, or where
        the engine was away ever since: an application starts all the same.
        """
        index: IndexDescription | None
        try:
            index = yield from self.index.describe(calls)
        except IndexNotFoundError:
            index = None
        except BackendUnavailableError:
            index = self.index.last_known

        def embedded() -> NDArray[np.float32]:
            encoder = self.models.configured() if index is None else self.models.of(index)
            vector: NDArray[np.float32] = embedded_texts(encoder, [text])[0]
            self.models.used(encoder, frames=False)
            return vector

        vector: NDArray[np.float32] = yield Work(embedded)
        if index is not None:
            yield from self.models.look_ahead(calls, index.name)
        return vector

    def embed_image(
        self, image: Any, calls: Calls, index: IndexDescription | None = None
    ) -> Steps[NDArray[np.float32]]:
        """The unit vector of an image, of the model of the index: ``(dims,)`` float32."""
        of = index if index is not None else (yield from self.index.describe(calls))
        encoder = yield Work(lambda: self.models.of(of))
        vector: NDArray[np.float32] = yield Work(lambda: self._media.image(image, encoder=encoder))
        self.models.used(encoder, frames=True)
        return vector

    def search(self, request: CheckedRequest, calls: Calls) -> Steps[SearchResult]:
        """The hits of one request."""
        (result,) = yield from self.search_many([request], calls)
        return result

    def search_many(
        self, requests: Sequence[CheckedRequest], calls: Calls
    ) -> Steps[list[SearchResult]]:
        """The hits of each request, in their order."""
        started = time.perf_counter()
        embedded = Embedded(requests, self.models, self._media)

        def run(index: IndexDescription) -> Steps[list[SearchResult]]:
            if (missing := index.missing_object) is None:
                return (yield from self._results(requests, index, calls, embedded))
            by_words = [each.without_vectors(index.field) for each in requests]
            words = [each for each in by_words if each is not None]
            found = iter((yield from self._results(words, index, calls, embedded)))
            results = []
            for checked, each in zip(requests, by_words, strict=True):
                nothing = checked.result(index.name)
                result = next(found) if each else nothing
                result = replace(result, warnings=(*result.warnings, missing))
                facets = {**nothing.facets, **result.facets}
                results.append(replace(result, mode=nothing.mode, facets=facets))
            return results

        found = yield from self.index.run(calls, run, sized=self._counts(requests, calls))
        yield from self.models.look_ahead(calls, found[0].index)
        took = 1000 * (time.perf_counter() - started - embedded.loading)
        return [replace(each, took=took) for each in found]

    def _results(
        self,
        requests: Sequence[CheckedRequest],
        index: IndexDescription,
        calls: Calls,
        embedded: Embedded,
    ) -> Steps[list[SearchResult]]:
        plans = yield from self._plans(requests, index, calls, embedded)
        counting = [[*without_own_filters(plan)] for plan in plans]
        every = [*plans, *(each for others in counting for each in others)]
        rankings = yield from self._rank(every, calls)
        pages = yield from self._hits(rankings, index, calls)
        counts: list[dict[str, FacetCounts]] = [{} for _ in every]
        if any(plan.values.facets for plan in every):
            counts = yield from _for_each(
                rankings, lambda each, _: each.facets(), [{} for _ in every], slow=self._is_slow
            )
        results = []
        others = iter(counts[len(plans) :])
        for at, checked in enumerate(requests):
            ranking, facets = rankings[at], counts[at]
            for _ in counting[at]:
                facets |= next(others)
            result = checked.result(index.name, hits=pages[at], warnings=tuple(ranking.warnings))
            results.append(replace(result, total=ranking.total, facets=facets))
        return results

    def bodies(self, request: CheckedRequest, calls: Calls) -> Steps[dict[Leg, Json]]:
        """The complete request bodies by leg; one, ``fused``, where the engine fuses."""
        embedded = Embedded([request], self.models, self._media)

        def run(index: IndexDescription) -> Steps[dict[Leg, Json]]:
            if index.missing_object and request.request.needs_vector:
                raise MappingConflictError(index.missing_object)
            (plan,) = yield from self._plans([request], index, calls, embedded)
            yield from self.models.look_ahead(calls, index.name)
            return plan.bodies()[0]

        return (yield from self.index.run(calls, run, sized=self._counts([request], calls)))

    def _counts(self, requests: Sequence[CheckedRequest], calls: Calls) -> bool:
        """Whether the bodies depend on how many vectors, or videos without one field, there are."""
        automatic, by_script = self._settings.num_candidates == "auto", calls.kind == "opensearch"
        return any(
            one.needs_vector
            and (automatic or (by_script and one.filters_videos and one.level != "video"))
            for one in (each.request for each in requests)
        )

    # -- from requests to plans

    def _plans(
        self,
        requests: Sequence[CheckedRequest],
        index: IndexDescription,
        calls: Calls,
        embedded: Embedded,
    ) -> Steps[list[Plan]]:
        filters = [CheckedFilter.of(each, index) for each in requests]
        pairs = zip(requests, filters, strict=True)
        on_segments = [request for request, each in pairs if each.on_segments]
        if on_segments and not (yield from calls.features()).nested_filters:
            # Tried on 8.19.21: nothing is found, or moments that do not match.
            with on_segments[0].errors_about("filter"):
                raise QueryError(
                    f"this cluster cannot filter moments by fields of {index.field}.segments "
                    "(Elasticsearch 9.2 and later can): search at level=video, which finds videos "
                    "that have such a segment, or leave out that condition"
                )
        values = [
            Values.of(each, index, exact=filters[at].exact_nearest(calls.kind))
            for at, each in enumerate(requests)
        ]
        vectors = yield from self._query_vectors(requests, index, calls, embedded)
        cluster = None
        if any(request.engine_fusion for request in requests):
            cluster = Cluster((yield from calls.info()), (yield from calls.features()))
        exact = True
        rescored = index.oversample is not None and self._settings.rescore
        if rescored and any(request.request.compares_segments for request in requests):
            exact = (yield from calls.features()).exact_inner_hits
        return [
            Plan(
                checked=request,
                kind=calls.kind,
                cluster=cluster,
                index=index,
                vector=vectors[at],
                settings=self._settings,
                filter=filters[at],
                segment_vectors=request.request.compares_segments and not exact,
                values=values[at],
                past=self._past,
                tied=self._past.tied(request.request),
            )
            for at, request in enumerate(requests)
        ]

    def _query_vectors(
        self,
        requests: Sequence[CheckedRequest],
        index: IndexDescription,
        calls: Calls,
        embedded: Embedded,
    ) -> Steps[list[QueryVector]]:
        """What the vector leg of each request compares with; empty in keyword mode."""
        vectors = [QueryVector() for _ in requests]
        if any(each.request.needs_model for each in requests):
            vectors = list((yield Work(lambda: embedded(index))))
        groups: list[dict[str, Json]] = [{} for _ in requests]
        for group, checked in zip(groups, requests, strict=True):
            if (id := checked.request.like) is not None and checked.request.needs_vector:
                segments = checked.request.at is not None
                group["like"] = stored_vectors_query(
                    calls.kind, field=index.field, id=id, segments=segments
                )
        stored = yield from self._ask(calls, index, groups)
        for at, checked in enumerate(requests):
            request = checked.request
            if request.vector is not None:
                with checked.errors_about("vector"):
                    vector = given_vector(request.vector, dims=index.identity.dims)
                vectors[at] = QueryVector(vector.tolist())
            elif request.like is not None and request.needs_vector:
                hits = stored[at]["like"]["hits"]["hits"]
                source = hits[0]["_source"] if hits else None
                with checked.errors_about("like"):
                    like = stored_vector(source, request, kind=calls.kind, field=index.field)
                vectors[at] = QueryVector(like)
        return vectors

    # -- from plans to hits

    def _rank(self, plans: Sequence[Plan], calls: Calls) -> Steps[list[Ranking]]:
        """The videos of each search in order, of one ``_msearch`` of all their legs."""
        rankings = list(map(Ranking, plans))
        if not plans:
            return rankings
        try:
            bodies = [each.first_bodies() for each in rankings]
            answers = yield from self._ask(calls, plans[0].index, bodies)
        except REFUSALS as error:
            told = refused(error, plans)
            if told is error:
                raise
            raise told from error
        if any("vector" in one and not one["vector"]["hits"]["hits"] for one in answers):
            yield from require_vectors(calls, self.alias, plans[0].index.field, all_of_them=False)
        yield from _for_each(rankings, Ranking.rank, answers, slow=self._is_slow)
        return rankings

    def _hits(
        self, rankings: Sequence[Ranking], index: IndexDescription, calls: Calls
    ) -> Steps[list[tuple[Hit, ...]]]:
        """The hits of each page."""
        answers = yield from self._ask(calls, index, [each.candidates() for each in rankings])
        yield from _for_each(rankings, Ranking.reorder, answers, slow=self._is_slow or any(answers))
        answers = yield from self._ask(calls, index, [each.page() for each in rankings])
        return (yield from _for_each(rankings, Ranking.hits, answers))

    def _ask(
        self, calls: Calls, index: IndexDescription, groups: Sequence[Mapping[str, Json]]
    ) -> Steps[list[dict[str, Json]]]:
        """The responses to the bodies of each group by their names, in one ``_msearch``.

        It goes through the alias, as all of a search does: a filter of the alias holds, and a right
        to the alias is enough. All of a search is of one index nevertheless: where a hit is of
        another index than the one described, the alias has moved, and the search begins anew.

        Raises:
            IndexMovedError: the alias has moved.
        """
        bodies = [body for group in groups for body in group.values()]
        if not bodies:
            return [{} for _ in groups]
        try:
            responses = yield from calls.msearch(self.alias, bodies)
        except TextTooLongError as error:
            most = max(error.most - 1, 1)  # so that Elasticsearch takes it, too
            bodies = [highlighting_beginnings(calls.kind, b, characters=most) for b in bodies]
            responses = yield from calls.msearch(self.alias, bodies)
        # Every hit names its index. Without a hit there is nothing to tell by, so it is asked.
        names = {hit["_index"] for response in responses for hit in response["hits"]["hits"][:1]}
        if not names:
            names = {(yield from self.index.describe(calls, fresh=True)).name}
        if names != {index.name}:
            raise IndexMovedError
        rest = iter(responses)
        return [{name: next(rest) for name in group} for group in groups]


def _for_each(
    rankings: Sequence[Ranking],
    method: Callable[[Ranking, Mapping[str, Json]], _T],
    answers: Sequence[Mapping[str, Json]],
    *,
    slow: bool = False,
) -> Steps[list[_T]]:
    """The outcomes of a method, computed outside the event loop where that takes a while."""

    def outcomes() -> list[_T]:
        return [method(ranking, answer) for ranking, answer in zip(rankings, answers, strict=True)]

    return (yield Work(outcomes)) if slow or len(rankings) > 1 else outcomes()
