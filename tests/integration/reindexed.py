"""A small index that is reindexed while something is killed, and what must be left of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from tests.integration.reindex_traffic import fill_index
from tests.integration.stage import Node
from tests.services import call

from vidsearch.config import Settings
from vidsearch.index import create_videos_index
from vidsearch.registry import State
from vidsearch.reindex import Step
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, delete_video, reindexer, update_fields

__all__ = ["Reindexed", "small_index"]


class Reindexed:
    """A small index.

    Args:
        services: with the settings of the index.
        env: the same settings, for other processes.
        videos: their number.
    """

    def __init__(self, services: Services, env: dict[str, str], *, videos: int) -> None:
        self.services = services
        self.env = env
        self.videos = videos
        self.name = services.settings.index.name
        self.deleted: set[str] = set()

    def write(self) -> None:
        """What an application does between a kill and what follows it."""
        number = len(self.deleted) + 1
        update_fields("video-0", {"number": number}, services=self.services)
        delete_video(f"video-{number}", services=self.services)
        self.deleted.add(f"video-{number}")

    def check(self, step: Step, *, behind: str) -> None:
        """The run is over, and one index is left, with all that was written: nothing else."""
        engine, index = self.services.engine, self.services.settings.index
        run = reindexer(self.services).runs.all()[0]
        assert (run.step, run.owner) == (step, None)
        assert engine.indices_of(self.name) == (behind,)
        assert engine.aliases(behind).keys() == {self.name}
        assert "vidsearch_reindex" not in engine.mapping(behind)["_meta"]
        beside = [engine.indices_of(name) for name in (index.registry, index.operations)]
        assert self.indices() == {behind, *(name for names in beside for name in names)}
        engine.refresh(behind)
        found = self.documents(behind)
        assert found.keys() == {f"video-{each}" for each in range(self.videos)} - self.deleted
        assert engine.count(behind) == len(found)
        assert found["video-0"]["number"] == len(self.deleted)
        records = {record.id: record for record in self.services.registry.scan(*State)}
        assert {id for id, r in records.items() if r.state is State.DELETED} == self.deleted
        assert len(records) == self.videos

    def documents(self, index: str) -> dict[str, Any]:
        """By id."""
        return {document.id: document.source for document in self.services.engine.scan(index)}

    def indices(self) -> set[str]:
        """All that there are of it, hidden ones too."""
        names = f"{self.name}*,{self.services.settings.index.side_prefix}{self.name}*"
        path = f"/_cat/indices/{names}?format=json&h=index&expand_wildcards=all"
        return {row["index"] for row in call(self.services.settings.engine.url, "GET", path)}


@contextmanager
def small_index(node: Node, name: str, *, videos: int = 12) -> Iterator[Reindexed]:
    """A small index on a node."""
    env = {
        "VIDSEARCH_ENGINE__URL": node.url,
        "VIDSEARCH_ENGINE__KIND": node.kind,
        "VIDSEARCH_INDEX__NAME": name,
        "VIDSEARCH_INDEX__REPLICAS": "0",
    }
    settings = Settings(
        engine={"url": node.url, "kind": node.kind}, index={"name": name, "replicas": 0}
    )
    with (
        Services(settings, encoder=FakeEncoder()) as services,
        pytest.MonkeyPatch.context() as patch,
    ):
        # Between a kill and what follows it, nobody writes who would have to be waited for.
        patch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
        create_videos_index(services.engine, settings.index, FakeEncoder().identity)
        fill_index(services, videos)
        yield Reindexed(services, env, videos=videos)
