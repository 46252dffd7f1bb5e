"""Points in time of a shard, and what one lacks that an earlier one had."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vidsearch.batches import in_batches
from vidsearch.engines import Document, Engine, Json, Revision

__all__ = [
    "MOST_HITS",
    "Counted",
    "Place",
    "PointInTime",
    "Seen",
    "Shard",
    "counting",
    "counts_in",
    "documents_in",
    "listing",
    "place_of",
    "vanished",
    "window_of",
]

_BUCKETS = 4000
"""Ranges of write numbers that are counted at once."""
_RANGES = 100
"""Ranges of one query."""
_FEW = 1000
"""Documents of a range that are rather listed than counted more closely."""
MOST_HITS = 10_000
"""Of one search, where the index gives as many: see :func:`window_of`."""
_BARE: Json = {"_source": False, "seq_no_primary_term": True, "track_total_hits": False}

Range = tuple[int, int]
"""Write numbers, the second one excluded."""
Place = tuple[str, str | None]
"""Id and routing of a document. One that is deleted, and written anew with another routing, is in
another place of the copy, even if it is in the same shard of the index."""


def place_of(document: Document) -> Place:
    """Of one document."""
    return document.id, document.routing


class Seen(ABC):
    """What searches see of one shard of an index."""

    @abstractmethod
    def _answer(self, body: Json) -> Json:
        """To a search."""

    def greatest(self) -> int:
        """The greatest number of a write in it; -1 where it is empty."""
        hits = self._search(sort=[{"_seq_no": "desc"}], size=1)["hits"]["hits"]
        return int(hits[0]["_seq_no"]) if hits else -1

    def among(self, ids: Sequence[str]) -> set[Place]:
        """Where those of some ids are that are in it; at most as many as :func:`window_of`."""
        answer = self._search(query={"ids": {"values": list(ids)}}, size=max(1, len(ids)))
        return set(map(place_of, documents_in(answer)))

    def counts(self, ranges: Sequence[Range], *, width: int) -> dict[int, int]:
        """By lower bound, the number of documents in each range of that width that has any."""
        return counts_in(self._answer(counting(ranges, width=width)))

    def documents(self, ranges: Sequence[Range], *, most: int) -> list[Document]:
        """The documents in some ranges, without their sources; at most so many."""
        return documents_in(self._answer(listing(ranges, size=most)))

    def _search(self, **body: Any) -> Json:
        return self._answer({**_BARE, **body})


def counting(ranges: Sequence[Range], *, width: int) -> Json:
    """The search of :meth:`Seen.counts`."""
    histogram = {"field": "_seq_no", "interval": width, "min_doc_count": 1}
    aggs = {"counts": {"histogram": histogram}}
    return {"query": _within(ranges), "size": 0, "track_total_hits": False, "aggs": aggs}


def counts_in(answer: Json) -> dict[int, int]:
    """What :func:`counting` has counted."""
    buckets = answer["aggregations"]["counts"]["buckets"]
    return {int(one["key"]): int(one["doc_count"]) for one in buckets}


def listing(ranges: Sequence[Range], *, size: int) -> Json:
    """The search of :meth:`Seen.documents`; ``size``: of how many at most."""
    return {**_BARE, "query": _within(ranges), "size": size}


def documents_in(answer: Json) -> list[Document]:
    """What :func:`listing` has found."""
    return [
        Document(
            hit["_id"], {}, Revision(hit["_seq_no"], hit["_primary_term"]), hit.get("_routing")
        )
        for hit in answer["hits"]["hits"]
    ]


@dataclass(slots=True)
class PointInTime(Seen):
    """What searches saw of it at one moment."""

    engine: Engine
    point: str

    @classmethod
    def of(cls, engine: Engine, index: str, shard: int) -> PointInTime:
        """What they see now."""
        return cls(engine, engine.open_point_in_time(index, shard=shard))

    def close(self) -> None:
        """Free what the cluster keeps for it."""
        self.engine.close_point_in_time(self.point)

    def _answer(self, body: Json) -> Json:
        answer = self.engine.search_point_in_time(self.point, body)
        self.point = answer.get("pit_id", self.point)
        return answer


@dataclass(frozen=True, slots=True)
class Shard(Seen):
    """What searches see of it at each moment: where nobody writes, as good as a point in time."""

    engine: Engine
    index: str
    number: int

    def _answer(self, body: Json) -> Json:
        return self.engine.search_shard(self.index, self.number, body)


@dataclass(frozen=True)
class Counted:
    """A point in time of a shard that a later one is to be compared with.

    What it counts is asked for once, and ahead of the comparison by :meth:`count`.
    """

    point: PointInTime
    upto: int
    """Number up to which every write was done before it was taken."""

    def count(self) -> None:
        """Have at hand what a comparison begins with."""
        _ = self.last, self.counts

    @property
    def end(self) -> int:
        """The number after the last one of which ranges are counted."""
        return self.upto + 1

    @cached_property
    def last(self) -> int:
        """The number after the greatest one of a write in it."""
        return self.point.greatest() + 1

    @cached_property
    def width(self) -> int:
        """Of the widest ranges."""
        width = 1
        while width * _BUCKETS < self.end:
            width *= _closer_by()
        return width

    @cached_property
    def counts(self) -> dict[int, int]:
        """As of :meth:`PointInTime.counts`, in the widest ranges."""
        return self.point.counts(self.ranges, width=self.width) if self.end else {}

    @property
    def ranges(self) -> list[Range]:
        """What :attr:`counts` are of."""
        return [(0, self.end)]


def window_of(engine: Engine, index: str) -> int:
    """How many hits may be asked for at once: an index may give fewer than usual."""
    return min(MOST_HITS, int(engine.settings(index).get("max_result_window", MOST_HITS)))


def vanished(
    before: Counted,
    now: Seen,
    *,
    window: int = MOST_HITS,
    there: Callable[[Sequence[str]], Collection[Place]] | None = None,
    later: Mapping[int, int] | None = None,
) -> Iterator[Document]:
    """The documents of an earlier point in time that a later one has not, without their sources.

    A document that was not written since has the same number in both, and what was written since
    has a greater number than ``before.upto``. So ranges of numbers are counted in both, those that
    differ are counted more closely, and what is left is listed: this costs what has changed, not
    what is there. Above ``before.upto`` some writes were under way: the earlier may have one and
    lack one with a smaller number, so that counts would tell nothing. These few are listed.

    Both are of one shard. ``window``: of the index, see :func:`window_of`. ``there`` tells where
    those of some ids are that are in ``now``, where it is known without asking: at least those that
    were written since. ``later``: what :attr:`Counted.counts` are in ``now``, where that is known.
    """
    there = there or now.among
    listed = min(_FEW, window)
    end, last, width = before.end, before.last, before.width
    if later is None:
        later = now.counts(before.ranges, width=width) if end else {}
    few, many = _differing(before.counts, later, width=width, listed=listed)
    few |= {(at, min(at + listed, last)): listed for at in range(end, last, listed)}
    yield from _gone(before.point, now, few, there, window)
    while many:
        ranges, many, width = many, [], width // _closer_by()
        for some in in_batches(ranges, _RANGES):
            earlier, later = (point.counts(some, width=width) for point in (before.point, now))
            few, closer = _differing(earlier, later, width=width, listed=listed)
            yield from _gone(before.point, now, few, there, window)
            many += closer


def _closer_by() -> int:
    """By which ranges are closer than those before; wider ones end where closer ones end."""
    return _BUCKETS // _RANGES


def _differing(
    earlier: Mapping[int, int], later: Mapping[int, int], *, width: int, listed: int
) -> tuple[dict[Range, int], list[Range]]:
    """The ranges of that width whose counts differ: of at most ``listed`` documents, with their
    counts; others."""
    few: dict[Range, int] = {}
    many: list[Range] = []
    for start, count in earlier.items():
        if count == later.get(start, 0):
            continue
        if count <= listed or width == 1:
            few[start, start + width] = count
        else:
            many.append((start, start + width))
    return few, many


def _gone(
    before: PointInTime,
    now: Seen,
    few: dict[Range, int],
    there: Callable[[Sequence[str]], Collection[Place]],
    window: int,
) -> Iterator[Document]:
    """Those in some ranges that are not there any more."""
    for ranges in _grouped(few, window):
        with ThreadPoolExecutor(1, "before") as pool:
            had = pool.submit(before.documents, ranges, most=window)
            unchanged = {one.id: one.revision.seq_no for one in now.documents(ranges, most=window)}
        candidates = {
            one.id: one for one in had.result() if unchanged.get(one.id) != one.revision.seq_no
        }
        for ids in in_batches(candidates, window):
            kept = there(ids)
            yield from (candidates[id] for id in ids if place_of(candidates[id]) not in kept)


def _grouped(few: dict[Range, int], window: int) -> Iterator[list[Range]]:
    """Ranges in groups whose documents one search can list."""
    group: list[Range] = []
    size = 0
    for one, count in few.items():
        if group and (size + count > window or len(group) == _RANGES):
            yield group
            group, size = [], 0
        group.append(one)
        size += count
    if group:
        yield group


def _within(ranges: Iterable[Range]) -> Json:
    should = [{"range": {"_seq_no": {"gte": start, "lt": end}}} for start, end in ranges]
    return {"bool": {"should": should}}
