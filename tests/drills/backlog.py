"""Many videos that wait, and slow workers: for what is to be timed."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.drills.drill import settings_of
from tests.drills.fleet import Fleet
from tests.drills.scale import Scale
from tests.drills.site import Site
from tests.integration.stage import Stage, running_stage
from tests.integration.worker import until

from vidsearch.registry import State, VideoRecord
from vidsearch.testing.clips import solid, write_clip
from vidsearch_tasks import register_videos

__all__ = ["Backlog", "running_backlog"]

_WORKERS = 2
_PACE = 1.0
"""Seconds per video: longer than it takes to look at all of them."""


class Backlog:
    """Videos of bulk imports that wait, and workers at work on them."""

    POOL = Fleet.POOL

    def __init__(self, stage: Stage, site: Site, fleet: Fleet) -> None:
        self._stage, self._site, self.fleet = stage, site, fleet

    def waiting(self) -> int:
        """Number of messages that wait."""
        return self._site.redis.messages()

    def until_busy(self) -> float:
        """Wait until every pool process has begun to embed since now; the seconds that it took."""
        began, now = time.monotonic(), time.time()

        def busy() -> bool:
            marks = self._stage.switches.glob("busy-*")
            return sum(mark.stat().st_mtime > now for mark in marks) >= self.fleet.processes

        until(busy, what="all processes are at work", seconds=120)
        return time.monotonic() - began

    def lose_engine(self, seconds: float) -> tuple[int, int]:
        """SIGKILL to the engine, which comes back later.

        Returns:
            The greatest number of messages that all workers held meanwhile, and that one did.
        """
        self._site.node.kill()
        deadline, held, most = time.monotonic() + seconds, 0, 0
        inspect = self._stage.services.app.control.inspect(timeout=1.0)
        while time.monotonic() < deadline:
            held = max(held, self._site.redis.held())
            answers = [inspect.active() or {}, inspect.reserved() or {}]
            for name in {name for answer in answers for name in answer}:
                most = max(most, sum(len(answer.get(name, ())) for answer in answers))
        self._site.node.start()
        return held, most

    def kill_workers(self) -> list[VideoRecord]:
        """SIGKILL to all workers; the videos that they had. Others are started in their place."""
        self.fleet.kill_all()
        killed = list(self._stage.services.registry.scan(State.PROCESSING))
        self.fleet.tend()
        return killed

    def until_claimed_again(self, killed: list[VideoRecord]) -> float:
        """Wait until others are at work on some videos, or done; the seconds that it took."""
        began, owners = time.monotonic(), {one.id: one.owner for one in killed}

        def claimed() -> bool:
            now = self._stage.services.registry.find_many([*owners])
            return all(
                one.state is State.INDEXED or one.owner not in (None, owners[one.id])
                for one in now.values()
            )

        until(claimed, what="they go on", seconds=120)
        return time.monotonic() - began


@contextmanager
def running_backlog(
    site: Site, index_name: str, folder: Path, *, scale: Scale
) -> Iterator[Backlog]:
    """As many videos as the scale says, and workers that are at work. All is ended afterwards."""
    with site.redis.client() as client:
        client.flushall()  # what killed workers of an earlier drill hold
    more = settings_of(scale)
    # One clip for all of them, which every one of them is embedded for.
    more["embeddings"] = {"keep": False}
    more["ingest"]["slice_seconds"] = 0
    clip = write_clip(
        folder / "clip.mp4", [k / 5 for k in range(10)], picture=solid((0, 200, 0)), rate=5
    )
    with running_stage(site.node, site.redis.url, index_name, folder, more=more) as stage:
        env = {**stage.env, "TEST_PACE": str(_PACE)}
        fleet = Fleet(folder, env, count=_WORKERS, chance=random.Random(0))
        try:
            videos = ({"id": f"v{n}", "uri": str(clip)} for n in range(scale.waiting))
            register_videos(videos, services=stage.services)
            fleet.until_ready()
            backlog = Backlog(stage, site, fleet)
            backlog.until_busy()
            yield backlog
        finally:
            fleet.kill_all()
            fleet.stop()
