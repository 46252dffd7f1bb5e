"""For how long an application cannot write to its own index while a copy takes the place of it.

A swap needs two changes of the cluster's state: one blocks writes, the other moves the aliases.
What these two take with nothing between them is measured in the same run, in turn with the swaps,
under the same writes.
"""

from __future__ import annotations

import math
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import others_from_now
from benchmarks.report import Section, Verdict
from vidsearch.config import EngineSettings, Settings
from vidsearch.engines import Engine, EngineKind, Json, Write, connect
from vidsearch.errors import BackendAccessDeniedError
from vidsearch.index import attach_index
from vidsearch.index.swap import alias_moves
from vidsearch.local import SearchNode
from vidsearch.reindex import Changes
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, reindexer

TITLE = "The swap of an attached index"

DOCUMENTS, SEGMENTS, DIMS = 2000, 5, 128
MOST_MS = 100.0
_NODES: tuple[tuple[EngineKind, str], ...] = (
    ("elasticsearch", "9.5.3"),
    ("elasticsearch", "8.19.21"),
    ("opensearch", "2.19.1"),
)
_WRITERS, _RATES = 4, (100, 20)
"""Threads of the application, and writes a second of all of them."""
_AGAIN, _PROBE_AGAIN = 0.04, 0.005
"""Seconds after which a write that was refused is tried again, and the first one of them is. Where
all four are tried as often as that, their requests take CPU from what they wait for.
"""
_SETTLED = 1.0
"""Seconds after which writes that were refused have been taken."""
_BARE, _BARE_ALIAS = ("bare-1", "bare-2"), "bare"
_Work = Callable[[Engine, str, random.Random], None]
_SPAWN = multiprocessing.get_context("spawn")


@dataclass
class _Late:
    """Milliseconds in which writes were refused, and by which one was late, of each round."""

    refused: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)

    def add(self, seconds: float, late: Iterator[float]) -> None:
        self.refused.append(1000 * seconds)
        self.late.append(1000 * max([0.0, *late]))

    @property
    def cells(self) -> tuple[str, ...]:
        return tuple(
            f"{each:.0f}"
            for some in (self.refused, self.late)
            for each in (np.median(some), max(some))
        )


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """On each engine the index is reindexed again and again while another process writes to it."""
    rows: list[tuple[str, ...]] = []
    verdicts: list[Verdict] = []
    others = others_from_now()
    for kind, version in _NODES:
        with SearchNode.start(kind, version=version, heap="1g") as node:
            settings = Settings(
                engine={"url": node.url, "kind": node.kind}, index={"name": "shop", "replicas": 0}
            )
            with Services(settings, encoder=FakeEncoder(dims=DIMS)) as services:
                _load(services)
                with _Rounds.of(services) as made:
                    made.swap(_RATES[0])
                    rows.append((f"{kind} {version}, first swap", *made.swaps.cells))
                    for rate in _RATES:
                        swaps, bare = made.all(rounds, rate)
                        name = f"{kind} {version}, {rate} writes/s"
                        rows.append((name, *swaps.cells))
                        rows.append((f"{name}, bare", *bare.cells))
                        verdicts.append(
                            Verdict.of_figure(
                                f"{name}: a swap keeps none waiting for more than {MOST_MS:g} ms",
                                f"{max(swaps.late):.0f} ms at most, "
                                f"{np.median(swaps.late):.0f} in the median",
                                missed_by=max(swaps.late) / MOST_MS - 1,
                                others=others(),
                            )
                        )
    yield Section(
        f"{DOCUMENTS} documents of {SEGMENTS + 1} vectors of {DIMS} floats",
        ("engine", "refused ms", "most", "a write was late by ms", "most"),
        tuple(rows),
        (
            f"{rounds} swaps of each engine and rate; median and most",
            (
                "refused: from the call that blocks the index to the answer that the aliases are "
                "moved, and before, where writes were stopped and allowed again"
            ),
            (
                "late: from a first refusal until that write is taken, tried again every "
                f"{1000 * _PROBE_AGAIN:g} ms; the others are every {1000 * _AGAIN:g} ms"
            ),
            (
                "first swap: of a node that has just started, by itself and at "
                f"{_RATES[0]} writes/s: its machine code is not compiled yet"
            ),
            "bare: after each swap, writes to another index are blocked and its alias is moved",
            "the application and what reindexes are processes of their own, beside the node",
            "it changes, adds and deletes documents",
        ),
        tuple(verdicts),
    )


def _load(services: Services) -> None:
    engine = services.engine
    properties: Json = {"url": {"type": "keyword"}, "n": {"type": "long"}}
    index: Json = {"number_of_shards": 2, "number_of_replicas": 0}
    if engine.kind == "opensearch":
        index["knn"] = True
    body = {"settings": {"index": index}, "mappings": {"properties": properties}}
    engine.create_index("shop-v1", {**body, "aliases": {"shop": {}}})
    attach_index(engine, services.settings.index, FakeEncoder(dims=DIMS).identity, uri_field="url")
    vectors = np.random.default_rng(1).standard_normal((DOCUMENTS, SEGMENTS + 1, DIMS))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    made = vectors.astype(np.float32)
    writes = [Write("index", f"{n}", {"n": 0, "video": _video(made[n])}) for n in range(DOCUMENTS)]
    engine.bulk("shop", writes)
    engine.refresh("shop")
    few: Json = {"settings": {"index": {"number_of_shards": 2, "number_of_replicas": 0}}}
    behind: dict[str, Json] = {_BARE[0]: {_BARE_ALIAS: {}}, _BARE[1]: {}}
    for name, aliases in behind.items():
        engine.create_index(name, {**few, "mappings": body["mappings"], "aliases": aliases})
        engine.bulk(name, [Write("index", f"{n}", {"n": 0}) for n in range(DOCUMENTS)])


