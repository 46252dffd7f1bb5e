"""Registering many videos, beside a warm node and a Redis: in bulk, one by one, and from a file."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import others_from_now, quieter_half
from benchmarks.report import Section, Verdict
from vidsearch.config import Settings
from vidsearch.index import create_videos_index
from vidsearch.local import RedisServer, SearchNode
from vidsearch.registry import NewVideo
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, register_video, register_videos

TITLE = "Registering videos"

ALONE, BULK = "`register_video` in a loop", "`register_videos`"
TIMES_BAR, SECONDS_BAR = 20, 120
ROWS, FEWER_ROWS = 100_000, 10_000
_ONE_BY_ONE, _AT_ONCE = 50, 2_000
_WARM_UP = 2


@dataclass(frozen=True, slots=True)
class _Round:
    alone: float
    """Seconds per video."""
    bulk: float
    others: float


@dataclass(frozen=True, slots=True)
class _Run:
    seconds: float
    cpu: float
    mebibytes: float
    said: str
    others: float


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """New videos both ways in turn; then a file of 100,000 rows with the command."""
    with ExitStack() as stack:
        node = stack.enter_context(SearchNode.start("elasticsearch", version="9.5.3", heap="1g"))
        redis = stack.enter_context(RedisServer.start())
        settings = Settings(
            engine={"url": node.url, "kind": node.kind},
            broker={"url": redis.url},
            index={"name": "bench", "replicas": 0},
        )
        services = stack.enter_context(Services(settings))
        create_videos_index(services.engine, settings.index, FakeEncoder().identity)
        taken = [_round(services, number) for number in range(rounds + _WARM_UP)][_WARM_UP:]
        yield _compared(quieter_half(taken, rounds=rounds))
        yield _of_the_command(settings, folder)


def _round(services: Services, number: int) -> _Round:
    others = others_from_now()

    def alone() -> float:
        began = time.perf_counter()
        for video in _videos(f"alone-{number}", _ONE_BY_ONE):
            register_video(video.id, uri=video.uri, fields=video.fields, services=services)
        return (time.perf_counter() - began) / _ONE_BY_ONE

    def bulk() -> float:
        began = time.perf_counter()
        done = register_videos(_videos(f"bulk-{number}", _AT_ONCE), services=services)
        took = time.perf_counter() - began
        assert not [one for one in done if one.error]
        return took / _AT_ONCE

    if number % 2:
        return _Round(alone(), bulk(), others())
    at_once = bulk()
    return _Round(alone(), at_once, others())


def _videos(name: str, number: int) -> Iterator[NewVideo]:
    for n in range(number):
        fields = {"title": f"Clip {n} of {name}", "year": 1990 + n % 30}
        yield NewVideo(f"{name}-{n}", f"https://media.example/{name}/{n}.mp4", fields)


def _compared(kept: list[_Round]) -> Section:
    ratios = [each.alone / each.bulk for each in kept]
    alone = statistics.median(each.alone for each in kept)
    bulk = statistics.median(each.bulk for each in kept)
    ratio = statistics.median(ratios)
    return Section(
        "New videos, wall time, the node's and Redis's work included",
        ("way", "ms per video", f"× {ALONE}"),
        (
            (ALONE, f"{alone * 1000:.2f}", "1"),
            (BULK, f"{bulk * 1000:.3f}", f"{ratio:.1f} ({min(ratios):.1f} to {max(ratios):.1f})"),
        ),
        (
            f"{_ONE_BY_ONE} and {_AT_ONCE:,} new videos a round, one client, one node, one Redis",
            _disturbed(kept),
        ),
        (
            Verdict.of_figure(
                f"In bulk at least {TIMES_BAR} times faster per video than one by one",
                f"{ratio:.1f}",
                missed_by=(TIMES_BAR - ratio) / TIMES_BAR,
            ),
        ),
    )


def _disturbed(taken: Sequence[_Round | _Run]) -> str:
    most = max(one.others for one in taken)
    return f"other processes took up to {most:.2f} cores, the node and Redis included"


def _of_the_command(settings: Settings, folder: Path) -> Section:
    fewer = _ingested(settings, _file(folder, "fewer", FEWER_ROWS))
    first = _ingested(settings, _file(folder, "many", ROWS))
    again = _ingested(settings, folder / "many.csv")
    growth = first.mebibytes - fewer.mebibytes
    return Section(
        "`vidsearch ingest --csv` in a process of its own, from start to end",
        ("rows", "seconds", "rows/s", "its CPU seconds", "peak memory", "it said"),
        tuple(
            (
                f"{rows:,}",
                f"{one.seconds:.1f}",
                f"{rows / one.seconds:,.0f}",
                f"{one.cpu:.1f}",
                f"{one.mebibytes:.0f} MiB",
                one.said,
            )
            for rows, one in ((FEWER_ROWS, fewer), (ROWS, first), (ROWS, again))
        ),
        (
            "the node took other registrations before, so that it is warm",
            _disturbed([first, again]),
        ),
        (
            Verdict.of_figure(
                f"{ROWS:,} rows in less than {SECONDS_BAR} s",
                f"{first.seconds:.0f} s",
                missed_by=(first.seconds - SECONDS_BAR) / SECONDS_BAR,
            ),
            Verdict.of_figure(
                f"Memory flat: {ROWS:,} rows take at most 5 MiB more than {FEWER_ROWS:,}",
                f"{growth:.1f} MiB",
                missed_by=(growth - 5) / 5,
            ),
        ),
    )


def _file(folder: Path, name: str, rows: int) -> Path:
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("id,uri,title,year,tags\n")
        file.writelines(
            f"{name}-{n},https://media.example/{name}/{n}.mp4,Clip {n},{1990 + n % 30},a;b\n"
            for n in range(rows)
        )
    return path


def _ingested(settings: Settings, path: Path) -> _Run:
    env = {
        **os.environ,
        "VIDSEARCH_ENGINE__URL": settings.engine.url,
        "VIDSEARCH_BROKER__URL": settings.broker.url.get_secret_value(),
        "VIDSEARCH_INDEX__NAME": settings.index.name,
    }
    command = [sys.executable, "-m", "vidsearch.cli", "ingest", "--csv", str(path)]
    others, began = others_from_now(), time.perf_counter()
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    said = process.stderr.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"vidsearch ingest failed: {said[-1:]}")
    return _Run(
        seconds=time.perf_counter() - began,
        cpu=usage.ru_utime + usage.ru_stime,
        mebibytes=usage.ru_maxrss / 1024,
        said=said[-1],
        others=others(),
    )
