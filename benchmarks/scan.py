"""``python -m benchmarks.scan``: what `vidsearch scan` costs in a large attached index.

Every document but a thousand has its vectors already and stands in the registry, as after some
weeks of use: a scan then has nothing to do but to look. Each scan runs in a process of its own, as
a dry run. Not part of ``python -m benchmarks``, as it takes many minutes to load the documents.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.harness import megabytes, others_from_now
from vidsearch.config import EngineSettings, IndexSettings
from vidsearch.engines import Engine, Json, Write, connect
from vidsearch.index import attach_index, open_videos_index
from vidsearch.ingest import scan_index
from vidsearch.ingest.document import model_name
from vidsearch.local import SearchNode
from vidsearch.registry import Registry, State, VideoRecord
from vidsearch.testing.fake_encoder import FakeEncoder

INDEX = IndexSettings(name="products", quantization="flat", replicas=0)
LACKING = 1_000
_IDENTITY = FakeEncoder(dims=16).identity
_BATCH = 5_000


def main() -> None:
    """Load a node and scan it; or, as a child of that, scan once."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scan", description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--scan", metavar="URL", help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.scan:
        engine = connect(EngineSettings(url=arguments.scan, kind="elasticsearch"))
        print(json.dumps(_scanned(engine, quick=arguments.quick)))
        return
    node = SearchNode.start("elasticsearch", version="9.5.3", heap="1g", talk=print)
    try:
        took = _load(connect(EngineSettings(url=node.url, kind=node.kind)), arguments.documents)
        print(f"elasticsearch 9.5.3: {arguments.documents:,} documents loaded in {took:.0f} s")
        for way in (["--quick"], []):
            found = _in_a_child([*way, "--scan", node.url])
            print(" ".join(way) or "full", json.dumps(found), flush=True)
    finally:
        node.stop()


def _load(engine: Engine, total: int) -> float:
    began = time.perf_counter()
    settings = {"number_of_replicas": 0, "refresh_interval": "-1"}
    properties = {
        "title": {"type": "text"},
        "price": {"type": "float"},
        "media": {"properties": {"url": {"type": "keyword"}}},
    }
    body = {"settings": {"index": settings}, "mappings": {"properties": properties}}
    engine.create_index(INDEX.name, body)
    attach_index(engine, INDEX, _IDENTITY, uri_field="media.url")
    for name, made in ((INDEX.name, _document), (INDEX.registry, _entry)):
        for start in range(0, total, _BATCH):
            numbers = range(start, min(start + _BATCH, total))
            writes = [Write("index", f"p{n}", made(n)) for n in numbers]
            engine.bulk(name, [write for write in writes if write.source])
        engine.refresh(name)
        print(f"{name}: loaded after {time.perf_counter() - began:.0f} s", flush=True)
    return time.perf_counter() - began


def _document(number: int) -> Json:
    uri = f"https://media.example/videos/{number}.mp4"
    document: Json = {"title": f"Product {number}", "price": 9.5, "media": {"url": uri}}
    if number >= LACKING:
        document["video"] = {
            "uri": uri,
            "model": model_name(_IDENTITY),
            "fingerprint": f"{number:064x}",
            "vector": np.full(16, 0.25, np.float32),
        }
    return document


def _entry(number: int) -> Json:
    if number < LACKING:
        return {}
    record = VideoRecord(
        id=f"p{number}",
        uri=f"https://media.example/videos/{number}.mp4",
        state=State.INDEXED,
        attempts=1,
        fingerprint=f"{number:064x}",
    )
    return record.to_source()


def _scanned(engine: Engine, *, quick: bool) -> Json:
    registry = Registry(engine, index=INDEX.registry)
    index = open_videos_index(engine, INDEX)
    others, cpu, began = others_from_now(), time.process_time(), time.perf_counter()
    findings: Iterator[object] = scan_index(
        registry, index, enqueue=list, quick=quick, dry_run=True
    )
    return {
        "findings": sum(1 for _ in findings),
        "seconds": round(time.perf_counter() - began, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "peak_mb": int(megabytes("VmHWM")),
        "other_cores": round(others(), 1),
    }


def _in_a_child(arguments: list[str]) -> Json:
    command = [sys.executable, "-m", "benchmarks.scan", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: Json = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
