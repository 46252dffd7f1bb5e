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
from benchmarks.ingested import environment_of, ingest, settings_of
from benchmarks.models import made_checkpoint
from benchmarks.report import Section, Verdict
from vidsearch.encoders import load_encoder
from vidsearch.index import create_videos_index
from vidsearch.ingest import VideoOpener
from vidsearch.ingest.document import video_document
from vidsearch.local import RedisServer, SearchNode
from vidsearch.local.process import Process
from vidsearch.registry import VideoRecord
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services

TITLE = "Ingestion beside decoding and encoding"

MOST_MS, LEAST_OF_TWO = 10.0, 1.8
_SMALL, _LARGE = 50, 10
"""Clips that are made."""
_TIMES = 4
"""How often each large one is registered a round."""
_WARM_UP = 1
_LARGE_SECONDS = 8
_MOST_ROUNDS = 3


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
            settings = settings_of(engine, broker, name, keep=keep)
            services = stack.enter_context(Services(settings, encoder=FakeEncoder()))
            create_videos_index(services.engine, settings.index, FakeEncoder().identity)
            worker = start_worker(
                folder / f"{name}.log",
                environment_of(settings),
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
            "the frames: opened, hashed, decoded, encoded, subtitles looked for",
            "the document: index opened, document written",
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

    def whole(services: Services, worker: Process) -> tuple[float, float]:
        processes = _processes(worker)
        before = [_cpu(one) for one in processes]
        ingest(services, clips)
        parent, pool = (_cpu(one) - then for one, then in zip(processes, before, strict=True))
        return parent, pool

    used: dict[int, tuple[float, float]] = {}
    if backwards:
        by_itself = _alone(sides[0][0], clips)
    for n in (1, 0) if backwards else (0, 1):
        used[n] = whole(*sides[n])
    if not backwards:
        by_itself = _alone(sides[0][0], clips)
    parent, pool, with_store, rest = (
        1000 * seconds / _SMALL for seconds in (*used[0], sum(used[1]), by_itself)
    )
    return _Costs(parent, pool, with_store, rest, others())


def _alone(services: Services, clips: Mapping[str, Path]) -> float:
    """CPU seconds of this process for the same documents, without registry and queue."""
    settings = services.settings
    opener = VideoOpener(index=settings.index, settings=settings.ingest, sources=settings.sources)
    embedder = services.frame_embedder
    began = time.process_time()
    for id, clip in clips.items():
        record = VideoRecord(f"alone-{id}", str(clip), {"title": id})
        index = services.open_index()
        with opener.opened(record, index, at=lambda stage: None) as video:
            embedding = video.embed(embedder)
        document = video_document(
            record,
            embedding,
            index=index,
            fingerprint=video.fingerprint,
            embedded_at=time.time(),
        )
        services.engine.put(index.name, record.id, document, expect="absent")
    return time.process_time() - began


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

    @property
    def ratio(self) -> float:
        return self.one / self.two

    def row(self, name: str) -> tuple[str, ...]:
        return name, f"{self.one:.1f}", f"{self.two:.1f}", f"{self.ratio:.2f}"


def _two_workers(engine: str, broker: str, folder: Path, *, rounds: int) -> Section:
    settings = settings_of(engine, broker, "two", keep=False, model=str(made_checkpoint(folder)))
    clips = make_clips(
        folder, [Clip(f"large-{n}.mp4", "", seconds=_LARGE_SECONDS) for n in range(_LARGE)]
    )
    taken: dict[bool, list[_Pair]] = {True: [], False: []}
    with ExitStack() as stack:
        services = stack.enter_context(Services(settings, encoder=load_encoder(settings.model)))
        create_videos_index(services.engine, settings.index, services.encoder.identity)
        for number in range(rounds):
            for pinned, pairs in taken.items():
                others, seconds = others_from_now(), dict[int, float]()
                for workers in (1, 2) if number % 2 else (2, 1):
                    name = f"two-{number}-{workers}{'-pinned' if pinned else ''}"
                    with ExitStack() as running:
                        for n in range(workers):
                            process = start_worker(
                                folder / f"{name}-{n}.log",
                                environment_of(settings),
                                queue="two",
                                core=n if pinned else None,
                            )
                            running.callback(process.stop)
                        seconds[workers] = _timed(services, clips, name, workers)
                pairs.append(_Pair(seconds[1], seconds[2], others()))
    kept, free = (quieter_half(taken[pinned], rounds=rounds) for pinned in (True, False))
    disturbed = max(kept[-1].others, free[-1].others)
    return Section(
        f"{_LARGE * _TIMES} videos of {_LARGE_SECONDS} s, from registration to `indexed`",
        ("round", "one worker s", "two workers s", "ratio"),
        (
            *(pair.row(f"{n}, a core for each worker") for n, pair in enumerate(kept, 1)),
            *(pair.row(f"{n}, workers on any core") for n, pair in enumerate(free, 1)),
        ),
        (
            "360p, 30 fps; a model of the shape of ViT-B/32; no vectors are kept",
            "workers have one child each, and have loaded the model",
            "a core for each worker: where its child and the process that it decodes in stay, too",
            "on any core, one worker decodes on one and encodes on another at the same time",
            f"node and Redis share the {os.cpu_count()} cores of this machine in all rows",
            "where each worker has a core, they slow down two workers, and one not at all",
            f"processes other than these took up to {disturbed:.2f} cores",
        ),
        (
            _verdict("Two workers on two cores", free),
            _verdict("Two workers with a core each, which node and Redis use as well,", kept),
        ),
    )


def _verdict(what: str, pairs: Sequence[_Pair]) -> Verdict:
    ratio = statistics.median(pair.ratio for pair in pairs)
    return Verdict.of_figure(
        f"{what} at least {LEAST_OF_TWO:g}× of one",
        f"{ratio:.2f}×",
        missed_by=1 - ratio / LEAST_OF_TWO,
        others=pairs[-1].others,
    )


def _timed(services: Services, clips: Mapping[str, Path], name: str, workers: int) -> float:
    """Seconds for all clips, when every worker has embedded one."""
    first = next(iter(clips.values()))
    # All are idle, so that each takes one, and loads the model for it.
    ingest(services, {f"warm-{name}-{n}": first for n in range(workers)})
    again = {f"{name}-{n}-{id}": clip for n in range(_TIMES) for id, clip in clips.items()}
    return ingest(services, again)