def _video(vectors: Any) -> Json:
    segments = [{"start": float(n), "end": n + 1.0, "vector": v} for n, v in enumerate(vectors[1:])]
    told = {"uri": "/v.mp4", "model": "fake@1", "fingerprint": "f", "duration": float(SEGMENTS)}
    return {**told, "vector": vectors[0], "segments": segments}


@dataclass
class _Rounds:
    """Swaps, and bare ones in turn with them, while an application writes."""

    services: Services
    late: Queue[float]
    elsewhere: Any
    rate: Any
    swaps: _Late = field(default_factory=_Late)
    bare: _Late = field(default_factory=_Late)
    number: int = 0

    @classmethod
    @contextmanager
    def of(cls, services: Services) -> Iterator[_Rounds]:
        """In this block the application writes."""
        late: Queue[float] = _SPAWN.Queue()
        stop, elsewhere, rate = _SPAWN.Event(), _SPAWN.Event(), _SPAWN.Value("d", _RATES[0])
        application = _SPAWN.Process(
            target=_application,
            args=(services.settings.engine.url, services.engine.kind, late, stop, elsewhere, rate),
        )
        application.start()
        try:
            late.get(timeout=60)  # it writes
            yield cls(services, late, elsewhere, rate)
        finally:
            stop.set()
            application.join()
        assert application.exitcode == 0

    def all(self, rounds: int, rate: float) -> tuple[_Late, _Late]:
        """So many at so many writes a second."""
        self.swaps, self.bare = _Late(), _Late()
        for _ in range(rounds):
            self.swap(rate)
            self.elsewhere.set()
            time.sleep(_SETTLED)
            seconds = _bare(self.services.engine)
            time.sleep(_SETTLED)
            self.bare.add(seconds, _all_of(self.late))
            self.elsewhere.clear()
        return self.swaps, self.bare

    def swap(self, rate: float) -> None:
        """One."""
        self.rate.value = rate
        self.number += 1
        wanted = Changes(shards=2 - self.number % 2)  # another number each time
        run = reindexer(self.services).start(wanted, throttle=math.inf)
        assert run.blocked_seconds is not None
        time.sleep(_SETTLED)
        self.swaps.add(run.blocked_seconds, _all_of(self.late))
        reindexer(self.services).clean()


def _bare(engine: Engine) -> float:
    """Seconds of the two changes of the cluster's state."""
    (old,) = engine.indices_of(_BARE_ALIAS)
    (new,) = {*_BARE} - {old}
    moves = alias_moves({_BARE_ALIAS: {}}, old=old, new=new)
    began = time.monotonic()
    engine.put_settings(old, {"blocks.write": True})
    engine.update_aliases(moves)
    seconds = time.monotonic() - began
    engine.put_settings(old, {"blocks.write": None})
    return seconds


def _all_of(late: Queue[float]) -> Iterator[float]:
    while not late.empty():
        yield late.get()


def _application(
    url: str, kind: EngineKind, late: Queue[float], stop: Any, elsewhere: Any, rate: Any
) -> None:
    """Writes at a steady rate, in a process of its own; tells by how much writes were late.

    To its own index, or ``elsewhere``.
    """
    engine = connect(EngineSettings(url=url, kind=kind))
    probing = threading.Lock()

    def forever(work: _Work, seed: int) -> None:
        chance = random.Random(seed)
        while not stop.wait(_WRITERS / rate.value):
            write = partial(work, engine, _BARE_ALIAS if elsewhere.is_set() else "shop")
            if waited := _until_taken(write, chance, probing):
                late.put(waited)

    works: tuple[_Work, ...] = (_change, _change, _add, _remove)
    with ThreadPoolExecutor(_WRITERS) as pool:
        writing = [pool.submit(forever, work, seed) for seed, work in enumerate(works)]
        late.put(0.0)
    for one in writing:
        one.result()  # one that has failed has not been late, and the figures say nothing
    engine.close()


def _until_taken(
    write: Callable[[random.Random], object], chance: random.Random, probing: threading.Lock
) -> float:
    """Write, again and again while that is refused.

    Returns:
        Seconds from its first refusal to its answer, if it was the first one to be refused.
    """
    refused: float | None = None
    is_first = False
    state = chance.getstate()
    while True:
        chance.setstate(state)  # the same write again
        try:
            write(chance)
        except BackendAccessDeniedError:
            if refused is None:
                refused, is_first = time.perf_counter(), probing.acquire(blocking=False)
            time.sleep(_PROBE_AGAIN if is_first else _AGAIN)
        else:
            if refused is None or not is_first:
                return 0.0
            probing.release()
            return time.perf_counter() - refused


def _change(engine: Engine, name: str, chance: random.Random) -> None:
    engine.update(name, f"{chance.randrange(DOCUMENTS // 2)}", {"n": chance.randrange(1000)})


def _add(engine: Engine, name: str, chance: random.Random) -> None:
    engine.put(name, f"new {chance.randrange(DOCUMENTS)}", {"n": chance.randrange(1000)})


def _remove(engine: Engine, name: str, chance: random.Random) -> None:
    engine.delete(name, f"{chance.randrange(DOCUMENTS // 2, DOCUMENTS)}")
