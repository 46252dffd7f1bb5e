"""For how long an application cannot write to its own index while a copy takes the place of it."""

from __future__ import annotations

import math
import multiprocessing
import random
import threading
import time
from collections.abc import Callable, Iterator
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
_WRITERS, _EVERY, _AGAIN = 4, 0.04, 0.005
"""Threads of the application, seconds from a write of one to its next, and after a refusal."""
_SPAWN = multiprocessing.get_context("spawn")


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """On each engine the index is reindexed again and again while another process writes to it."""
    rows: list[tuple[str, ...]] = []
    worst, others = 0.0, others_from_now()
    for kind, version in _NODES:
        with SearchNode.start(kind, version=version, heap="1g") as node:
            settings = Settings(
                engine={"url": node.url, "kind": node.kind}, index={"name": "shop", "replicas": 0}
            )
            with Services(settings, encoder=FakeEncoder(dims=DIMS)) as services:
                _load(services)
                blocked, waited = _swaps(services, rounds=rounds)
        worst = max(worst, *waited)
        rows.append((f"{kind} {version}", *_cells(blocked), *_cells(waited)))
    yield Section(
        f"{DOCUMENTS} documents of {SEGMENTS + 1} vectors of {DIMS} floats, "
        f"{_WRITERS / _EVERY:.0f} writes a second",
        ("engine", "refused ms", "most", "a write was late by ms", "most"),
        tuple(rows),
        (
            f"{rounds} swaps of each engine; median and most",
            "refused: from the call that blocks the index to the answer that the aliases are moved",
            f"late: from a first refusal until it is taken, tried again every {1000 * _AGAIN:g} ms",
            "the application and what reindexes are processes of their own, beside the node",
            "it changes, adds and deletes documents",
        ),
        (
            Verdict.of_figure(
                f"A swap keeps no write waiting for more than {MOST_MS:g} ms",
                f"{worst:.0f} ms at most",
                missed_by=worst / MOST_MS - 1,
                others=others(),
            ),
        ),
    )


def _cells(milliseconds: list[float]) -> tuple[str, str]:
    return f"{np.median(milliseconds):.0f}", f"{max(milliseconds):.0f}"


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


def _video(vectors: Any) -> Json:
    segments = [{"start": float(n), "end": n + 1.0, "vector": v} for n, v in enumerate(vectors[1:])]
    told = {"uri": "/v.mp4", "model": "fake@1", "fingerprint": "f", "duration": float(SEGMENTS)}
    return {**told, "vector": vectors[0], "segments": segments}


def _swaps(services: Services, *, rounds: int) -> tuple[list[float], list[float]]:
    """Of each swap the milliseconds in which writes were refused, and by which one was late."""
    engine = services.settings.engine
    late: Queue[float] = _SPAWN.Queue()
    stop = _SPAWN.Event()
    application = _SPAWN.Process(
        target=_application, args=(engine.url, services.engine.kind, late, stop)
    )
    application.start()
    blocked: list[float] = []
    waited: list[float] = []
    try:
        late.get(timeout=60)  # it writes
        for number in range(rounds):
            run = reindexer(services).start(Changes(shards=1 + number % 2), throttle=math.inf)
            assert run.blocked_seconds is not None
            blocked.append(1000 * run.blocked_seconds)
            time.sleep(1.0)  # those that were refused have been taken
            waited.append(1000 * max([0.0, *_all_of(late)]))
            reindexer(services).clean()
    finally:
        stop.set()
        application.join()
    assert application.exitcode == 0
    return blocked, waited


def _all_of(late: Queue[float]) -> Iterator[float]:
    while not late.empty():
        yield late.get()


def _application(url: str, kind: EngineKind, late: Queue[float], stop: Any) -> None:
    """Writes at a steady rate, in a process of its own; tells by how much writes were late."""
    engine = connect(EngineSettings(url=url, kind=kind))
    works = (_change, _change, _add, _remove)
    threads = [
        threading.Thread(target=_forever, args=(engine, work, seed, late, stop))
        for seed, work in enumerate(works[:_WRITERS])
    ]
    for thread in threads:
        thread.start()
    late.put(0.0)
    for thread in threads:
        thread.join()
    engine.close()


def _forever(
    engine: Engine,
    work: Callable[[Engine, random.Random], object],
    seed: int,
    late: Queue[float],
    stop: Any,
) -> None:
    chance = random.Random(seed)
    while not stop.wait(_EVERY):
        refused: float | None = None
        state = chance.getstate()
        while True:
            chance.setstate(state)  # the same write again
            try:
                work(engine, chance)
            except BackendAccessDeniedError:
                refused = refused or time.perf_counter()
                time.sleep(_AGAIN)
            else:
                break
        if refused is not None:
            late.put(time.perf_counter() - refused)


def _change(engine: Engine, chance: random.Random) -> None:
    engine.update("shop", f"{chance.randrange(DOCUMENTS // 2)}", {"n": chance.randrange(1000)})


def _add(engine: Engine, chance: random.Random) -> None:
    engine.put("shop", f"new {chance.randrange(DOCUMENTS)}", {"n": chance.randrange(1000)})


def _remove(engine: Engine, chance: random.Random) -> None:
    engine.delete("shop", f"{chance.randrange(DOCUMENTS // 2, DOCUMENTS)}")
