"""A process that reindexes is killed at every step: then resume finishes, or rollback undoes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.killed_reindex import LEASE, killed
from tests.integration.reindex_traffic import fill_index

from vidsearch.config import Settings
from vidsearch.errors import ReindexError
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.reindex import ReindexRun, Step
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, delete_video, reindexer, update_fields

pytestmark = pytest.mark.integration

_STEPS = ("writing_both", "copying", "catching_up", "verified", "swapped")
_BEGUN = ("begun:planned", *(f"begun:{step}" for step in _STEPS))
_UNDONE = tuple(f"undone:{step}" for step in _STEPS)
"""What the step needs is done, but not recorded: the alias is moved already, for instance."""


class Reindexed:
    """A small index, and processes that reindex it."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.name = services.settings.index.name

    def killed(self, when: str) -> ReindexRun:
        """The record after a process was killed at that moment."""
        return killed(self.services, when)

    def write(self, number: int) -> None:
        """What an application does between the kill and what follows it."""
        update_fields("video-1", {"number": number}, services=self.services)
        delete_video(f"video-{number}", services=self.services)

    def check(self, step: Step, *, behind: str, number: int) -> None:
        """One index is left, with all that was written."""
        engine = self.services.engine
        run = reindexer(self.services).runs.all()[0]
        assert (run.step, run.owner) == (step, None)
        assert engine.indices_of(self.name) == (behind,)
        assert engine.indices_of(f"{self.name}-write") == ()
        others = {run.source, run.target} - {behind}
        assert [name for name in others if engine.indices_of(name)] == []
        assert engine.indices_of(self.services.settings.index.fills) == ()
        assert "vidsearch_reindex" not in engine.mapping(behind)["_meta"]
        engine.refresh(behind)
        found = {document.id: document.source for document in engine.scan(behind)}
        gone = {f"video-{each}" for each in range(2, number + 1)}
        assert found.keys() == {f"video-{each}" for each in range(12)} - gone
        assert found["video-1"]["number"] == number


@pytest.fixture
def reindexed(elasticsearch_9: SearchNode, index_name: str) -> Iterator[Reindexed]:
    settings = Settings(
        engine={"url": elasticsearch_9.url, "kind": elasticsearch_9.kind},
        index={"name": index_name, "replicas": 0},
    )
    with Services(settings, encoder=FakeEncoder()) as services:
        create_videos_index(services.engine, settings.index, FakeEncoder().identity)
        fill_index(services, 12)
        yield Reindexed(services)


@pytest.mark.parametrize("moment", [_BEGUN[0], *_UNDONE])
def test_a_killed_run_is_resumed_to_its_end(reindexed: Reindexed, moment: str) -> None:
    run = reindexed.killed(moment)
    assert run.is_open
    reindexed.write(2)
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.SWAPPED
    reindexed.write(3)
    reindexer(reindexed.services).clean()
    reindexed.check(Step.DONE, behind=run.target, number=3)


@pytest.mark.parametrize("moment", [*_BEGUN, _UNDONE[-1]])
def test_a_killed_run_is_rolled_back(reindexed: Reindexed, moment: str) -> None:
    run = reindexed.killed(moment)
    reindexed.write(2)
    reindexer(reindexed.services, lease_seconds=LEASE).roll_back()
    reindexed.check(Step.ROLLED_BACK, behind=run.source, number=2)
    with pytest.raises(ReindexError, match="no reindex of"):
        reindexer(reindexed.services).resume()


@pytest.mark.parametrize("moment", ["begun:rolling_back", "undone:rolled_back"])
def test_a_killed_rollback_is_resumed_to_its_end(reindexed: Reindexed, moment: str) -> None:
    reindexed.killed("begun:swapped")
    run = reindexed.killed(moment)
    assert run.step is Step.ROLLING_BACK
    reindexed.write(2)
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.ROLLED_BACK
    reindexed.check(Step.ROLLED_BACK, behind=run.source, number=2)


def test_a_killed_clean_is_resumed_to_its_end(reindexed: Reindexed) -> None:
    run = reindexed.killed("undone:done")
    assert run.step is Step.SWAPPED
    reindexed.write(2)
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.DONE
    reindexed.check(Step.DONE, behind=run.target, number=2)
