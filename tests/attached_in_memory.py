"""An index of an application in memory, attached, and what reindexes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.reindexing_in_memory import Report, identity_of

from vidsearch.config import IndexSettings
from vidsearch.engines import Write
from vidsearch.index import attach_index
from vidsearch.registry import Notes, Registry
from vidsearch.reindex import Reindexer, RunStore, Step
from vidsearch.reindex.attached_documents import AttachedDocuments
from vidsearch.reindex.documents import ReindexedDocuments
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

__all__ = ["ALIASES", "NEW", "OLD", "OWN", "SETTINGS", "Shop"]

SETTINGS = IndexSettings(name="shop", replicas=0)
OLD, NEW = "shop-v1", "shop-v1-vidsearch"
OWN = {
    "number_of_shards": 1,
    "number_of_replicas": 0,
    "default_pipeline": "mine",
    "final_pipeline": "last",
    "creation_date": 1_700_000_000_000,
    "lifecycle.name": "old-go",
}
ALIASES = {"shop": {"is_write_index": True}, "few": {"filter": {"term": {"n": 1}}, "routing": "r"}}


@dataclass
class Shop:
    """An application's index with three documents, of which one has vectors."""

    engine: MemoryEngine = field(default_factory=MemoryEngine)
    steps: list[Step] = field(default_factory=list)
    problems: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        properties = {"url": {"type": "keyword"}, "title": {"type": "text"}}
        body = {"settings": {"index": OWN}, "mappings": {"properties": properties}}
        self.engine.create_index(OLD, {**body, "aliases": {"shop": {}, "few": ALIASES["few"]}})
        self.engine.bulk(OLD, [Write("index", id, {"title": id}, version=5) for id in "abc"])
        attach_index(self.engine, SETTINGS, FakeEncoder().identity, uri_field="url")

    def reindexer(self, **options: Any) -> Reindexer:
        options.setdefault("on_step", lambda run: self.steps.append(run.step))
        nothing: Any = None
        return Reindexer(
            self.engine,
            SETTINGS,
            registry=Registry(self.engine, index=SETTINGS.registry),
            runs=RunStore(Notes(self.engine, index=SETTINGS.operations)),
            documents=ReindexedDocuments(
                engine=self.engine,
                registry=nothing,
                fills=nothing,
                slices=nothing,
                request=nothing,
                send=nothing,
                checked=nothing,
            ),
            attached=AttachedDocuments(engine=self.engine, checked=self.checked),
            identity_of=identity_of,
            lease_seconds=0.3,
            **options,
        )

    def checked(
        self, *args: Any, pause: Callable[[float], object] = lambda seconds: None
    ) -> Report:
        pause(0.0)
        return Report(not self.problems, self.problems)

    def write(self, number: int) -> None:
        """What an application does through its alias: a change, a new one, a delete."""
        self.engine.put("shop", "a", {"title": f"a {number}"})
        self.engine.put("shop", f"new {number}", {"title": "new"})
        if number:
            self.engine.delete("shop", f"new {number - 1}")

    def titles(self, name: str = "shop") -> dict[str, tuple[str, int | None]]:
        return {one.id: (one.source["title"], one.version) for one in self.engine.scan(name)}

    def takes_writes(self, name: str) -> bool:
        return not self.engine.settings(name).get("blocks.write")

    def left(self) -> list[str]:
        return [name for name in (OLD, NEW) if self.engine.indices_of(name)]
