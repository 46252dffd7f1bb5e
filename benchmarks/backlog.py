"""Many videos at once: how soon `vidsearch status` answers, and a sweep makes good a lost queue."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import redis

from benchmarks.celery_worker import start_worker
from benchmarks.harness import compiled, others_from_now
from benchmarks.ingested import environment_of, settings_of
from benchmarks.report import Section, Verdict
from vidsearch.engines import Json, Write
from vidsearch.index import create_videos_index
from vidsearch.local import RedisServer, SearchNode
from vidsearch.registry import ErrorRecord, State, VideoRecord
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, ingestion_status, register_videos, run_sweep

TITLE = "Many videos"

FEW, MANY, LOST = 1_000, 100_000, 4_000
STATUS_BAR, SWEEP_BAR = 1.0, 10.0
_BATCH = 5_000
_ERRORS = ("VideoOpenError", "SourceUnavailableError", "NoFramesError")
_STATES = (*(7 * [State.INDEXED]), State.QUEUED, State.REGISTERED, State.FAILED)


@dataclass(frozen=True, slots=True)
class _Taken:
    seconds: float
    cpu: float
    """Of processes that have ended meanwhile."""
    others: float


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """A registry that grows; then one whose messages are all lost."""
    with ExitStack() as stack:
        node = stack.enter_context(SearchNode.start("elasticsearch", version="9.5.3", heap="1g"))
        broker = stack.enter_context(RedisServer.start())
        settings = settings_of(node.url, broker.url, "bench", keep=True)
        services = stack.enter_context(Services(settings))
        create_videos_index(services.engine, settings.index, FakeEncoder().identity)
        yield _swept([_round(services, broker.url, n) for n in range(min(rounds, 3))])
        log = folder / "idle" / "worker.log"
        log.parent.mkdir()
        app, queue = "benchmarks.ingestion_app", settings.broker.queue
        _empty(services, broker.url)
        env = environment_of(settings)
        command = partial(_status, {**compiled(folder / "compiled"), **env})
        command()

        def asked() -> tuple[list[_Taken], list[_Taken]]:
            called = [_timed(lambda: ingestion_status(services=services)) for _ in range(rounds)]
            return called, [_timed(command) for _ in range(rounds)]

        _fill(services, FEW)
        rows = [(f"{FEW:,}, no worker", *asked())]
        stack.callback(start_worker(log, env, queue=queue, app=app).stop)
        for total in (FEW, MANY):
            _fill(services, total)
            rows.append((f"{total:,}, one worker", *asked()))
        yield _told(rows)


def _round(services: Services, url: str, number: int) -> _Taken:
    """Register videos, lose all their messages, and sweep when their leases are over."""
    _empty(services, url)
    videos = [{"id": f"v{number}-{n}", "uri": f"/videos/{n}.mp4"} for n in range(LOST)]
    assert all(one.require() for one in register_videos(videos, services=services))
    with redis.Redis.from_url(url) as client, Services(services.settings) as later:
        client.flushall()
        vars(later)["clock"] = lambda: services.clock() + 2 * later.settings.ingest.lease_seconds
        swept: list[int] = []
        taken = _timed(lambda: swept.append(len(run_sweep(services=later).requeued)))
        assert swept == [LOST], "each once"
    return taken


def _empty(services: Services, url: str) -> None:
    registry, engine = services.registry.index, services.engine
    ids = [one.id for one in engine.scan(registry, source=False)]
    engine.bulk(registry, [Write("delete", id) for id in ids])
    engine.refresh(registry)
    with redis.Redis.from_url(url) as client:
        client.flushall()


def _fill(services: Services, total: int) -> None:
    """Videos of all states and ages, of which some ended within the hour."""
    now, engine = time.time(), services.engine
    for start in range(0, total, _BATCH):
        records = [_record(n, now) for n in range(start, min(start + _BATCH, total))]
        writes = [Write("index", one.id, one.to_source()) for one in records]
        engine.bulk(services.registry.index, writes)


def _record(number: int, now: float) -> VideoRecord:
    state, ago = _STATES[number % len(_STATES)], float(number * 37 % 100_000)
    times: Json = {"registered_at": now - ago - 60, "updated_at": now - ago}
    error = ErrorRecord(_ERRORS[number % 3], "decode", f"the reason of video {number}")
    return VideoRecord(
        f"v{number}",
        f"https://media.example/videos/{number}.mp4",
        state=state,
        indexed_at=now - ago if state is State.INDEXED else None,
        error=error if state is State.FAILED else None,
        **times,
    )


def _status(environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "vidsearch.cli", "status", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stdout.startswith("{"), done.stderr


def _timed(work: Callable[[], object]) -> _Taken:
    others, cpu, began = others_from_now(), _of_ended(), time.perf_counter()
    work()
    return _Taken(time.perf_counter() - began, _of_ended() - cpu, others())


def _of_ended() -> float:
    """CPU seconds of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _shown(taken: list[_Taken]) -> str:
    return _spread([one.seconds for one in taken])


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def _median(taken: list[_Taken]) -> float:
    return statistics.median(one.seconds for one in taken)


def _others(taken: list[_Taken]) -> float:
    return max(one.others for one in taken)


def _swept(taken: list[_Taken]) -> Section:
    slowest, others = max(one.seconds for one in taken), _others(taken)
    return Section(
        "A sweep after all messages were lost, wall time",
        ("videos", "seconds", "videos/s"),
        ((f"{LOST:,}", _shown(taken), f"{LOST / _median(taken):,.0f}"),),
        (
            "registered in bulk; FLUSHALL; a sweep when their leases are over, in one process",
            f"processes other than these took up to {others:.2f} cores",
        ),
        (
            Verdict.of_figure(
                f"{LOST:,} lost messages are sent again within {SWEEP_BAR:.0f} s, each once",
                f"{slowest:.1f} s",
                missed_by=(slowest - SWEEP_BAR) / SWEEP_BAR,
                others=others,
            ),
        ),
    )


def _told(rows: list[tuple[str, list[_Taken], list[_Taken]]]) -> Section:
    _, called, commands = rows[-1]
    others = max(_others(called), _others(commands))
    verdicts = [
        Verdict.of_figure(
            f"{what} of {MANY:,} videos within {STATUS_BAR:.0f} s",
            f"{_median(taken):.2f} s",
            missed_by=(_median(taken) - STATUS_BAR) / STATUS_BAR,
            others=_others(taken),
        )
        for what, taken in (
            ("`ingestion_status()`", called),
            ("The command `vidsearch status`", commands),
        )
    ]
    return Section(
        "The status, wall time",
        ("videos", "`ingestion_status()`", "`vidsearch status --json`, start to end", "its CPU"),
        tuple(
            (what, _shown(called), _shown(commands), _spread([one.cpu for one in commands]))
            for what, called, commands in rows
        ),
        (
            "of all states and ages, a tenth failed; Elasticsearch 9.5.3, Redis, an idle worker",
            "modules are compiled, as an installation does",
            f"processes other than these took up to {others:.2f} cores",
        ),
        tuple(verdicts),
    )
