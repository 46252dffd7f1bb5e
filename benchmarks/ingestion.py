"""What registry and queue cost a worker per video, and what a second worker brings."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.celery_worker import start_worker
from benchmarks.clips import Clip, make_clips
from benchmarks.harness import others_from_now, quieter_half
from benchmarks.models import made_checkpoint
from benchmarks.report import Section, Verdict
from vidsearch.config import Settings
from vidsearch.encoders import load_encoder
from vidsearch.index import create_videos_index
from vidsearch.local import RedisServer, SearchNode
from vidsearch.local.process import Process
from vidsearch.media import fetch
from vidsearch.registry import NewVideo, State
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, register_videos

TITLE = "Ingestion beside decoding and encoding"

MOST_MS, LEAST_OF_TWO = 10.0, 1.8
_SMALL, _LARGE = 50, 10
"""Videos a round."""
_WARM_UP = 1
_LARGE_SECONDS = 8
_MOST_ROUNDS = 3
_LONGEST = 600.0
_NO_SWEEP = 3600.0


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Small clips with one worker; then clips and a model as they are used, with one and two."""
    with ExitStack() as stack:
        node = stack.enter_context(SearchNode.start("elasticsearch", version="9.5.3", heap="1g"))
        redis = stack.enter_context(RedisServer.start())
        yield _beside(node.url, redis.url, folder, rounds=rounds)
        yield _two_workers(node.url, redis.url, folder, rounds=min(rounds, _MOST_ROUNDS))


@dataclass(frozen=True, slots=True)
class _Costs:
    """Milliseconds of CPU per video."""

    parent: float
    pool: float
    with_store: float
    """Of both processes, where vectors of frames are kept."""
    alone: float
    others: float

    @property
    def beside(self) -> float:
        return self.parent + self.pool - self.alone


def _beside(engine: str, broker: str, folder: Path, *, rounds: int) -> Section:
    with ExitStack() as stack:
        sides: list[tuple[Services, Process]] = []
        for name, keep in (("beside", False), ("beside-kept", True)):
            settings = _settings(engine, broker, name, keep=keep)
            services = stack.enter_context(Services(settings, encoder=FakeEncoder()))
            create_videos_index(services.engine, settings.index, FakeEncoder().identity)
            worker = start_worker(
                folder / f"{name}.log",
                _environment(settings),
                queue=name,
                app="benchmarks.ingestion_app",
            )
            stack.callback(worker.stop)
            sides.append((services, worker))
        taken = [
            _round(sides, _small_clips(folder, number), backwards=number % 2 == 1)
            for number in range(rounds + _WARM_UP)
        ][_WARM_UP:]
    kept = quieter_half(taken, rounds=rounds)
    beside = statistics.median(one.beside for one in kept)

    def row(name: str, values: Sequence[float]) -> tuple[str, str]:
        low, high = min(values), max(values)
        return name, f"{statistics.median(values):.1f} ({low:.1f} to {high:.1f})"

    return Section(
        "CPU of a worker per video, milliseconds",
        ("what", "ms"),
        (
            row("the worker's parent process", [one.parent for one in kept]),
            row("its pool process", [one.pool for one in kept]),
            row("of that, the frames and the document", [one.alone for one in kept]),
            row("what is left: registry and queue", [one.beside for one in kept]),
            row(
                "both processes, where vectors of frames are kept",
                [one.with_store for one in kept],
            ),
        ),
        (
            f"{_SMALL} clips of two frames a round; the encoder costs nothing",
            "not counted: the process that decodes for the worker, node and Redis",
            "the frames: fetched, decoded, encoded; the document: index opened, read, written",
            "both for the same clips in this process, in the same round",
            "without sweeps, which come by time and not by video",
            f"medians of {len(kept)} rounds (smallest to largest)",
            f"processes other than these took up to {kept[-1].others:.2f} cores",
        ),
        (
            Verdict.of_figure(
                f"Registry and queue at most {MOST_MS:g} ms of CPU per video",
                f"{beside:.1f} ms",
                missed_by=(beside - MOST_MS) / MOST_MS,
                others=kept[-1].others,  # a crowded machine makes each request dearer
            ),
        ),
    )


def _round(
    sides: Sequence[tuple[Services, Process]], clips: Mapping[str, Path], *, backwards: bool
) -> _Costs:
    others = others_from_now()

    def alone(services: Services) -> float:
        embedder = services.frame_embedder
        began = time.process_time()
        for id, clip in clips.items():
            index = services.open_index()
            assert index.read(f"alone-{id}") is None
            with fetch(str(clip), settings=services.settings.sources) as file:
                frames = embedder.embed(file.path)
            document = {"title": id, index.field: {"vector": frames.mean().tolist()}}
            services.engine.put(index.name, f"alone-{id}", document, expect="absent")
        return time.process_time() - began

    def whole(services: Services, worker: Process) -> tuple[float, float]:
        processes = _processes(worker)
        before = [_cpu(one) for one in processes]
        _ingest(services, clips)
        parent, pool = (_cpu(one) - then for one, then in zip(processes, before, strict=True))
        return parent, pool

    used: dict[int, tuple[float, float]] = {}
    if backwards:
        by_itself = alone(sides[0][0])
    for n in (1, 0) if backwards else (0, 1):
        used[n] = whole(*sides[n])
    if not backwards:
        by_itself = alone(sides[0][0])
    parent, pool, with_store, rest = (
        1000 * seconds / _SMALL for seconds in (*used[0], sum(used[1]), by_itself)
    )
    return _Costs(parent, pool, with_store, rest, others())


