"""Whether every document of the source is in the target, and none that should not be there."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from vidsearch.batches import in_batches
from vidsearch.index.targets import are_alike
from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry import Registry, State
from vidsearch_mappings.registry import GIVEN_UP, IN_PROGRESS, VideoRecord

__all__ = ["LOOKS", "PAUSE_SECONDS", "Presence", "compare_presence", "number_of", "such_as"]

LOOKS, PAUSE_SECONDS = 6, 1.0
"""How often, and how far apart, a difference is looked at before it counts: writers write to one
index first, and to the other right after it."""
_RECENT_SECONDS = 60.0
_PAGE = 5000
"""Ids per request."""
_MANY = 10_000
"""So many documents with a flaw are no matter of a moment."""
_NO_RECORD = "without a record"


class _Flaw(Enum):
    MISSING = "missing"
    DELETED = "deleted"
    EXTRA = "extra"


_SAID = {
    _Flaw.MISSING: "{number} missing in {target!r}, such as {ids}",
    _Flaw.DELETED: "{number} of deleted videos in {target!r}, such as {ids}",
    _Flaw.EXTRA: "{number} in {target!r} that {source!r} lacks, such as {ids}",
}


@dataclass(frozen=True, slots=True)
class Presence:
    """What was found."""

    counts: Mapping[str, Mapping[str, int]]
    """By the state of the videos, and ``without a record``: number of ``videos`` in the registry,
    and how many of them have a document with vectors in ``source`` and in ``target``."""
    problems: tuple[str, ...]
    sample: Mapping[str, str | None]
    """Ids of documents of the source at random, with the routing of each."""


def compare_presence(
    source: VideosIndex,
    target: VideosIndex,
    registry: Registry,
    *,
    samples: int = 0,
    pause: Callable[[float], object] = time.sleep,
) -> Presence:
    """Compare the ids of two indices and of the registry, while all three are written.

    What searches tell is looked at again, in real time and for some seconds, where it differs. A
    video that workers are to embed for the target is not missed where its record changed within the
    last minute, as they are waited for once more before the swap.

    Args:
        source, target: the indices, refreshed.
        registry: of the videos.
        samples: number of documents to choose at random.
        pause: waits so many seconds.
    """
    had, there = _Ids.of(source), _Ids.of(target)
    judge = _Judge(source, target, registry)
    counts: dict[str, Counter[str]] = {}
    suspects: dict[str, _Flaw] = {}
    for id, record in _videos(registry, had.all | there.all):
        state = _NO_RECORD if record is None else str(record.state)
        counted = counts.setdefault(state, Counter(videos=0, source=0, target=0))
        counted["videos"] += record is not None
        counted["source"] += id in had.with_vectors
        counted["target"] += id in there.with_vectors
        if (flaw := judge.flaw(id, record, had, there)) is not None:
            suspects[id] = flaw
    flaws = judge.lasting_flaws(suspects, {**there.routing, **had.routing}, pause)
    chosen = random.sample(sorted(had.with_vectors), min(samples, len(had.with_vectors)))
    return Presence(
        counts={state: dict(counted) for state, counted in counts.items()},
        problems=tuple(_problems(flaws, source, target)),
        sample={id: had.routing.get(id) for id in chosen},
    )


def number_of(what: str, number: int) -> str:
    """``1 document``, ``2 documents``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def such_as(ids: Iterable[str]) -> str:
    """The first few ids, for a message."""
    shown = sorted(ids)
    return ", ".join(map(repr, shown[:5])) + (", …" if len(shown) > 5 else "")


def _problems(
    flaws: Mapping[str, _Flaw], source: VideosIndex, target: VideosIndex
) -> Iterator[str]:
    for flaw, said in _SAID.items():
        if ids := [id for id, found in flaws.items() if found is flaw]:
            yield said.format(
                number=number_of("document", len(ids)),
                source=source.name,
                target=target.name,
                ids=such_as(ids),
            )


