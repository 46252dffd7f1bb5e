"""What the client spends on the body of a bulk write, and how fast a node takes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import measure
from benchmarks.report import Section, Verdict, comparison
from vidsearch.config import EngineSettings
from vidsearch.engines import Write, connect
from vidsearch.engines.bulk import Progress, encoded
from vidsearch.engines.vectors import ByteOrder
from vidsearch.local import SearchNode

TITLE = "Body of a bulk write"

DEFAULT, NUMBERS, BASE64 = "client's serializer, tolist()", "ours, JSON numbers", "ours, base64"
DOCUMENTS, DIMS = 500, 512
BYTES_BAR, CPU_BAR = 0.30, 0.08
_INDEX = "bulk"

Vectors = NDArray[np.float32]


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """500 documents of one vector; then the same bulks against a node."""
    vectors = np.random.default_rng(1).standard_normal((DOCUMENTS, DIMS)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ways: dict[str, Callable[[], bytes]] = {
        DEFAULT: lambda: _by_default(vectors),
        NUMBERS: lambda: _ours(vectors, None),
        BASE64: lambda: _ours(vectors, "big"),
    }
    sizes = {name: len(way()) for name, way in ways.items()}
    measured = measure(
        {name: _repeated(way) for name, way in ways.items()}, rounds=rounds, children=False
    )
    section = comparison(
        f"{DOCUMENTS} documents of {DIMS} floats, 4 bodies a round",
        measured,
        references=[DEFAULT],
        notes=[
            "from float32 arrays to the bytes that are sent, action lines included",
            *(f"{name}: {size / DOCUMENTS:,.0f} bytes a document" for name, size in sizes.items()),
        ],
    )
    cpu = 1 / measured.ratio(DEFAULT, BASE64).median
    size = sizes[BASE64] / sizes[DEFAULT]
    yield Section(
        section.title,
        section.columns,
        section.rows,
        section.notes,
        (
            Verdict.of_figure(
                f"Bulk body in base64: at most {BYTES_BAR} of the bytes of JSON floats",
                f"{size:.3f}",
                missed_by=(size - BYTES_BAR) / BYTES_BAR,
            ),
            Verdict.of_figure(
                f"Bulk body in base64: at most {CPU_BAR} of the client's CPU for JSON floats",
                f"{cpu:.3f}",
                missed_by=(cpu - CPU_BAR) / CPU_BAR,
            ),
        ),
    )
    yield _on_a_node(vectors, rounds=rounds)


def _repeated(way: Callable[[], bytes]) -> Callable[[], object]:
    return lambda: [way() for _ in range(4)]


def _by_default(vectors: Vectors) -> bytes:
    from elasticsearch.serializer import NdjsonSerializer

    lines: list[Any] = []
    for write in _writes([vector.tolist() for vector in vectors]):
        lines += [{"index": {"_id": write.id}}, write.source]
    return NdjsonSerializer().dumps(lines)


def _ours(vectors: Vectors, order: ByteOrder | None) -> bytes:
    writes = _writes(list(vectors))
    progress = Progress(_INDEX, "", len(writes))
    return b"".join(item.lines for item in encoded(writes, progress, order=order))


def _writes(vectors: list[Any]) -> list[Write]:
    return [Write("index", str(n), {"vector": vector}) for n, vector in enumerate(vectors)]


def _on_a_node(vectors: Vectors, *, rounds: int) -> Section:
    """Documents a second that a node takes into an exact index."""
    from elasticsearch import Elasticsearch

    field = {"type": "dense_vector", "dims": DIMS, "index": True, "similarity": "cosine"}
    body = {
        "settings": {"number_of_shards": 1, "number_of_replicas": 0, "refresh_interval": "-1"},
        "mappings": {"properties": {"vector": {**field, "index_options": {"type": "flat"}}}},
    }
    with SearchNode.start("elasticsearch", heap="1g") as node:
        engine = connect(EngineSettings(url=node.url, kind=node.kind))
        raw = Elasticsearch(node.url)
        engine.create_index(_INDEX, body)

        def by_default() -> object:
            operations: list[Any] = []
            for write in _writes([vector.tolist() for vector in vectors]):
                operations += [{"index": {"_id": write.id}}, write.source]
            return raw.bulk(index=_INDEX, operations=operations)

        ways: dict[str, Callable[[], object]] = {
            "client.bulk, tolist()": by_default,
            "Engine.bulk": lambda: engine.bulk(_INDEX, _writes(list(vectors))),
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for round_ in range(rounds + 2):
            for name in ways if round_ % 2 else reversed(ways):
                started = time.perf_counter()
                ways[name]()
                if round_ >= 2:  # the first ones warm up
                    taken[name].append(time.perf_counter() - started)
        info = engine.info()
        raw.close()
        engine.close()
    middle = {name: float(np.median(seconds)) for name, seconds in taken.items()}
    reference = middle["client.bulk, tolist()"]
    return Section(
        f"The same bulks against {str(info).partition(' at ')[0]}, flat index, one client",
        ("way", "docs/s", "× client.bulk"),
        tuple(
            (name, f"{DOCUMENTS / seconds:.0f}", f"{reference / seconds:.2f}")
            for name, seconds in middle.items()
        ),
        ("wall time, the node's work included; median of the rounds",),
    )
