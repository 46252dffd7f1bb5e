"""A reindex in memory: whole documents are copied, and nothing else is done with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Json
from vidsearch.index import create_videos_index
from vidsearch.registry import Notes, Registry
from vidsearch.reindex import Reindexer, ReindexRun, RunStore, Step
from vidsearch.reindex.attached_documents import AttachedDocuments
from vidsearch.reindex.steps import Held
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

__all__ = [
    "NEW",
    "OLD",
    "SETTINGS",
    "WRITE",
    "Copying",
    "Report",
    "Stage",
    "identity_of",
    "stage_of_three",
]

SETTINGS = IndexSettings(name="videos", replicas=0)
OLD, NEW, WRITE = "videos-000001", "videos-000002", "videos-write"


@dataclass
class Report:
    passed: bool = True
    problems: tuple[str, ...] = ()

    def to_json(self) -> Json:
        return {
            "passed": self.passed,
            "problems": list(self.problems),
            "recall": {},
            "comparisons": [],
        }


@dataclass
class Copying:
    """Copies whole documents; changes are those that differ."""

    engine: MemoryEngine
    problems: tuple[str, ...] = ()
    fills: list[bool] = field(default_factory=list)
    error: Exception | None = None
    retried: list[str] = field(default_factory=list)
    reopened: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    given_up: tuple[str, ...] = ()

    def total(self, run: ReindexRun) -> int:
        return self.engine.count(run.source)

    def fill(self, run: ReindexRun, *, held: Held, told: Callable[[int], None]) -> bool:
        if self.error is not None:
            raise self.error
        if self.fills and not self.fills.pop():
            return False
        self._mirror(run.source, run.target)
        told(self.engine.count(run.target))
        return True

    def catch_up(self, run: ReindexRun, *, held: Held, back: bool = False) -> bool:
        ends = (run.target, run.source) if back else (run.source, run.target)
        self._mirror(*ends)
        return True

    def tried_again(self, run: ReindexRun) -> str | None:
        return None

    def waits_for(self, run: ReindexRun) -> str | None:
        return None

    def retry(self, run: ReindexRun) -> None:
        self.retried.append(run.id)

    def end(self, run: ReindexRun) -> None:
        self.ended.append(run.id)

    def lost(self, run: ReindexRun) -> tuple[str, ...]:
        return self.given_up

    def reopen(self, run: ReindexRun) -> None:
        self.reopened.append(run.id)

    def check(self, run: ReindexRun, *, held: Held) -> Report:
        return Report(not self.problems, self.problems)

    def checked(
        self, *args: Any, pause: Callable[[float], object] = lambda seconds: None
    ) -> Report:
        pause(0.0)
        return Report(not self.problems, self.problems)

    def _mirror(self, source: str, target: str) -> None:
        had = {found.id: found.source for found in self.engine.scan(source)}
        there = {found.id: found.source for found in self.engine.scan(target)}
        for id in there.keys() - had.keys():
            self.engine.delete(target, id)
        changed = [id for id, value in had.items() if there.get(id) != value]
        for id in changed:
            self.engine.put(target, id, had[id])


@dataclass
class Stage:
    engine: MemoryEngine
    documents: Copying
    steps: list[Step] = field(default_factory=list)

    def reindexer(self, **options: Any) -> Reindexer:
        options.setdefault("on_step", lambda run: self.steps.append(run.step))
        options.setdefault("notice_seconds", 0.0)
        options.setdefault("outage_seconds", 0.0)
        return Reindexer(
            self.engine,
            SETTINGS,
            registry=Registry(self.engine, index=SETTINGS.registry),
            runs=RunStore(Notes(self.engine, index="vidsearch-videos-operations")),
            documents=self.documents,
            attached=AttachedDocuments(engine=self.engine, checked=self.documents.checked),
            identity_of=identity_of,
            lease_seconds=0.3,
            **options,
        )

    def behind(self, alias: str) -> tuple[str, ...]:
        return self.engine.indices_of(alias)

    def left(self) -> list[str]:
        return [name for name in (OLD, NEW, "videos-000003") if self.engine.indices_of(name)]


def identity_of(name: str) -> ModelIdentity:
    return FakeEncoder(revision=name).identity


def stage_of_three() -> Stage:
    """A stage with three documents in its index."""
    engine = MemoryEngine()
    create_videos_index(engine, SETTINGS, FakeEncoder().identity)
    for id in "abc":
        engine.put(OLD, id, {"title": f"title of {id}"})
    return Stage(engine, Copying(engine))
