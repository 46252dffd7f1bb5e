"""What a reindex would do and take: counts, bytes, time, disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from vidsearch.engines import Json
from vidsearch.index.cost import free_bytes, lacking_space, reading_rate, store_bytes
from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry import Registry, State
from vidsearch.reindex.run import ReindexRun, Way

__all__ = ["Plan", "plan_of"]

_SAMPLE = 300
"""Documents, or records, from which a rate is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A reindex that is not begun. What is not known is ``None``."""

    alias: str
    source: str
    target: str
    """Its name, unless another index has got that meanwhile."""
    way: Way
    changes: Mapping[str, Any]
    videos: int
    """To bring into the target."""
    waiting: int
    """Registered ones that are not indexed yet; workers write them to both indices."""
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

    @property
    def seconds(self) -> float | None:
        """How long filling the target will take."""
        return None if not self.per_second else self.videos / self.per_second


def plan_of(
    source: VideosIndex,
    *,
    target: str,
    way: Way,
    body: Json,
    changes: Mapping[str, Any],
    registry: Registry,
    runs: Sequence[ReindexRun],
    throttle: float | None = None,
) -> Plan:
    """Count and measure; nothing is changed.

    Args:
        source: the index that the alias stands for.
        target: name of the index that would be made.
        way: where its documents would come from.
        body: of that index.
        changes: what would differ.
        registry: of the videos.
        runs: earlier ones, the newest first, whose rates are taken.
        throttle: maximum number of documents per second.
    """
    engine = source.engine
    size = store_bytes(engine, source.name)
    copies = 1 + int(body["settings"]["index"]["number_of_replicas"])
    needed = None if size is None else size * copies
    free = free_bytes(engine)
    rate, measured = _rate(source, way, registry, runs)
    if throttle is not None and (rate is None or throttle < rate):
        rate, measured = throttle, "the limit of --throttle"
    problems = [f"{run.called} is open ({run.step})" for run in runs if run.is_open]
    problems += lacking_space(needed, free)
    counts = registry.counts()
    return Plan(
        alias=source.alias,
        source=source.name,
        target=target,
        way=way,
        changes=changes,
        videos=engine.count(source.name) if way == "copy" else counts[State.INDEXED],
        waiting=sum(counts[s] for s in (State.REGISTERED, State.QUEUED, State.PROCESSING)),
        bytes=size,
        needed_bytes=needed,
        free_bytes=free,
        per_second=rate,
        measured=measured,
        problems=tuple(problems),
    )


def _rate(
    source: VideosIndex, way: Way, registry: Registry, runs: Sequence[ReindexRun]
) -> tuple[float | None, str]:
    """Videos per second, and what that was measured on."""
    for run in runs:
        if run.way == way and run.rate is not None and run.throttle is None:
            return run.rate, f"{run.called}"
    if way == "copy":
        return reading_rate(source.engine, source.name)
    if way == "embed":
        records = registry.scan(State.INDEXED)
        times = [s for r in islice(records, _SAMPLE) if (s := sum(r.seconds.values()))]
        if times:
            return len(times) / sum(times), f"the last ingestion of {len(times)} videos, one worker"
    return None, "nothing"
