"""Long videos in slices: the same result as in one go, and what a second worker brings."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.celery_worker import start_worker
from benchmarks.clips import MINUTE, Clip, make_clips, repeated
from benchmarks.harness import others_from_now
from benchmarks.report import Section, Verdict
from vidsearch.config import Settings
from vidsearch.errors import VideoError
from vidsearch.index import create_videos_index
from vidsearch.local import RedisServer, SearchNode
from vidsearch.registry import State
from vidsearch.testing.sliced import ENCODINGS, LEAST_COSINE, Comparison, compare_slices
from vidsearch_tasks import Services, register_video

TITLE = "Films in slices"

SHARE_BAR = 0.6
"""Of one worker's time."""
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "clips"
_SLICE = 3.0
_MINUTES = 30
_FILM_SLICE = 100
_LONGEST = 900.0


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """All encodings and real clips both ways; then a film with one worker and with two."""
    yield _equality(folder)
    yield _with_workers(folder, rounds=min(rounds, 3))


def _equality(folder: Path) -> Section:
    made: dict[str, Path] = {}
    for number, (name, write) in enumerate(ENCODINGS.items()):
        place = folder / f"encoding-{number}"
        place.mkdir()
        made[name] = write(place)
    sources = {"encodings made here": made}
    if _SHARED.is_dir():
        clips = sorted(path for path in _SHARED.iterdir() if path.suffix != ".jsonl")
        sources["real clips"] = {path.name: path for path in clips}
    rows: list[tuple[str, ...]] = []
    differ: list[str] = []
    every: list[Comparison] = []
    for kind, paths in sources.items():
        found: list[Comparison] = []
        refused = 0
        for name, path in paths.items():
            try:
                one = compare_slices(path, seconds=_SLICE)
            except VideoError:
                refused += 1
                continue
            found.append(one)
            differ += [f"{name}: {difference}" for difference in one.differences]
        every += found
        sliced = sum(one.is_sliced for one in found)
        equal = sum(not one.differences for one in found)
        least = min((one.cosine for one in found), default=1.0)
        rows.append((kind, *map(str, (len(found), sliced, equal, refused)), f"{least:.7f}"))
    return Section(
        f"Slices of {_SLICE:g} s against one go",
        ("videos", "compared", "read from the middle", "equal", "no video", "least cosine"),
        tuple(rows),
        (
            "equal: times, end, damage and size of all frames, and fixed and semantic segments",
            "those that cannot be read from the middle are embedded in one go by workers",
            *differ,
        ),
        (
            Verdict.of_figure(
                f"Equal results, every cosine at least {LEAST_COSINE}",
                f"{sum(not one.differences for one in every)} of {len(every)}",
                missed_by=len({text.partition(":")[0] for text in differ}) / len(every),
            ),
        ),
    )


@dataclass(frozen=True, slots=True)
class _Took:
    seconds: float
    others: float
    """Cores that other processes kept busy meanwhile."""


def _with_workers(folder: Path, *, rounds: int) -> Section:
    clip = Clip("slice.mp4", "a clip", seconds=MINUTE)
    (part,) = make_clips(folder, [clip]).values()
    film = repeated(part, folder / "film.mp4", times=_MINUTES)
    taken: list[dict[int, _Took]] = []
    with ExitStack() as stack:
        node = stack.enter_context(SearchNode.start("elasticsearch", version="9.5.3", heap="1g"))
        redis = stack.enter_context(RedisServer.start())
        for number in range(rounds):
            taken.append({})
            for workers in (1, 2) if number % 2 else (2, 1):
                name = f"film-{number}-{workers}"
                place = folder / name
                place.mkdir()
                took = _ingested(film, node.url, redis.url, place, workers=workers)
                taken[-1][workers] = took
    shares = [each[2].seconds / each[1].seconds for each in taken]
    share = statistics.median(shares)
    disturbed = max(took.others for each in taken for took in each.values())
    count = _MINUTES * 60 // _FILM_SLICE
    return Section(
        f"A film of {_MINUTES} minutes in {count} slices, from its registration to `indexed`",
        ("round", "one worker s", "two workers s", "share"),
        tuple(
            (str(n), f"{each[1].seconds:.1f}", f"{each[2].seconds:.1f}", f"{part:.2f}")
            for n, (each, part) in enumerate(zip(taken, shares, strict=True), 1)
        ),
        (
            "360p, 30 fps, a key frame every two seconds; the `demo` model, with thumbnails",
            "workers have one child each; one or both have ingested another video before",
            "a worker and the process that it decodes in have one core, each worker another",
            f"the node and Redis share the {os.cpu_count()} cores of this machine",
            f"processes other than these took up to {disturbed:.2f} cores",
        ),
        (
            Verdict.of_figure(
                f"Two workers take at most {SHARE_BAR:g} of one worker's time",
                f"{share:.2f}",
                missed_by=(share - SHARE_BAR) / SHARE_BAR,
                others=disturbed,
            ),
        ),
    )


def _ingested(film: Path, engine: str, broker: str, folder: Path, *, workers: int) -> _Took:
    """What some workers take, in an index of their own, which holds no embeddings yet."""
    environment = {
        "VIDSEARCH_ENGINE__URL": engine,
        "VIDSEARCH_ENGINE__KIND": "elasticsearch",
        "VIDSEARCH_BROKER__URL": broker,
        "VIDSEARCH_BROKER__QUEUE": folder.name,
        "VIDSEARCH_INDEX__NAME": folder.name,
        "VIDSEARCH_INDEX__REPLICAS": "0",
        "VIDSEARCH_MODEL__NAME": "demo",
        "VIDSEARCH_INGEST__SLICE_SECONDS": str(_FILM_SLICE),
        "VIDSEARCH_THUMBNAILS__URL": str(folder / "thumbnails"),
    }
    settings = Settings(
        engine={"url": engine, "kind": "elasticsearch"},
        broker={"url": broker, "queue": folder.name},
        index={"name": folder.name, "replicas": 0},
        model={"name": "demo"},
    )
    with ExitStack() as stack:
        services = stack.enter_context(Services(settings))
        create_videos_index(services.engine, settings.index, services.encoder.identity)
        for number in range(workers):
            log = folder / f"worker-{number}.log"
            process = start_worker(log, environment, queue=folder.name, core=number)
            stack.callback(process.stop)
        short = make_clips(folder, [Clip(f"warm-{n}.mp4", "", seconds=2) for n in range(workers)])
        for name, path in short.items():
            register_video(name, uri=str(path), services=services)
        for name in short:
            _wait(services, name)
        # Before the workers end: those that they are killed with leave their time to nobody.
        others, began = others_from_now(), time.perf_counter()
        register_video("film", uri=str(film), services=services)
        _wait(services, "film")
        return _Took(time.perf_counter() - began, others())


def _wait(services: Services, id: str) -> None:
    until = time.monotonic() + _LONGEST
    while (record := services.registry.get(id)).state is not State.INDEXED:
        if record.state in {State.FAILED, State.DEAD} or time.monotonic() > until:
            raise SystemExit(f"{id} is {record.state}: {record.error}")
        time.sleep(0.1)
