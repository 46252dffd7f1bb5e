"""What a test of real workers needs: an index, a queue, and workers that end with the test."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.integration.worker import Worker, until

from vidsearch.config import Settings
from vidsearch.engines import EngineKind
from vidsearch.index import create_videos_index
from vidsearch.registry import State, VideoRecord
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, register_video, run_sweep

__all__ = ["LEASE", "Stage", "running_stage"]

LEASE = 2.0


@dataclass
class Stage:
    """An index, a queue and workers of one test."""

    services: Services
    env: dict[str, str]
    folder: Path
    workers: list[Worker] = field(default_factory=list)

    @property
    def switches(self) -> Path:
        return self.folder / "switches"

    def worker(self, **env: str) -> Worker:
        worker = Worker(self.folder / f"worker-{len(self.workers)}", {**self.env, **env})
        self.workers.append(worker)
        return worker

    def register(self, id: str, path: Path | str, **fields: Any) -> VideoRecord:
        return register_video(id, uri=str(path), fields=fields, services=self.services)

    def record(self, id: str) -> VideoRecord:
        return self.services.registry.get(id)

    def until(self, id: str, *states: State, worker: Worker | None = None) -> VideoRecord:
        until(
            lambda: self.record(id).state in states,
            what=f"{id} is {' or '.join(states)}",
            worker=worker,
        )
        return self.record(id)

    def sweep_up(self, *ids: str) -> None:
        """Sweep until the videos are requeued, as soon as their leases or messages are over."""
        left = {*ids}

        def is_requeued() -> bool:
            left.difference_update(run_sweep(services=self.services).requeued)
            return not left

        until(is_requeued, what=f"{', '.join(ids)} requeued")

    @contextmanager
    def later(self, seconds: float) -> Iterator[Services]:
        """Services whose clock is ahead, so that nobody has to wait for the end of a lease."""
        with Services(self.services.settings) as ahead:
            vars(ahead)["clock"] = lambda: self.services.clock() + seconds
            yield ahead

    def document(self, id: str) -> dict[str, Any] | None:
        found = self.services.open_index().read(id)
        return None if found is None else found.source


class Node(Protocol):
    """A search node."""

    @property
    def url(self) -> str: ...

    @property
    def kind(self) -> EngineKind: ...


@contextmanager
def running_stage(
    node: Node,
    redis_url: str,
    index_name: str,
    folder: Path,
    *,
    more: Mapping[str, Mapping[str, Any]] | None = None,
) -> Iterator[Stage]:
    """A stage with an empty index; at the end its workers are killed.

    ``more`` are settings by their section, which go before those of all stages.
    """
    sections: dict[str, Any] = {
        "engine": {"url": node.url, "kind": node.kind},
        "broker": {"url": redis_url, "queue": f"q-{uuid.uuid4().hex[:8]}"},
        "index": {"name": index_name, "segment_seconds": 2},
        "ingest": {"lease_seconds": LEASE, "retry_seconds": 0.3, "max_attempts": 2},
    }
    for section, values in (more or {}).items():
        sections.setdefault(section, {}).update(values)
    env = {
        f"VIDSEARCH_{section}__{name}".upper(): (
            value if isinstance(value, str) else json.dumps(value)
        )
        for section, values in sections.items()
        for name, value in values.items()
    }
    with Services(Settings(**sections)) as services:
        stage = Stage(services, {**env, "TEST_SWITCHES": str(folder / "switches")}, folder)
        stage.switches.mkdir()
        create_videos_index(services.engine, services.settings.index, FakeEncoder().identity)
        yield stage
        for worker in stage.workers:
            worker.kill()
