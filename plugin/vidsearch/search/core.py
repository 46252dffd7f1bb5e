"""What a search does, from its request to the hits, written once for both clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import SearchSettings, Settings
from vidsearch.encoders.base import Encoder
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps, Work
from vidsearch.engines.types import EngineKind, Json
from vidsearch.errors import MappingConflictError, QueryError
from vidsearch.index.description import IndexDescription
from vidsearch.once import Once
from vidsearch.search.fusion import Fusion
from vidsearch.search.index_cache import IndexCache, IndexMovedError
from vidsearch.search.native import Cluster, NativeFusion, choose
from vidsearch.search.plan import Conditions, Plan
from vidsearch.search.query_vector import MediaInput, given_vector, stored_vector
from vidsearch.search.ranking import Ranking
from vidsearch.search.request import Leg, SearchRequest, query_errors_about, require_text
from vidsearch.search.types import Hit, SearchResult

__all__ = ["SearchCore"]

_T = TypeVar("_T")


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
        encoder: loads the model when first called.
        settings: candidates, window, fields of the keyword leg.
        media: reads images and clips.
    """

    def __init__(
        self,
        alias: str,
        *,
        encoder: Callable[[], Encoder],
        settings: SearchSettings,
        media: MediaInput | None = None,
    ) -> None:
        self.alias = alias
        self._encoder = Once(encoder)
        self._settings = settings
        self._media = media or MediaInput()
        self._index = IndexCache(alias)

    @classmethod
    def from_settings(cls, settings: Settings) -> SearchCore:
        """By the sections ``model``, ``index``, ``search``, ``sources``, ``ingest``.

        The model is loaded when first needed.
        """

        def load() -> Encoder:
            from vidsearch import encoders

            return encoders.load_encoder(settings.model, settings.ingest)

        media = MediaInput(settings.sources, settings.ingest, settings.model.batch_size)
        return cls(settings.index.name, encoder=load, settings=settings.search, media=media)

    def request(self, text: Any, options: Mapping[str, Any]) -> SearchRequest:
        """The checked request of a text, or the request given in its place, with its options.

        Raises:
            QueryError: an argument is wrong. Nothing was sent.
        """
        request = SearchRequest.of(text, options, window=self._settings.window)
        _, engine_fusion = self._fusions(request)
        if engine_fusion is not None:
            for name in ("min_cosine", "gap"):
                if getattr(request, name) is not None:
                    raise QueryError(
                        f"{name} cuts the vector leg, which is not to be seen where the engine "
                        "fuses: leave it out, or take fusion=rrf or fusion=linear",
                        argument=name,
                    )
            if request.level == "both":
                raise QueryError(
                    "level=both has two rankings of vectors, which no engine fuses: take "
                    "fusion=rrf or fusion=linear, or another level",
                    argument="level",
                )
        return request

    def requests(self, texts: Any, options: Mapping[str, Any]) -> list[SearchRequest]:
        """The checked requests of several texts, with the same options.

        Raises:
            QueryError: an argument is wrong; the message names the position of a wrong text.
        """
        if isinstance(texts, (str, bytes, SearchRequest)) or not hasattr(texts, "__iter__"):
            raise QueryError(f"texts must be a list of texts, not {texts!r}", argument="texts")
        if "text" in options:
            raise QueryError("the texts are given already: leave out text", argument="text")
        requests = []
        for at, text in enumerate(texts):
            is_request = isinstance(text, SearchRequest)
            try:
                # A request has options of its own.
                one = (
                    self.request(text, {})
                    if is_request
                    else self.request(require_text(text), options)
                )
                requests.append(one)
            except QueryError as error:
                if error.argument == "text" or is_request:
                    raise QueryError(f"texts[{at}]: {error}", argument="texts") from error
                raise
        return requests

    def embed(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a text: ``(dims,)`` float32. Takes a while; asks no engine."""
        vector: NDArray[np.float32] = self._encoder().encode_text([require_text(text)])[0]
        return vector

    def search(self, request: SearchRequest, calls: Calls) -> Steps[SearchResult]:
        """The hits of one request."""
        (result,) = yield from self.search_many([request], calls)
        return result

    def search_many(
        self, requests: Sequence[SearchRequest], calls: Calls
    ) -> Steps[list[SearchResult]]:
        """The hits of each request, in their order."""
        started = time.perf_counter()
        embedded = Once(lambda: self._embed(requests))

        def run(view: IndexDescription) -> Steps[tuple[str, list[Ranking], list[tuple[Hit, ...]]]]:
            plans = yield from self._plans(requests, view, calls, embedded)
            rankings = yield from self._rank(plans, calls)
            return view.name, rankings, (yield from self._hits(rankings, view, calls))

        index, rankings, hits = yield from self._index.run(calls, run)
        truncations = yield Work(lambda: list(map(self._truncation, requests)))
        took = 1000 * (time.perf_counter() - started)
        return [
            SearchResult(
                hits=hits[at],
                mode=request.resolved_mode,
                level=request.level,
                index=index,
                took=took,
                warnings=(*truncations[at], *rankings[at].warnings),
            )
            for at, request in enumerate(requests)
        ]

    def bodies(self, request: SearchRequest, calls: Calls) -> Steps[dict[Leg, Json]]:
        """The complete request bodies by leg; one, ``fused``, where the engine fuses."""
        embedded = Once(lambda: self._embed([request]))

        def run(view: IndexDescription) -> Steps[dict[Leg, Json]]:
            (plan,) = yield from self._plans([request], view, calls, embedded)
            bodies, _ = plan.legs()
            if plan.engine_fusion is None:
                return bodies
            return plan.fused(bodies, (yield from _cluster(calls)), size=request.last)

        return (yield from self._index.run(calls, run))

    # -- from requests to plans

    def _plans(
        self,
        requests: Sequence[SearchRequest],
        view: IndexDescription,
        calls: Calls,
        embedded: Once[list[list[float]]],
    ) -> Steps[list[Plan]]:
        conditions = [Conditions.of(request, view) for request in requests]
        if any(each.on_segments for each in conditions):
            features = yield from calls.features()
            if not features.nested_filters:
                # Tried on 8.19.21: nothing is found, or moments that do not match.
                raise QueryError(
                    f"this cluster cannot filter moments by fields of {view.field}.segments "
                    "(Elasticsearch 9.2 and later can): search at level=video, which finds videos "
                    "that have such a segment, or without it",
                    argument="filter",
                )
        vectors = yield from self._query_vectors(requests, view, calls, embedded)
        fusions = list(map(self._fusions, requests))
        return [
            Plan(
                request=request,
                fusion=fusions[at][0],
                engine_fusion=fusions[at][1],
                kind=calls.kind,
                view=view,
                vector=vectors[at],
                settings=self._settings,
                conditions=conditions[at],
            )
            for at, request in enumerate(requests)
        ]

    def _fusions(self, request: SearchRequest) -> tuple[Fusion | None, NativeFusion | None]:
        """What fuses the legs: here, or inside the engine. Neither of a single leg."""
        fusion = choose(request.fusion, settings=self._settings)
        if not request.fuses:
            return None, None
        return (None, fusion) if isinstance(fusion, NativeFusion) else (fusion, None)

    def _query_vectors(
        self,
        requests: Sequence[SearchRequest],
        view: IndexDescription,
        calls: Calls,
        embedded: Once[list[list[float]]],
    ) -> Steps[list[list[float]]]:
        """What the vector leg of each request compares with; empty in keyword mode."""
        vectors: list[list[float]] = [[] for _ in requests]
        if any(map(_is_embedded, requests)):
            encoder = yield Work(self._encoder)
            encoder.identity.require(view.identity, where=f"index {view.name!r}")
            vectors = list((yield Work(embedded)))
        # The concrete index, as all that follows reads it.
        stored = yield from _msearch(
            calls, view.name, [_stored_vectors(each, view, calls.kind) for each in requests]
        )
        for at, request in enumerate(requests):
            if request.vector is not None:
                with query_errors_about("vector"):
                    vector = given_vector(request.vector, dims=view.identity.dims)
                vectors[at] = [float(x) for x in vector]
            elif request.like is not None:
                hits = stored[at]["like"]["hits"]["hits"]
                source = hits[0]["_source"] if hits else None
                with query_errors_about("like"):
                    vectors[at] = stored_vector(
                        source, id=request.like, field=view.field, at=request.at
                    )
        return vectors

    def _embed(self, requests: Sequence[SearchRequest]) -> list[list[float]]:
        """The vectors that the model makes, all texts in one batch; empty for other requests."""
        encoder = self._encoder()
        vectors: list[list[float]] = [[] for _ in requests]
        texts: dict[int, str] = {}
        for at, request in enumerate(requests):
            name, value = request.input
            if not _is_embedded(request):
                continue
            if name == "text":
                texts[at] = value
                continue
            embed = self._media.image if name == "image" else self._media.clip
            with query_errors_about(name):
                vectors[at] = embed(value, encoder=encoder).tolist()
        if texts:
            encoded = encoder.encode_text(list(texts.values()))
            for at, vector in zip(texts, encoded, strict=True):
                vectors[at] = vector.tolist()
        return vectors

    # -- from plans to hits

    def _rank(self, plans: Sequence[Plan], calls: Calls) -> Steps[list[Ranking]]:
        """The videos of each search in order, of one ``_msearch`` of all their legs."""
        view, window = plans[0].view, self._settings.window
        native = any(plan.engine_fusion for plan in plans)
        cluster = (yield from _cluster(calls)) if native else None
        rankings = [Ranking(plan, cluster=cluster, window=window) for plan in plans]
        try:
            answers = yield from _msearch(
                calls, self.alias, [each.first_bodies() for each in rankings]
            )
        except MappingConflictError as error:
            if not any(plan.request.filter for plan in plans):
                raise
            message = f"the engine refused the query, see its filter: {error}"
            raise QueryError(message, argument="filter") from error
        # Every hit names its index. Without a hit there is nothing to tell by, so it is asked.
        responses = [response for answer in answers for response in answer.values()]
        names = {hit["_index"] for response in responses for hit in response["hits"]["hits"][:1]}
        if (names or {(yield from self._index.view(calls, fresh=True)).name}) != {view.name}:
            raise IndexMovedError
        yield from _for_each(rankings, Ranking.rank, answers)
        return rankings

    def _hits(
        self, rankings: Sequence[Ranking], view: IndexDescription, calls: Calls
    ) -> Steps[list[tuple[Hit, ...]]]:
        """The hits of each page, read from the concrete index: its ids are its own, whatever the
        alias does meanwhile."""
        answers = yield from _msearch(calls, view.name, [each.candidates() for each in rankings])
        # Of a large window that takes a while.
        yield from _for_each(rankings, Ranking.reorder, answers, slow=any(answers))
        answers = yield from _msearch(calls, view.name, [each.page() for each in rankings])
        return (yield from _for_each(rankings, Ranking.hits, answers))

    def _truncation(self, request: SearchRequest) -> list[str]:
        """The warning that the model does not read all of the text, if so."""
        if request.input[0] != "text" or not _is_embedded(request):
            return []
        encoder = self._encoder()
        tokens, length = encoder.count_tokens(request.text or ""), encoder.context_length
        if tokens <= length:
            return []
        return [f"the text has {tokens} tokens, the model reads the first {length} only"]


def _is_embedded(request: SearchRequest) -> bool:
    """Whether the model makes the vector."""
    return request.needs_vector and request.input[0] in {"text", "image", "clip"}


def _stored_vectors(
    request: SearchRequest, view: IndexDescription, kind: EngineKind
) -> dict[str, Json]:
    """The body that reads the vectors of the video of ``like``, from whatever shard it is in."""
    if request.like is None:
        return {}
    source: Json = {"includes": [view.field if request.at is not None else f"{view.field}.vector"]}
    if kind == "elasticsearch":
        source["exclude_vectors"] = False  # from 9.2 on they are left out unless asked for
    query = {"ids": {"values": [request.like]}}
    return {"like": {"query": query, "size": 1, "_source": source}}


def _msearch(
    calls: Calls, index: str, groups: Sequence[Mapping[str, Json]]
) -> Steps[list[dict[str, Json]]]:
    """The responses to the bodies of each group by their names, in one request for all groups."""
    bodies = [body for group in groups for body in group.values()]
    if not bodies:
        return [{} for _ in groups]
    responses = iter((yield from calls.msearch(index, bodies)))
    return [{name: next(responses) for name in group} for group in groups]


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


def _cluster(calls: Calls) -> Steps[Cluster]:
    return Cluster((yield from calls.info()), (yield from calls.features()))