def _small_clips(folder: Path, number: int) -> dict[str, Path]:
    """Clips of different bytes, so that the store of embeddings has none of them."""
    return {
        f"small-{number}-{n}": write_clip(
            folder / f"small-{number}-{n}.mp4",
            [0.0, 0.5],
            picture=solid((2 * n, 20 * number, 90)),
            rate=2,
        )
        for n in range(_SMALL)
    }


def _processes(worker: Process) -> tuple[psutil.Process, psutil.Process]:
    """Parent and pool process; what decodes is a child of the latter."""
    (parent,) = psutil.Process(worker.pid).children()
    (pool,) = parent.children()
    return parent, pool


def _cpu(process: psutil.Process) -> float:
    return time.clock_gettime((~process.pid << 3) | 2)  # as harness.cpu_seconds


@dataclass(frozen=True, slots=True)
class _Pair:
    one: float
    """Seconds."""
    two: float
    others: float


def _two_workers(engine: str, broker: str, folder: Path, *, rounds: int) -> Section:
    settings = _settings(engine, broker, "two", keep=False, model=str(made_checkpoint(folder)))
    clips = make_clips(
        folder, [Clip(f"large-{n}.mp4", "", seconds=_LARGE_SECONDS) for n in range(_LARGE)]
    )
    taken: list[_Pair] = []
    with ExitStack() as stack:
        services = stack.enter_context(Services(settings, encoder=load_encoder(settings.model)))
        create_videos_index(services.engine, settings.index, services.encoder.identity)
        for number in range(rounds):
            others, seconds = others_from_now(), dict[int, float]()
            for workers in (1, 2) if number % 2 else (2, 1):
                with ExitStack() as running:
                    for n in range(workers):
                        log = folder / f"two-{number}-{workers}-{n}.log"
                        process = start_worker(log, _environment(settings), queue="two")
                        running.callback(process.stop)
                    seconds[workers] = _timed(services, clips, f"{number}-{workers}", workers)
            taken.append(_Pair(seconds[1], seconds[2], others()))
    kept = quieter_half(taken, rounds=rounds)
    ratios = [pair.one / pair.two for pair in kept]
    ratio, disturbed = statistics.median(ratios), kept[-1].others
    return Section(
        f"{_LARGE} videos of {_LARGE_SECONDS} s, from registration to `indexed`",
        ("round", "one worker s", "two workers s", "ratio"),
        tuple(
            (str(n), f"{pair.one:.1f}", f"{pair.two:.1f}", f"{pair.one / pair.two:.2f}")
            for n, pair in enumerate(kept, 1)
        ),
        (
            "360p, 30 fps; a model of the shape of ViT-B/32; no vectors are kept",
            "workers have one child each, and have loaded the model",
            f"a worker decodes in a process of its own; this machine has {os.cpu_count()} cores",
            f"processes other than these took up to {disturbed:.2f} cores",
        ),
        (
            Verdict.of_figure(
                f"Two workers at least {LEAST_OF_TWO:g}× of one",
                f"{ratio:.2f}×",
                missed_by=1 - ratio / LEAST_OF_TWO,
                others=disturbed,
            ),
        ),
    )


def _timed(services: Services, clips: Mapping[str, Path], name: str, workers: int) -> float:
    """Seconds for all clips, when every worker has embedded one."""
    first = next(iter(clips.values()))
    # All are idle, so that each takes one, and loads the model for it.
    _ingest(services, {f"warm-{name}-{n}": first for n in range(workers)})
    began = time.perf_counter()
    _ingest(services, {f"{name}-{id}": clip for id, clip in clips.items()})
    return time.perf_counter() - began


def _ingest(services: Services, clips: Mapping[str, Path]) -> None:
    registry = services.registry
    before = registry.counts()[State.INDEXED]
    videos = [NewVideo(id, str(path), {"title": id}) for id, path in clips.items()]
    assert not [one for one in register_videos(videos, services=services) if one.error]
    until = time.monotonic() + _LONGEST
    while (counts := registry.counts())[State.INDEXED] < before + len(videos):
        if counts[State.FAILED] or counts[State.DEAD] or time.monotonic() > until:
            raise SystemExit(f"not all videos were indexed: {counts}")
        time.sleep(0.05)


def _settings(engine: str, broker: str, name: str, *, keep: bool, model: str = "demo") -> Settings:
    return Settings(
        engine={"url": engine, "kind": "elasticsearch"},
        broker={"url": broker, "queue": name},
        index={"name": name, "replicas": 0},
        embeddings={"keep": keep},
        ingest={"sweep_seconds": _NO_SWEEP},
        model={"name": model},
    )


def _environment(settings: Settings) -> dict[str, str]:
    return {
        "VIDSEARCH_ENGINE__URL": settings.engine.url,
        "VIDSEARCH_ENGINE__KIND": settings.engine.kind,
        "VIDSEARCH_BROKER__URL": settings.broker.url.get_secret_value(),
        "VIDSEARCH_BROKER__QUEUE": settings.broker.queue,
        "VIDSEARCH_INDEX__NAME": settings.index.name,
        "VIDSEARCH_INDEX__REPLICAS": "0",
        "VIDSEARCH_INGEST__SWEEP_SECONDS": str(_NO_SWEEP),
        "VIDSEARCH_EMBEDDINGS__KEEP": str(settings.embeddings.keep),
        "VIDSEARCH_MODEL__NAME": settings.model.name,
    }
