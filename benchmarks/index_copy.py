"""A reindex that copies: how fast, and what searches notice of it.

The reference is the loop that one would write by hand with the client library: ``helpers.scan``
into ``helpers.parallel_bulk``; on OpenSearch, whose local node has it, its own ``_reindex``
as well.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import statistics
import time
import urllib.request
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import others_from_now
from benchmarks.report import Section, Verdict
from vidsearch.config import EngineSettings
from vidsearch.engines import Engine, EngineKind, Json, Write, connect
from vidsearch.index.copy_documents import copy_documents
from vidsearch.local import SearchNode
from vidsearch.testing.small_index import small_index
from vidsearch_mappings import vector_query

TITLE = "Copying an index"

DOCUMENTS, SEGMENTS, DIMS = 2000, 5, 128
SPEED_BAR, P95_BAR = 0.8, 2.0
_OURS, _HELPERS, _ENGINE = "vidsearch, no limit", "helpers.scan, parallel_bulk", "_reindex"
_SEARCH_EVERY = 0.05
_SPAWN = multiprocessing.get_context("spawn")
_IDLE_SECONDS = 10.0


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Each engine: the ways in turn, then searches without and with a copy beside them."""
    for kind, version in (("elasticsearch", "9.5.3"), ("opensearch", "2.19.1")):
        with SearchNode.start(kind, version=version, heap="1g") as node:
            engine = connect(EngineSettings(url=node.url, kind=node.kind))
            _load(engine)
            yield _speed(engine, node, rounds=min(rounds, 5))
            yield _searches(engine, node, rounds=min(rounds, 3))
            engine.close()


def _body(engine: Engine) -> Json:
    body = small_index(engine, dims=DIMS)
    body["settings"]["index"] |= {"number_of_shards": 1, "refresh_interval": "1s"}
    return body


def _load(engine: Engine) -> None:
    engine.create_index("old", _body(engine))
    vectors = np.random.default_rng(1).standard_normal((DOCUMENTS, SEGMENTS + 1, DIMS))
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    made = vectors.astype(np.float32)
    engine.bulk("old", [Write("index", f"v{n}", _video(made[n])) for n in range(DOCUMENTS)])
    engine.refresh("old")


def _video(vectors: Any) -> Json:
    segments = [{"start": float(n), "end": n + 1.0, "vector": v} for n, v in enumerate(vectors[1:])]
    return {"title": "a video", "video": {"vector": vectors[0], "segments": segments}}


def _emptied(engine: Engine) -> None:
    if engine.indices_of("new"):
        engine.delete_index("new")
    body = _body(engine)
    body["settings"]["index"]["refresh_interval"] = "-1"  # as a reindex has it until the swap
    engine.create_index("new", body)


def _speed(engine: Engine, node: SearchNode, *, rounds: int) -> Section:
    ways: dict[str, Callable[[], object]] = {
        _OURS: lambda: copy_documents(engine, "old", "new", throttle=math.inf),
        _HELPERS: lambda: _by_helpers(node),
    }
    if node.kind == "opensearch":
        ways[_ENGINE] = lambda: _by_the_engine(node)
    taken: dict[str, list[float]] = {name: [] for name in ways}
    others = others_from_now()
    for round_ in range(rounds + 1):
        for name in ways if round_ % 2 else reversed(ways):
            _emptied(engine)
            began = time.perf_counter()
            ways[name]()
            if round_:  # the first one warms up
                taken[name].append(time.perf_counter() - began)
            engine.refresh("new")
            assert engine.count("new") == DOCUMENTS
    reference = _ENGINE if _ENGINE in ways else _HELPERS
    ratio = statistics.median(
        theirs / ours for theirs, ours in zip(taken[reference], taken[_OURS], strict=True)
    )
    return Section(
        f"{str(engine.info()).partition(' at ')[0]}: {DOCUMENTS} documents of {SEGMENTS + 1} "
        f"vectors of {DIMS} floats",
        ("way", "docs/s"),
        tuple(
            (name, f"{DOCUMENTS / statistics.median(seconds):.0f}")
            for name, seconds in taken.items()
        ),
        ("wall time of node and client on one machine; median of the rounds",),
        (
            Verdict.of_figure(
                f"Copy at least {SPEED_BAR} times as fast as {reference}",
                f"{ratio:.2f} (median of the rounds)",
                missed_by=(SPEED_BAR - ratio) / SPEED_BAR,
                others=others(),
            ),
        ),
    )


