"""What a search does, from its checked arguments to the hits, written once for both clients."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import SearchSettings, Settings
from vidsearch.encoders.base import Encoder
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps, Work
from vidsearch.engines.types import EngineKind, Json
from vidsearch.errors import MappingConflictError, QueryError
from vidsearch.search.explain import explained
from vidsearch.search.fusion import Scored
from vidsearch.search.legs import (
    Found,
    assemble,
    better_of,
    cut,
    floor_of,
    index_of,
    read_near,
    read_words,
)
from vidsearch.search.live_index import IndexMovedError, IndexView, LiveIndex
from vidsearch.search.native import Cluster, NativeFusion, choose
from vidsearch.search.once import Once
from vidsearch.search.plan import Conditions, Plan
from vidsearch.search.query_vector import MediaInput, given_vector, stored_vector
from vidsearch.search.reorder import reorder
from vidsearch.search.request import Asked, Leg, ask, require_text
from vidsearch.search.types import Hit, SearchResult

__all__ = ["SearchCore"]

_TIES = 8
"""Videos of the same cosine (copies of one) that may lie at the end of a page of a vector search:
engines break ties by the order of writing, and we by the ids."""


class SearchCore:
    """The steps of searches in one index. Thread-safe.

    A hybrid search is one ``_msearch`` of a vector leg and a keyword leg that brings back ids and
    scores only, fused here: right on every licence and the same on both engines. A second one
    reads documents, cosines and moments of the final hits, those that only the keyword leg found
    included. Reading every document of both windows in the first would cost several times as much,
    as older engines must parse all vectors of a document to leave them out.

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
        self._index = LiveIndex(alias)

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

    def ask(self, text: str | None, **options: Any) -> Asked:
        """The checked arguments. Raises QueryError; nothing is sent."""
        asked = ask(text, window=self._settings.window, **options)
        fusion = choose(asked.fusion, settings=self._settings)
        if asked.fuses and isinstance(fusion, NativeFusion):
            for name in ("min_cosine", "gap"):
                if getattr(asked, name) is not None:
                    raise QueryError(
                        f"{name} cuts the vector leg, which is not to be seen where the engine "
                        "fuses: leave it out, or take fusion=rrf or fusion=linear"
                    )
            if asked.level == "both":
                raise QueryError(
                    "level=both has two rankings of vectors, which no engine fuses: take "
                    "fusion=rrf or fusion=linear, or another level"
                )
        return replace(asked, fusion=fusion)

    def embed(self, text: str) -> NDArray[np.float32]:
        """The unit vector of a text: ``(dims,)`` float32. Takes a while; asks no engine."""
        vector: NDArray[np.float32] = self._encoder().encode_text([require_text(text)])[0]
        return vector

    def search(self, asked: Asked, calls: Calls) -> Steps[SearchResult]:
        """From the arguments to the hits."""
        started = time.perf_counter()
        vector = self._vector(asked)

        def run(view: IndexView) -> Steps[tuple[tuple[Hit, ...], str, list[str]]]:
            plan = yield from self._plan(asked, view, calls, vector)
            hits, said = yield from self._answer(plan, calls)
            return hits, view.name, said

        hits, name, said = yield from self._index.run(calls, run)
        said = [*(yield Work(lambda: self._truncation(asked))), *said]
        took = 1000 * (time.perf_counter() - started)
        return SearchResult(hits, asked.mode, asked.level, name, took, tuple(said))

    def bodies(self, asked: Asked, calls: Calls) -> Steps[dict[Leg, Json]]:
        """The complete request bodies by leg; one, ``fused``, where the engine fuses."""
        vector = self._vector(asked)

        def run(view: IndexView) -> Steps[dict[Leg, Json]]:
            plan = yield from self._plan(asked, view, calls, vector)
            bodies = plan.legs()[0]
            if not asked.fuses or not isinstance(asked.fusion, NativeFusion):
                return bodies
            cluster = yield from _cluster(calls)
            return {"fused": _fused(asked.fusion, cluster, bodies, size=asked.last)}

        return (yield from self._index.run(calls, run))

    # -- the steps

    def _vector(self, asked: Asked) -> Once[list[float]]:
        """What the vector leg compares with, where the model makes it; made once, however often
        the index moves."""

        def embed() -> NDArray[np.float32]:
            kind, value = asked.input
            if kind == "image":
                return self._media.image(value, encoder=self._encoder())
            if kind == "clip":
                return self._media.clip(value, encoder=self._encoder())
            return self.embed(value)

        return Once(lambda: embed().tolist())

    def _plan(
        self, asked: Asked, view: IndexView, calls: Calls, vector: Once[list[float]]
    ) -> Steps[Plan]:
        conditions = Conditions.of(asked, view)
        if conditions.on_segments and not (yield from calls.features()).nested_filters:
            # Tried on 8.19.21: nothing is found, or moments that do not match.
            raise QueryError(
                f"this cluster cannot filter moments by fields of {view.field}.segments "
                "(Elasticsearch 9.2 and later can): search at level=video, which finds videos that "
                "have such a segment, or without it"
            )
        compare: list[float] = []
        if asked.needs_vector:
            compare = yield from self._comparand(asked, view, vector, calls)
        return Plan(asked, calls.kind, view, compare, self._settings, conditions)

    def _comparand(
        self, asked: Asked, view: IndexView, vector: Once[list[float]], calls: Calls
    ) -> Steps[list[float]]:
        kind, value = asked.input
        if kind == "vector":
            return [float(x) for x in given_vector(value, dims=view.identity.dims)]
        if kind == "like":
            # Looked for in every shard: a host may have stored it with a routing of its own.
            field = f"{view.field}.vector" if asked.at is None else view.field
            body = _one(value, field, at=calls.kind)
            hits = (yield from calls.search(view.name, body))["hits"]["hits"]
            source = hits[0]["_source"] if hits else None
            return stored_vector(source, id=value, field=view.field, at=asked.at)
        encoder = yield Work(self._encoder)
        encoder.identity.require(view.identity, where=f"index {view.name!r}")
        made: list[float] = yield Work(vector)
        return made

    def _answer(self, plan: Plan, calls: Calls) -> Steps[tuple[tuple[Hit, ...], list[str]]]:
        asked, view = plan.asked, plan.view
        bodies, said = plan.legs(content=not asked.in_two, spare=_TIES)
        floor: float | None = None
        if asked.fuses and isinstance(asked.fusion, NativeFusion):
            order, cautions = yield from self._fused_there(plan, asked.fusion, bodies, calls)
            said = [*said, *cautions]
            legs: dict[Leg, list[Found]] = {}  # what each of them found is not said
        else:
            legs = self._read(plan, (yield from self._send(asked, view, bodies, calls)))
            near = legs.get("vector", [])
            floor = floor_of(near, min_cosine=asked.min_cosine, gap=asked.gap)
            if asked.needs_vector:
                legs["vector"] = cut(near, floor)
            scored = {leg: [Scored(one.id, one.score) for one in legs[leg]] for leg in legs}
            order = asked.fusion(scored) if asked.fuses else next(iter(scored.values()))

        reordered = yield from reorder(order, asked, view, calls, window=self._settings.window)
        order = reordered.kept[asked.from_ : asked.last]
        if not order:
            return (), said
        if asked.in_two:
            # The concrete index: the ids are its own, whatever the alias does meanwhile.
            wanted = plan.page([hit.id for hit in order])
            answers = yield from calls.msearch(view.name, list(wanted.values()))
            page = dict(zip(wanted, answers, strict=True))
            documents = read_words(page.pop("documents"))
            seen = [*legs.get("vector", []), *cut(self._near(plan, page), floor)] if page else []
        else:
            (documents,) = legs.values()
            seen = legs.get("vector", [])
        hits = assemble(
            order,
            legs,
            near=seen,
            documents=documents,
            duplicates=reordered.duplicates,
            merge_gap=asked.merge_gap,
            moments=asked.moments,
        )
        if asked.explain:
            hits = explained(hits, legs, fusion=asked.fusion, highlight=asked.highlight)
        return hits, said

    def _fused_there(
        self, plan: Plan, fusion: NativeFusion, bodies: dict[Leg, Json], calls: Calls
    ) -> Steps[tuple[list[Scored], list[str]]]:
        """The order that the engine itself found, and what to say of it."""
        cluster = yield from _cluster(calls)
        # The whole window, as engines break ties at the end of a page by the order of writing.
        body = _fused(fusion, cluster, bodies, size=self._settings.window)
        response = (yield from self._send(plan.asked, plan.view, {"fused": body}, calls))["fused"]
        caution = fusion.caution(cluster, shards=response["_shards"]["total"])
        order = [Scored(one.id, one.score) for one in read_words(response)]
        return order, [caution] if caution else []

    def _send(
        self, asked: Asked, view: IndexView, bodies: dict[Leg, Json], calls: Calls
    ) -> Steps[dict[Leg, Json]]:
        try:
            asked_for = [_comparable(leg, body) for leg, body in bodies.items()]
            responses = yield from calls.msearch(self.alias, asked_for)
        except MappingConflictError as error:
            if not asked.filter:
                raise
            raise QueryError(f"the engine refused the query, see its filter: {error}") from error
        # Every hit names its index. Without a hit there is nothing to tell by, so it is asked.
        seen = {name for response in responses if (name := index_of(response))}
        if (seen or {(yield from self._index.view(calls, fresh=True)).name}) != {view.name}:
            raise IndexMovedError
        return dict(zip(bodies, responses, strict=True))

    def _read(self, plan: Plan, responses: dict[Leg, Json]) -> dict[Leg, list[Found]]:
        legs: dict[Leg, list[Found]] = {}
        if "vector" in responses:
            legs["vector"] = self._near(plan, responses)
        if "keyword" in responses:
            legs["keyword"] = read_words(responses["keyword"])
        return legs

    def _near(self, plan: Plan, responses: Mapping[Leg, Json]) -> list[Found]:
        view = plan.view
        found = [
            read_near(responses[name], field=view.field, similarity=plan.similarity(level))
            for name, level in plan.levels.items()
        ]
        return found[0] if len(found) == 1 else better_of(found)

    def _truncation(self, asked: Asked) -> list[str]:
        if not asked.needs_vector or asked.input[0] != "text":
            return []
        encoder = self._encoder()
        tokens, length = encoder.count_tokens(asked.text or ""), encoder.context_length
        if tokens <= length:
            return []
        return [f"the text has {tokens} tokens, the model reads the first {length} only"]


def _comparable(leg: Leg, body: Json) -> Json:
    """The body, where words are scored by the whole index.

    By itself each shard counts how rare a word is among its own documents, and the engines deal
    ids out to shards differently: BM25 would depend on the neighbours of a document. Of an index
    with one shard the engines ask nothing more. OpenSearch's hybrid query cannot do it.
    """
    if leg.startswith("vector") or "retriever" in body or "hybrid" in body.get("query", {}):
        return body
    return {**body, "search_type": "dfs_query_then_fetch"}


def _one(id: str, field: str, *, at: EngineKind) -> Json:
    """The body that finds a document by its id and brings a field, its vectors too."""
    source: Json = {"includes": [field]}
    if at == "elasticsearch":
        source["exclude_vectors"] = False  # from 9.2 on they are left out unless asked for
    return {"query": {"ids": {"values": [id]}}, "size": 1, "_source": source}


def _cluster(calls: Calls) -> Steps[Cluster]:
    return Cluster((yield from calls.info()), (yield from calls.features()))


def _fused(fusion: NativeFusion, cluster: Cluster, bodies: dict[Leg, Json], *, size: int) -> Json:
    return fusion.body(cluster, near=bodies["vector"], words=bodies["keyword"], size=size)
