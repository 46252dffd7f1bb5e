"""What a reindex would do and take: counts, bytes, time, disk."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

from vidsearch.index.cost import (
    blocked_seconds,
    free_bytes,
    lacking_shards,
    lacking_space,
    reading_rate,
    store_bytes,
)
from vidsearch.index.follow import BY_NUMBERS, Following
from vidsearch.index.kept import Kept
from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry import Registry, State
from vidsearch.reindex.changes import Target
from vidsearch.reindex.run import ReindexRun, Way
from vidsearch_mappings.registry import IN_PROGRESS

__all__ = ["Plan", "lacking_space_of", "log_problem", "plan_of", "problems_of"]

_log = logging.getLogger(__name__)
_SAMPLE = 300
"""Documents, or records, from which a rate is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A reindex that is not begun. What is not known is ``None``."""

    alias: str
    source: str
    target: str
    """Its name, unless another index has got that meanwhile."""
    way: Way | Literal["in place"]
    """``in place``: an attached index takes the changes as it is, and there is no target."""
    changes: Mapping[str, Any]
    videos: int
    """To bring into the target; of an attached index all its documents."""
    waiting: int
    """Registered ones that were never indexed; workers write them to both indices."""
    bytes: int | None
    """Of the primary shards of the source."""
    needed_bytes: int | None
    """For the target with its replicas, if it takes as much as the source. While the engine merges
    Lucene segments, it may take twice as much."""
    free_bytes: int | None
    """On all data nodes together."""
    per_second: float | None
    """Videos per second."""
    measured: str
    """What ``per_second`` was measured on."""
    problems: tuple[str, ...] = field(default=())
    """What speaks against it."""
    kept: Kept | None = None
    """What the target has of an attached index, but for the changes."""
    blocked_seconds: float = 0.0
    """For how long an attached index refuses writes, about."""
    following: Following | None = None
    """How it is found what the application writes to an attached index meanwhile."""

    @property
    def seconds(self) -> float | None:
        """How long filling the target will take."""
        return None if not self.per_second else self.videos / self.per_second


def plan_of(
    source: VideosIndex,
    *,
    target: Target,
    name: str,
    changes: Mapping[str, Any],
    registry: Registry,
    runs: Sequence[ReindexRun],
    throttle: float | None = None,
    following: Following = BY_NUMBERS,
) -> Plan:
    """Count and measure; nothing is changed.

    Args:
        source: the index that the alias stands for.
        target: that would be made.
        name: of it.
        changes: what would differ.
        registry: of the videos.
        runs: earlier ones, the newest first, whose rates are taken.
        throttle: maximum number of documents per second.
        following: how changes of an attached index are found.
    """
    engine, way = source.engine, target.way
    counts = registry.counts()
    size, free = store_bytes(engine, source.name), free_bytes(engine)
    problems = [f"{run.called} is open ({run.step})" for run in runs if run.is_open]
    problems += _same(source, target)
    on_their_way = sum(counts[state] for state in IN_PROGRESS)
    videos = engine.count(source.name)
    if way != "copy":
        videos = counts[State.INDEXED] + registry.count_indexed_before()
    plan = Plan(
        alias=source.alias,
        source=source.name,
        target=source.name,
        way="in place",
        changes=changes,
        videos=videos,
        waiting=max(0, on_their_way - registry.count_indexed_before(IN_PROGRESS)),
        bytes=size,
        needed_bytes=0,
        free_bytes=free,
        per_second=None,
        measured="nothing",
        problems=tuple(problems),
        kept=target.kept,
    )
    if target.in_place is not None:
        return plan
    needed = _needed_bytes(size, target)
    rate, measured = _rate(source, way, registry, runs)
    blocked = 0.0
    if source.attached:
        blocked = blocked_seconds(engine, source.name, following=following, rate=rate)
    # What workers make is not throttled.
    limit = throttle if way == "copy" and throttle != math.inf else None
    if limit is not None and (rate is None or limit < rate):
        rate, measured = limit, "the limit of --throttle"
    return replace(
        plan,
        target=name,
        way=way,
        needed_bytes=needed,
        per_second=rate,
        measured=measured,
        problems=(*problems, *lacking_space(needed, free), *_lacking_shards(source, target)),
        blocked_seconds=blocked,
        following=following if source.attached else None,
    )


def log_problem(sentence: str) -> None:
    """Note what speaks against a run that begins all the same."""
    _log.warning("reindex: %s", sentence)


def problems_of(source: VideosIndex, target: Target) -> tuple[str, ...]:
    """The sentences on what speaks against a run, as the plan has them: the index has that already,
    or the disk is too small. Two requests."""
    return (*_same(source, target), *lacking_space_of(source, target))


def lacking_space_of(source: VideosIndex, target: Target) -> tuple[str, ...]:
    """The sentence that says that the disk is too small for a target, as the plan has it; empty
    where it is not, or not known. Two requests."""
    needed = _needed_bytes(store_bytes(source.engine, source.name), target)
    return lacking_space(needed, free_bytes(source.engine))


def _same(source: VideosIndex, target: Target) -> tuple[str, ...]:
    return (f"nothing to do: {source.name!r} has that already",) if target.is_same else ()


def _lacking_shards(source: VideosIndex, target: Target) -> tuple[str, ...]:
    settings = target.body["settings"]["index"]
    return lacking_shards(
        source.engine,
        shards=int(settings["number_of_shards"]),
        replicas=int(settings["number_of_replicas"]),
    )


def _needed_bytes(size: int | None, target: Target) -> int | None:
    copies = 1 + int(target.body["settings"]["index"]["number_of_replicas"])
    return None if size is None else size * copies


def _rate(
    source: VideosIndex, way: Way, registry: Registry, runs: Sequence[ReindexRun]
) -> tuple[float | None, str]:
    """Videos per second, and what that was measured on."""
    for run in runs:
        if run.way == way and run.rate is not None and run.throttle is None:
            return run.rate, f"{run.called}"
    if way == "copy":
        return reading_rate(source.engine, source.name)
    records = registry.scan(State.INDEXED)
    times = [s for r in islice(records, _SAMPLE) if (s := sum(r.seconds.values()))]
    if not times:
        return None, "nothing"
    measured = f"the last ingestion of {len(times)} videos, one worker"
    if way == "assemble":
        measured += "; it takes less where the store of embeddings has their frames"
    return len(times) / sum(times), measured