def _by_helpers(node: SearchNode) -> None:
    options: Json = {"query": {"match_all": {}}}
    helpers: Any
    client: Any
    if node.kind == "elasticsearch":
        from elasticsearch import Elasticsearch, helpers

        client = Elasticsearch(node.url)
        options["_source"] = {"exclude_vectors": False}
    else:
        from opensearchpy import OpenSearch, helpers

        client = OpenSearch(node.url)
    writes = (
        {"_op_type": "create", "_index": "new", "_id": hit["_id"], "_source": hit["_source"]}
        for hit in helpers.scan(client, index="old", query=options, size=100)
    )
    for _ in helpers.parallel_bulk(client, writes, thread_count=2, chunk_size=100):
        pass
    client.close()


def _by_the_engine(node: SearchNode) -> None:
    body = {"source": {"index": "old", "size": 100}, "dest": {"index": "new", "op_type": "create"}}
    request = urllib.request.Request(
        f"{node.url}/_reindex?slices=2",
        method="POST",
        data=json.dumps(body).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=600) as answer:
        assert json.load(answer)["created"] == DOCUMENTS


def _searches(engine: Engine, node: SearchNode, *, rounds: int) -> Section:
    """A search every 50 ms: alone, and while the documents are copied at the default throttle."""
    idle: list[float] = []
    beside: list[float] = []
    others = others_from_now()
    for _ in range(rounds):
        _emptied(engine)
        idle += _searched(engine, until=time.monotonic() + _IDLE_SECONDS)
        # A reindex is another process than the application that searches.
        copy = _SPAWN.Process(target=_copy, args=(node.url, node.kind))
        copy.start()
        beside += _searched(engine, beside=copy)
        copy.join()
        assert copy.exitcode == 0
    quantiles = {
        name: [float(np.quantile(seconds, q)) * 1000 for q in (0.5, 0.95)]
        for name, seconds in (("idle", idle), ("during a copy", beside))
    }
    ratio = quantiles["during a copy"][1] / quantiles["idle"][1]
    return Section(
        f"{str(engine.info()).partition(' at ')[0]}: vector searches of the old index",
        ("", "searches", "p50 (ms)", "p95 (ms)"),
        tuple(
            (name, str(len(seconds)), *(f"{ms:.1f}" for ms in quantiles[name]))
            for name, seconds in (("idle", idle), ("during a copy", beside))
        ),
        ("node, copy and searches share the cores of one machine",),
        (
            Verdict.of_figure(
                f"p95 during a copy at the default throttle at most {P95_BAR:.0f} times idle",
                f"{ratio:.2f}",
                missed_by=(ratio - P95_BAR) / P95_BAR,
                others=others(),
            ),
        ),
    )


def _copy(url: str, kind: EngineKind) -> None:
    """In a process of its own."""
    engine = connect(EngineSettings(url=url, kind=kind))
    copy_documents(engine, "old", "new")
    engine.close()


def _searched(
    engine: Engine, *, until: float = math.inf, beside: BaseProcess | None = None
) -> list[float]:
    random, taken = np.random.default_rng(2), []
    while time.monotonic() < until and (beside is None or beside.is_alive()):
        vector = random.standard_normal(DIMS)
        query = vector_query(
            engine.kind,
            level="video",
            field="video",
            vector=(vector / np.linalg.norm(vector)).tolist(),
            k=10,
            num_candidates=100,
        )
        began = time.perf_counter()
        engine.search("old", query)
        taken.append(time.perf_counter() - began)
        time.sleep(_SEARCH_EVERY)
    return taken
