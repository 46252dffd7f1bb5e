"""A drill: videos, workers, and the faults that befall them."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.drills.clips import Library, Poison
from tests.drills.disk import SmallDisk
from tests.drills.fleet import Fleet
from tests.drills.report import Report
from tests.drills.scale import Scale
from tests.drills.site import Site
from tests.http_stub import Asked, Reply, http_stub
from tests.integration.stage import Stage, running_stage
from tests.integration.worker import until

from vidsearch.registry import State
from vidsearch_tasks import register_videos

__all__ = ["Drill", "running_drill", "settings_of"]

FINAL = (State.INDEXED, State.FAILED, State.DEAD)
_WORKERS = 2
_GRACE = 10.0
"""Seconds from SIGTERM to SIGKILL, as of ``docker stop``."""
_AWAY = 3.0
"""Seconds for which Redis is gone."""
_SECONDS = 180.0
"""In which work must go on after a fault."""


class Drill:
    """Videos that are ingested while faults befall everything that ingests them.

    Args:
        stage: index, queue and settings.
        site: the servers.
        library: the clips.
        disk: for temporary copies.
        fleet: the workers.
        scale: how much of everything.
        report: told what happens.
    """

    def __init__(
        self,
        stage: Stage,
        site: Site,
        library: Library,
        disk: SmallDisk,
        fleet: Fleet,
        *,
        scale: Scale,
        report: Report,
    ) -> None:
        self.stage, self.site, self.fleet, self.scale = stage, site, fleet, scale
        self.library, self._disk, self._report = library, disk, report
        self._chance = random.Random(16)
        self._struck: Counter[str] = Counter()
        self.poison: dict[str, Poison] = library.poison(scale.deadly, scale.poison)
        self.healthy: set[str] = set()

    # What goes on meanwhile

    def feed(self, count: int) -> None:
        """Register some more videos."""
        videos = list(self.library.copies(count))
        self.healthy |= {video["id"] for video in videos}
        register_videos(videos, services=self.stage.services)

    def feed_if_low(self) -> None:
        """Register more where few are left to be worked on."""
        if self.left() < self.scale.backlog / 4:
            self.feed(self.scale.backlog // 4)

    def work_off(self) -> None:
        """Let everything be finished, and leave the workers with one video per process."""
        self.until(lambda: self.left() == 0, what="all are final", seconds=1800)
        while not self._all_left_at_work():
            self.feed(self.fleet.processes)
            self.until(
                lambda: self._all_left_at_work() or self.left() == 0, what="the last are at work"
            )

    def _all_left_at_work(self) -> bool:
        """Whether there are videos at work, and none that wait."""
        counts = self.stage.services.registry.counts()
        waiting = counts[State.REGISTERED] + counts[State.QUEUED]
        return waiting == 0 and counts[State.PROCESSING] > 0

    def attempts_lost(self) -> int:
        """Number of attempts at healthy videos beyond the first."""
        done = self.stage.services.registry.scan(State.INDEXED)
        return sum(one.attempts - 1 for one in done)

    def register_poison(self) -> None:
        """Register the videos that must not be indexed."""
        videos = [{"id": id, "uri": one.uri} for id, one in self.poison.items()]
        register_videos(videos, priority="interactive", services=self.stage.services)

    def final(self) -> int:
        """Number of videos with which nothing is to be done any more."""
        counts = self.stage.services.registry.counts()
        return sum(counts[state] for state in FINAL)

    def left(self) -> int:
        """Number of the other ones."""
        return len(self.healthy) + len(self.poison) - self.final()

    def pause(self, seconds: float) -> None:
        """Let the workers work, and start those anew that have ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.fleet.tend()
            time.sleep(0.05)

    def until(self, condition: Callable[[], bool], *, what: str, seconds: float = _SECONDS) -> None:
        """Wait, and start workers anew; a timeout shows the ends of their logs."""

        def tended() -> bool:
            self.fleet.tend()
            return condition()

        try:
            until(tended, what=what, seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.fleet.logs()}") from None

    def goes_on(self, what: str) -> str:
        """Wait until a video is finished; how long that took, in words."""
        began, before = time.monotonic(), self.final()
        self.until(lambda: self.final() > before, what=f"work goes on after {what}")
        return f"the next video was finished after {time.monotonic() - began:.1f} s"

    # Faults

    def faults(self) -> Iterator[Callable[[], None]]:
        """All of them, in an order that mixes them."""
        strikes = [kind for kind, times in self.scale.strikes for _ in range(times)]
        self._chance.shuffle(strikes)
        others: list[Callable[[], None]] = [
            *[self.flush] * self.scale.flushes,
            self.lose_redis,
            self.fill_disk,
            *[self.storm] * self.scale.storms,
            self.lose_engine,
        ]
        share = -(-len(strikes) // len(others))
        for place, fault in enumerate(others):
            for kind in strikes[place * share : (place + 1) * share]:
                yield partial(self.strike, kind)
            yield fault

    def strike(self, kind: str) -> None:
        """SIGKILL to one process while there is work."""
        self.until(lambda: self.fleet.strike(kind), what=f"a process to kill: {kind}")
        self._struck[kind] += 1
        self.pause(self._chance.uniform(0.2, 1.0))

    def flush(self) -> None:
        """FLUSHALL: all messages are lost."""
        lost = self.site.redis.messages()
        with self.site.redis.client() as client:
            client.flushall()
        began = time.monotonic()
        enough = min(lost, self.left()) / 2
        self.until(lambda: self.site.redis.messages() >= enough, what="messages are sent again")
        again = time.monotonic() - began
        self._report.row("FLUSHALL", 1, f"{lost} messages lost, sent again after {again:.1f} s")

    def lose_redis(self) -> None:
        """SIGKILL to Redis, which keeps nothing on disk."""
        lost = self.site.redis.messages()
        self.site.redis.kill()
        self.pause(_AWAY)
        self.site.redis.start()
        seen = f"{lost} messages lost; {self.goes_on('the loss of Redis')}"
        self._report.row(f"Redis SIGKILL, back after {_AWAY:.0f} s", 1, seen)

    def fill_disk(self) -> None:
        """No room for copies of remote videos."""
        what = f"temporary disk full for {self.scale.full:.0f} s"
        if self._disk.missing:
            self._report.row(what, 0, f"skipped: {self._disk.missing}")
            return
        paused = self._paused_by_full_disk()
        self.pause(self.scale.full)
        self._disk.free()
        seen = f"{paused} workers paused; {self.goes_on('the disk was full')}"
        self._report.row(what, 1, seen)

    def storm(self) -> None:
        """SIGTERM to everything, as at a deploy."""
        began = time.monotonic()
        killed = self.fleet.terminate_all(grace=_GRACE)
        ended = f"all ended in {time.monotonic() - began:.1f} s, {killed} by SIGKILL"
        self._report.row("SIGTERM to all processes", 1, f"{ended}; {self.goes_on('SIGTERM')}")

    def lose_engine(self) -> None:
        """SIGSTOP to the engine, and later SIGKILL."""
        self.site.node.freeze()
        self.pause(self.scale.frozen)
        self.site.node.kill()
        self.site.node.start()
        what = f"engine SIGSTOP for {self.scale.frozen:.0f} s, then SIGKILL"
        self._report.row(what, 1, self.goes_on("the loss of the engine"))

    def last_fault(self) -> None:
        """SIGKILL to everything, with the last videos at work; over when the workers are back."""
        for kind, times in self._struck.items():
            self._report.row(f"SIGKILL: {kind}", times, "")
        self.fleet.kill_all()
        self.fleet.until_ready()

    def logs_of(self, ids: Iterable[str]) -> str:
        """What all workers wrote about some videos."""
        lines = [
            f"{log.parent.name}: {line}"
            for log in sorted(self.stage.folder.glob("worker-*/worker.log"))
            for line in log.read_text(errors="replace").splitlines()
            if any(f"{id}'" in line for id in ids)
        ]
        return "\n".join(lines[-100:])

    def _paused_by_full_disk(self) -> int:
        """Fill the disk until workers pause for it; how many."""
        pauses, error = self.stage.services.operations.pauses, "TemporaryFolderError"

        def paused() -> bool:
            # A copy that was made before leaves room for others when it goes, and all videos that
            # were left may have had one.
            self._disk.fill()
            self.feed_if_low()
            return any(one.error.type == error for one in pauses())

        self.until(paused, what=f"a {error}")
        return sum(one.error.type == error for one in pauses())


def settings_of(scale: Scale, folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """The settings of a drill's workers."""
    sources: dict[str, Any] = {"private_hosts": ["127.0.0.1"]}
    return {
        "index": {"replicas": 0},
        "ingest": {
            "lease_seconds": scale.lease,
            "sweep_seconds": scale.sweep,
            "slice_seconds": 10,
            "max_attempts": scale.attempts,
        },
        "sources": {**sources, "folder": str(folder)} if folder else sources,
    }


@contextmanager
def running_drill(
    site: Site, index_name: str, folder: Path, *, scale: Scale, report: Report
) -> Iterator[Drill]:
    """A drill whose workers have been started. All of it is ended and removed afterwards."""
    videos = folder / "videos"

    def answer(asked: Asked) -> Reply:
        path = videos / asked.path.rpartition("/")[2]
        if not path.is_file():
            return Reply(404)
        return Reply(body=path.read_bytes(), headers={"content-type": "video/mp4"})

    disk = SmallDisk(folder / "disk")
    try:
        more = settings_of(scale, disk.folder)
        with (
            http_stub(answer) as server,
            running_stage(site.node, site.redis.url, index_name, folder, more=more) as stage,
        ):
            library = Library(videos, server.url, originals=scale.originals, films=scale.films)
            env = {**stage.env, "TEST_PACE": str(scale.pace)}
            fleet = Fleet(folder, env, count=_WORKERS, chance=random.Random(13))
            try:
                yield Drill(*(stage, site, library, disk, fleet), scale=scale, report=report)
            finally:
                left = fleet.stop()
            assert left == 0, f"{left} processes outlived their worker"
    finally:
        disk.unmount()