def _videos(registry: Registry, rest: set[str]) -> Iterator[tuple[str, VideoRecord | None]]:
    """Every record, and then the documents of the set without one; the others are taken out."""
    for record in registry.scan(*State):
        rest.discard(record.id)
        yield record.id, record
    for id in rest:
        yield id, None


@dataclass(slots=True)
class _Ids:
    """The documents of an index."""

    all: set[str] = field(default_factory=set)
    with_vectors: set[str] = field(default_factory=set)
    """The same but in an attached index, where most documents may be without."""
    routing: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, index: VideosIndex) -> _Ids:
        """As searches tell."""
        made = cls()
        for found in index.engine.scan(index.name, source=False, page_size=_PAGE):
            made.all.add(found.id)
            if found.routing is not None:
                made.routing[found.id] = found.routing
        made.with_vectors = made.all
        if index.attached:
            done = {"exists": {"field": f"{index.field}.fingerprint"}}
            each = index.engine.scan(index.name, query=done, source=False, page_size=_PAGE)
            made.with_vectors = {found.id for found in each}
        return made

    @classmethod
    def among(cls, index: VideosIndex, ids: list[str], routing: Mapping[str, str]) -> _Ids:
        """In real time."""
        known = {id: routing[id] for id in ids if id in routing}
        field = f"{index.field}.fingerprint"
        found = index.engine.mget(index.name, ids, routing=known, source=[field])
        with_vectors = {id for id, each in found.items() if each.source.get(index.field)}
        return cls(set(found), with_vectors if index.attached else set(found))


@dataclass(slots=True)
class _Judge:
    source: VideosIndex
    target: VideosIndex
    registry: Registry
    alike: bool = field(init=False)
    recently: float = field(init=False)

    def __post_init__(self) -> None:
        self.alike = are_alike(self.source, self.target)
        self.recently = self.registry.now() - _RECENT_SECONDS

    def flaw(self, id: str, record: VideoRecord | None, had: _Ids, there: _Ids) -> _Flaw | None:
        """What is wrong with a document of the target, if anything."""
        if record is not None and record.state is State.DELETED:
            came_back = id in there.with_vectors and id not in had.with_vectors
            return _Flaw.DELETED if came_back else None
        if id in had.all and id not in there.all:
            return _Flaw.MISSING if self._is_missed(record) else None
        if id in had.with_vectors and id not in there.with_vectors:
            return _Flaw.MISSING if self._is_missed(record) else None
        if id in there.all and id not in had.all and record is None:
            return _Flaw.EXTRA
        is_indexed = record is not None and record.state is State.INDEXED
        if is_indexed and not self.alike and id not in there.with_vectors:
            # It is made of the video, and not of the document that the source has lost.
            return _Flaw.MISSING if self._is_missed(record) else None
        return None

    def _is_missed(self, record: VideoRecord | None) -> bool:
        if self.alike or record is None:
            return True
        # It has to be embedded: a worker does that soon, or there is nothing to embed any more.
        if record.state in IN_PROGRESS or record.state in GIVEN_UP:
            return False
        return record.updated_at < self.recently

    def lasting_flaws(
        self,
        suspects: Mapping[str, _Flaw],
        routing: Mapping[str, str],
        pause: Callable[[float], object],
    ) -> dict[str, _Flaw]:
        """Of the documents with a flaw, those that keep it; of very many, the first are looked at
        again."""
        ids = list(suspects)
        ids, many = ids[:_MANY], ids[_MANY:]
        flaws: dict[str, _Flaw] = {}
        for look in range(LOOKS):
            if look:
                pause(PAUSE_SECONDS)
            flaws = {}
            for batch in in_batches(ids, _PAGE):
                had = _Ids.among(self.source, batch, routing)
                there = _Ids.among(self.target, batch, routing)
                records = self.registry.find_many(batch)
                found = {id: self.flaw(id, records.get(id), had, there) for id in batch}
                flaws |= {id: flaw for id, flaw in found.items() if flaw is not None}
            ids = list(flaws)
            if not ids:
                break
        return {**flaws, **{id: suspects[id] for id in many}}
