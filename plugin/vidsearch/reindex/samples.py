"""Whether documents of the source are the same in the target, but for what the run changes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.batches import in_batches
from vidsearch.engines import Document, Json
from vidsearch.engines.vectors import BYTE_ORDERS, ByteOrder, decode_vector
from vidsearch.index.targets import are_alike
from vidsearch.index.videos_index import VideosIndex
from vidsearch.reindex.presence import LOOKS, PAUSE_SECONDS, such_as

__all__ = ["compare_samples"]

_BATCH = 20
"""Documents per request; each may hold hundreds of vectors."""
_SAME = 0.999
"""Cosine of two vectors that are one, but for rounding."""
_ROUNDING = 0.01
"""By which the length of a unit vector may be off."""


@dataclass(frozen=True, slots=True)
class _Difference:
    fields: tuple[str, ...] = ()
    """Dotted names of those that differ."""
    cosine: float = 1.0
    """Lowest one of two vectors that should be the same; 0 where one is missing, or of no unit
    length."""

    def __bool__(self) -> bool:
        return bool(self.fields) or self.cosine < _SAME


def compare_samples(
    source: VideosIndex,
    target: VideosIndex,
    ids: Mapping[str, str | None],
    *,
    pause: Callable[[float], object] = time.sleep,
) -> tuple[str, ...]:
    """What differs in documents of both indices, read in real time; a sentence each.

    Everything has to be the same where documents are copied. Where they are made anew, of other
    segments or with another model, the application's own fields and the URI; and with the same
    model the vector of the whole video. Every vector has to be of unit length. A difference counts
    that stays for some seconds, as documents are written meanwhile.

    Args:
        source, target: the indices.
        ids: of documents, with the routing of each.
        pause: waits so many seconds.
    """
    differences: dict[str, _Difference] = {}
    rest = list(ids)
    for look in range(LOOKS):
        if look:
            pause(PAUSE_SECONDS)
        differences = {}
        for batch in in_batches(rest, _BATCH):
            routing = {id: value for id in batch if (value := ids[id]) is not None}
            given, made = (
                index.engine.mget(index.name, batch, routing=routing) for index in (source, target)
            )
            for id in given.keys() & made.keys():
                if found := _difference(given[id], made[id], source, target):
                    differences[id] = found
        rest = list(differences)
        if not rest:
            break
    return tuple(_problems(differences, source, target, total=len(ids)))


def _problems(
    differences: Mapping[str, _Difference], source: VideosIndex, target: VideosIndex, *, total: int
) -> Iterator[str]:
    of = f"of {total} sampled documents of {target.name!r}"
    if other := {id: each.fields for id, each in differences.items() if each.fields}:
        names = sorted({name for each in other.values() for name in each})
        yield (
            f"{len(other)} {of} differ from those of {source.name!r} in {', '.join(names)}, such "
            f"as {such_as(other)}"
        )
    if wrong := {id: each.cosine for id, each in differences.items() if each.cosine < _SAME}:
        yield (
            f"the vectors of {len(wrong)} {of} are not what they should be (lowest cosine "
            f"{min(wrong.values()):.3f}), such as {such_as(wrong)}"
        )


def _difference(
    given: Document, made: Document, source: VideosIndex, target: VideosIndex
) -> _Difference:
    before, after = given.source, made.source
    old: Json = before.get(source.field) or {}
    new: Json = after.get(target.field) or {}
    alike = are_alike(source, target)
    pairs = {name: (before.get(name), after.get(name)) for name in before.keys() | after.keys()}
    pairs = {name: pair for name, pair in pairs.items() if name not in {source.field, target.field}}
    ours = (old.keys() | new.keys()) - {"vector", "segments"} if alike else {"uri"}
    pairs |= {f"{target.field}.{name}": (old.get(name), new.get(name)) for name in ours}
    if alike:
        both = [_without_vectors(video) for video in (old, new)]
        pairs[f"{target.field}.segments"] = (both[0], both[1])
    return _Difference(
        tuple(sorted(name for name, (one, other) in pairs.items() if one != other)),
        _lowest_cosine(
            _vectors(old, BYTE_ORDERS[source.engine.kind]),
            _vectors(new, BYTE_ORDERS[target.engine.kind]),
            alike=alike,
            same_model=source.identity == target.identity,
        ),
    )


def _without_vectors(video: Json) -> list[Json]:
    return [
        {name: value for name, value in each.items() if name != "vector"}
        for each in video.get("segments") or ()
    ]


def _lowest_cosine(
    of_old: list[NDArray[Any]], of_new: list[NDArray[Any]], *, alike: bool, same_model: bool
) -> float:
    """Between vectors that should be the same; 0 where a vector that was made anew is no unit
    vector, or one is missing."""
    if not alike and any(abs(np.linalg.norm(vector) - 1) > _ROUNDING for vector in of_new):
        return 0.0
    if not alike:  # the vector of the whole video does not depend on its segments
        of_old, of_new = (of_old[:1], of_new[:1]) if same_model else ([], [])
    if [vector.shape for vector in of_old] != [vector.shape for vector in of_new]:
        return 0.0
    return min((_cosine(a, b) for a, b in zip(of_old, of_new, strict=True)), default=1.0)


def _cosine(one: NDArray[Any], other: NDArray[Any]) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other) or 1.0))


def _vectors(video: Mapping[str, Any], order: ByteOrder) -> list[NDArray[Any]]:
    """That of the whole video, then those of its segments."""
    stored = [video.get("vector"), *(each.get("vector") for each in video.get("segments") or ())]
    return [decode_vector(vector, order) for vector in stored if vector is not None]
