"""What is left of the changes of an index when nobody writes to it any more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from vidsearch.engines import Document, Engine
from vidsearch.index.point_in_time import (
    Counted,
    Place,
    counting,
    counts_in,
    documents_in,
    listing,
    place_of,
)

__all__ = ["Ahead", "Tail", "read_tail"]


@dataclass(frozen=True, slots=True)
class Ahead:
    """What was brought of one shard after the last pass, before writes were stopped."""

    until: int
    """The number up to which it is all that was written since the pass."""
    documents: Sequence[Document]


@dataclass(frozen=True, slots=True)
class Tail:
    """What was written since the last pass, and what else is asked for in the same round trip."""

    changes: Mapping[int, Sequence[Document]]
    """By shard, what was not brought ahead, at most as many as :attr:`page`."""
    counts: Mapping[int, Mapping[int, int]]
    """By shard, what :attr:`~vidsearch.index.point_in_time.Counted.counts` are now."""
    kept: Mapping[int, Sequence[Document]]
    """By shard, what is still as it was brought ahead, without sources."""
    ahead: Mapping[int, Ahead]
    """By shard, what was brought ahead."""
    count: int
    """Documents of the index."""
    page: int
    """Documents of one bulk at most."""

    @property
    def goes_on(self) -> bool:
        """Whether there may be more changes than these."""
        return any(len(some) >= self.page for some in self.changes.values())

    @property
    def changed(self) -> list[Document]:
        """The changes of all shards."""
        return [*chain(*self.changes.values())]

    def places(self, shard: int) -> set[Place]:
        """Where that is which was written to a shard since the last pass, and is there."""
        return set(map(place_of, chain(self.changes[shard], self.kept.get(shard, ()))))

    def dropped(self) -> Iterator[Document]:
        """What was brought ahead, and is not there any more: no point in time tells of it."""
        for shard, ahead in self.ahead.items():
            there = self.places(shard)
            yield from (one for one in ahead.documents if place_of(one) not in there)

    def written_anew(self, gone: Sequence[Document]) -> list[Document]:
        """Documents with the ids of others that are gone. One that was written with another routing
        may be where the other one was, and is deleted with it."""
        ids = {one.id for one in gone}
        there = {(shard, one.id) for shard, documents in self.kept.items() for one in documents}
        ahead = [
            one
            for shard, some in self.ahead.items()
            for one in some.documents
            if (shard, one.id) in there
        ]
        return [one for one in chain(ahead, self.changed) if one.id in ids]


def read_tail(
    engine: Engine,
    index: str,
    *,
    until: Mapping[int, int],
    ahead: Mapping[int, Ahead],
    before: Mapping[int, Counted],
    page: int,
) -> Tail:
    """In one round trip; refresh first.

    Args:
        engine: the cluster.
        index: concrete index that nobody writes to.
        until: by shard, the number up to which the last pass has brought all.
        ahead: by shard, what was brought since.
        before: by shard, what searches saw in the last pass.
        page: documents of one bulk at most; fewer were brought ahead of each shard.
    """
    counted = [shard for shard in until if shard in before and before[shard].end]
    counts = [counting(before[shard].ranges, width=before[shard].width) for shard in counted]
    # An index may give no more at once (`max_result_window`).
    kept = [
        listing([(until[shard] + 1, some.until + 1)], size=page) for shard, some in ahead.items()
    ]
    read = engine.read_shards(
        index,
        {**until, **{shard: some.until for shard, some in ahead.items()}},
        size=page,
        bodies=[*zip(counted, counts, strict=True), *zip(ahead, kept, strict=True)],
    )
    of_counts, of_kept = read.answers[: len(counts)], read.answers[len(counts) :]
    return Tail(
        changes=read.changes,
        counts=dict(zip(counted, map(counts_in, of_counts), strict=True)),
        kept=dict(zip(ahead, map(documents_in, of_kept), strict=True)),
        ahead=ahead,
        count=read.count,
        page=page,
    )
