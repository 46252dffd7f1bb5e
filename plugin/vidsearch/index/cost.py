"""What a copy of an index takes: bytes, time, and how long writes wait."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from vidsearch.engines import Engine, routing_of
from vidsearch.engines.calls import Calls
from vidsearch.engines.dialect import quoted
from vidsearch.engines.steps import Steps
from vidsearch.errors import BackendError
from vidsearch.index.follow import Following
from vidsearch.index.following import IDS, LONGEST_PASS, SMALL_PASS

__all__ = [
    "CopyCost",
    "blocked_seconds",
    "cost_of",
    "free_bytes",
    "lacking_shards",
    "lacking_space",
    "reading_rate",
    "store_bytes",
]

_T = TypeVar("_T")
_SAMPLE = 300
"""Documents from which a rate is measured."""
_SWAP_SECONDS = 0.2
"""The block, refreshes and the move of the aliases, as ``python -m benchmarks --only
attached_swap`` measures them on two cores that the node, the application and this process share."""
_MOST_SHARDS = 1024
"""Primary shards that an engine takes of an index, unless its nodes are started with another
number (`-Des.index.max_number_of_shards`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyCost:
    """A copy that is not begun. What is not known is ``None``."""

    documents: int
    bytes: int | None
    """Of the primary shards of the index."""
    needed_bytes: int | None
    """For the copy with its replicas, if it takes as much."""
    free_bytes: int | None
    """On all data nodes together."""
    per_second: float | None
    """Documents per second."""
    measured: str
    """What ``per_second`` was measured on."""

    @property
    def seconds(self) -> float | None:
        """How long filling the copy will take."""
        return None if not self.per_second else self.documents / self.per_second

    blocked_seconds: float
    """For how long writes are refused, about."""


def blocked_seconds(
    engine: Engine, index: str, *, following: Following, rate: float | None
) -> float:
    """For how long a copy has writes refused, about: the last pass, and the swap.

    The last pass brings at most so many changes at ``rate`` documents per second, or takes about as
    long as the one before it, which took no longer than the limit. Where changes are not followed
    by the numbers of writes, all ids are compared as well.
    """
    last = min(LONGEST_PASS if not rate else SMALL_PASS / rate, LONGEST_PASS)
    if following.by != "numbers":
        rounds = 2 if following.by == "versions" else 1
        last += rounds * engine.count(index) * _seconds_per_id(engine, index)
    return last + _SWAP_SECONDS


def _seconds_per_id(engine: Engine, index: str) -> float:
    """That comparing an id with the other index takes, measured on the first ones."""
    began = time.monotonic()
    some = list(islice(engine.scan(index, source=False, page_size=IDS), IDS))
    engine.mget(index, [one.id for one in some], routing=routing_of(some), source=False)
    return (time.monotonic() - began) / max(len(some), 1)


def cost_of(engine: Engine, index: str, *, replicas: int, following: Following) -> CopyCost:
    """Count and measure; nothing is changed. ``replicas``: of the copy."""
    size = store_bytes(engine, index)
    rate, measured = reading_rate(engine, index)
    return CopyCost(
        documents=engine.count(index),
        bytes=size,
        needed_bytes=None if size is None else size * (1 + replicas),
        free_bytes=free_bytes(engine),
        per_second=rate,
        measured=measured,
        blocked_seconds=blocked_seconds(engine, index, following=following, rate=rate),
    )


def lacking_space(needed: int | None, free: int | None) -> tuple[str, ...]:
    """The sentence that says that the disk is too small; empty where it is not, or not known."""
    if needed is None or free is None or needed <= free:
        return ()
    return (f"the target may need {needed} bytes of disk, and {free} are free on the data nodes",)


def lacking_shards(engine: Engine, *, shards: int, replicas: int) -> tuple[str, ...]:
    """The sentence that says that the cluster refuses so many shards of one more index; empty where
    it does not, or that is not known. Two requests."""
    refused = "the cluster will refuse the target: "
    if shards > _MOST_SHARDS:
        engines = f"an engine takes {_MOST_SHARDS} of an index"
        return (f"{refused}{shards} primary shards are too many, as {engines}",)
    capacity, needed = _or_none(engine, _capacity(engine.calls)), shards * (1 + replicas)
    if capacity is None or needed <= capacity.room:
        return ()
    needs = f"it needs {needed} shards, replicas included, and there is room for {capacity.room}"
    limit = f"cluster.max_shards_per_node is {capacity.per_node}"
    of_these = f"{capacity.used} are on {capacity.nodes} data nodes"
    return (f"{refused}{needs}: {limit}, and {of_these}. Take fewer, or raise that setting",)


def reading_rate(engine: Engine, index: str) -> tuple[float | None, str]:
    """Documents per second that a copy may bring, and what that was measured on."""
    began = time.monotonic()
    read = sum(1 for _ in islice(engine.scan(index), _SAMPLE))
    # A document is read, sent, and indexed; the last takes at least as long as the first.
    spent = 2 * (time.monotonic() - began)
    if not read:
        return None, "nothing"
    return read / spent, f"reading {read} documents, and as long again for writing them"


def store_bytes(engine: Engine, index: str) -> int | None:
    """Of the primary shards of an index; ``None`` where it may not be asked, or is not told."""
    return _or_none(engine, _store_bytes(engine.calls, index))


def free_bytes(engine: Engine) -> int | None:
    """Of all data nodes together; ``None`` where it may not be asked, or is not told."""
    return _or_none(engine, _free_bytes(engine.calls))


def _or_none(engine: Engine, steps: Steps[_T]) -> _T | None:
    try:
        return engine.run(steps)
    except (BackendError, LookupError, TypeError, ValueError):
        return None


@dataclass(frozen=True, slots=True)
class _Capacity:
    """Of shards."""

    per_node: int
    nodes: int
    used: int

    @property
    def room(self) -> int:
        return max(self.per_node * self.nodes - self.used, 0)


def _capacity(calls: Calls) -> Steps[_Capacity]:
    health = (yield from calls.dialect.request("GET", "/_cluster/health")).body
    params = {"include_defaults": "true", "filter_path": "*.cluster.max_shards_per_node"}
    answer = yield from calls.dialect.request("GET", "/_cluster/settings", params=params)
    # A transient setting counts before a persistent one.
    kinds = ("transient", "persistent", "defaults")
    first, *_ = (answer.body[kind] for kind in kinds if answer.body.get(kind))
    states = ("active_shards", "initializing_shards", "unassigned_shards")
    return _Capacity(
        per_node=int(first["cluster"]["max_shards_per_node"]),
        nodes=int(health["number_of_data_nodes"]),
        used=sum(int(health[state]) for state in states),
    )


def _store_bytes(calls: Calls, index: str) -> Steps[int]:
    path = f"/{quoted(index)}/_stats/store"
    answer = yield from calls.dialect.request("GET", path, index=index)
    return int(answer.body["_all"]["primaries"]["store"]["size_in_bytes"])


def _free_bytes(calls: Calls) -> Steps[int]:
    answer = yield from calls.dialect.request("GET", "/_nodes/stats/fs")
    return sum(
        int(node["fs"]["total"]["available_in_bytes"])
        for node in answer.body["nodes"].values()
        if any(role.startswith("data") for role in node.get("roles", ["data"]))
    )
