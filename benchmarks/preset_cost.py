"""What each preset takes, in documents as vidsearch writes them: disk, memory, the node's CPU.

Bytes and CPU time tell presets apart where other processes share the machine as well; how long a
large index takes is measured by :mod:`benchmarks.large`. `vidsearch plan` computes with both.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.large import DIMS, SEGMENTS, fill, merge, raw
from benchmarks.report import Section
from vidsearch.config import EngineSettings, IndexSettings
from vidsearch.engines import Engine, connect
from vidsearch.evaluation.presets import memory_of
from vidsearch.local import SearchNode

TITLE = "What each preset takes"

VIDEOS = 2_000
_VECTORS = VIDEOS * (SEGMENTS + 1)
_ABOUT_VECTORS = (
    f"per vector, of {_VECTORS:,}: a video has one, and one per segment; one shard, merged to one "
    "Lucene segment"
)


class Cost(NamedTuple):
    """Of one preset."""

    disk: float
    """Bytes per vector of the merged index."""
    memory: float
    """Bytes per vector that searches read at random."""
    loading: float
    """Milliseconds of CPU per 1,000 vectors."""
    merging: float


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Every preset of Elasticsearch, one after the other, in a node that was used before."""
    with SearchNode.start("elasticsearch", heap="2g") as node:
        engine = connect(EngineSettings(url=node.url, kind=node.kind, timeout=1800))
        _cost(engine, "float")  # the first index of a node pays for what Java compiles
        presets = sorted(engine.features().quantizations)
        yield _section(engine, {preset: _cost(engine, preset) for preset in presets})
        engine.close()


def _cost(engine: Engine, preset: str) -> Cost:
    settings = IndexSettings(quantization=preset, replicas=0)  # type: ignore[arg-type]
    began = _cpu(engine)
    fill(engine, settings, VIDEOS)
    loaded = _cpu(engine)
    merge(engine, settings.name)
    merged = _cpu(engine)
    (name,) = engine.indices_of(settings.name)
    stats = raw(engine, "GET", f"/{name}/_stats")["indices"][name]["primaries"]
    engine.delete_index(name)
    return Cost(
        disk=stats["store"]["size_in_bytes"] / _VECTORS,
        memory=(memory_of(stats) or 0) / _VECTORS,
        loading=1000 * (loaded - began) / _VECTORS,
        merging=1000 * (merged - loaded) / _VECTORS,
    )


def _cpu(engine: Engine) -> float:
    """Milliseconds of CPU that the node has used."""
    nodes: Any = raw(engine, "GET", "/_nodes/stats/process")["nodes"]
    return float(sum(node["process"]["cpu"]["total_in_millis"] for node in nodes.values()))


def _section(engine: Engine, costs: dict[str, Cost]) -> Section:
    title = str(engine.info()).partition(" at ")[0]
    return Section(
        title=f"{title}: {VIDEOS:,} videos of {SEGMENTS} segments, {DIMS} dims",
        columns=(
            "preset",
            "bytes on disk",
            "bytes in memory",
            "CPU ms to load 1,000",
            "CPU ms to merge 1,000",
        ),
        rows=tuple(
            (
                preset,
                f"{cost.disk:.0f}",
                f"{cost.memory:.0f}",
                f"{cost.loading:.0f}",
                f"{cost.merging:.0f}",
            )
            for preset, cost in costs.items()
        ),
        notes=(
            _ABOUT_VECTORS,
            "in memory: graph and quantized vectors, which searches read at random",
            "CPU of the whole node; of loading, merges that began meanwhile are part",
        ),
    )
