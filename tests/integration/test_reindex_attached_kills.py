"""A process that reindexes an index of the user is killed: resume finishes, rollback undoes. One
that is interrupted ends when that is whole. One that is only stopped, and goes on too late, changes
nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from tests.integration.killed_reindex import LEASE, killed, stopped
from tests.integration.writing_application import body

from vidsearch.config import Settings
from vidsearch.engines import Write
from vidsearch.errors import BackendAccessDeniedError
from vidsearch.index import attach_index
from vidsearch.local import SearchNode
from vidsearch.reindex import ReindexRun, Step
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, reindexer

pytestmark = pytest.mark.integration

_RESUMED = ("undone:copying", "undone:catching_up", "undone:moved", "undone:swapped")
_UNDONE = ("begun:planned", "undone:verified", "undone:moved", "undone:swapped")
"""``undone:STEP``: what the step needs is done, but not recorded. ``moved``: in the midst of the
swap, while writes are refused. The unit tests go through every change of the way."""


class Shop:
    """An attached index with a dozen documents."""

    def __init__(self, services: Services) -> None:
        self.services, self.engine = services, services.engine
        self.name = services.settings.index.name
        self.engine.create_index(f"{self.name}-v1", body(alias=self.name))
        writes = [Write("index", f"{number}", {"n": 0}) for number in range(12)]
        self.engine.bulk(self.name, writes)
        attach_index(self.engine, services.settings.index, FakeEncoder().identity, uri_field="url")
        self.expected = {f"{number}": 0 for number in range(12)}

    def write(self, number: int) -> None:
        """What the application does: a change, a new document, a delete."""
        self.engine.put(self.name, "1", {"n": number})
        self.engine.put(self.name, f"new {number}", {"n": number})
        self.engine.delete(self.name, f"{number}")
        self.expected |= {"1": number, f"new {number}": number}
        del self.expected[f"{number}"]

    def check(self, run: ReindexRun, step: Step, *, behind: str) -> None:
        """One index is left, with all that was written, and it takes writes."""
        assert (run.step, run.owner) == (step, None)
        assert self.engine.indices_of(self.name) == (behind,)
        (other,) = {run.source, run.target} - {behind}
        assert self.engine.indices_of(other) == ()
        assert "vidsearch_reindex" not in self.engine.mapping(behind)["_meta"]
        self.engine.refresh(behind)
        assert {one.id: one.source["n"] for one in self.engine.scan(behind)} == self.expected
        self.write(9)


@pytest.fixture
def shop(
    elasticsearch_9: SearchNode, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Shop]:
    # Nobody writes while a run is taken up, who would have to be waited for.
    monkeypatch.setattr("vidsearch.reindex.target._WRITERS_SECONDS", 0.0)
    settings = Settings(
        engine={"url": elasticsearch_9.url, "kind": elasticsearch_9.kind},
        index={"name": index_name, "replicas": 0},
    )
    with Services(settings, encoder=FakeEncoder()) as services:
        yield Shop(services)


def write_unless_moving(shop: Shop, moment: str) -> None:
    if moment == "undone:moved":
        with pytest.raises(BackendAccessDeniedError, match="block"):
            shop.write(2)
    else:
        shop.write(2)


@pytest.mark.parametrize("moment", _RESUMED)
def test_a_killed_run_is_resumed_to_its_end(shop: Shop, moment: str) -> None:
    assert killed(shop.services, moment).is_open
    write_unless_moving(shop, moment)
    made = reindexer(shop.services, lease_seconds=LEASE)
    assert made.resume().step is Step.SWAPPED
    shop.write(3)
    run = made.clean()
    shop.check(run, Step.DONE, behind=run.target)


@pytest.mark.parametrize("moment", _UNDONE)
def test_a_killed_run_is_rolled_back(shop: Shop, moment: str) -> None:
    killed(shop.services, moment)
    write_unless_moving(shop, moment)
    run = reindexer(shop.services, lease_seconds=LEASE).roll_back()
    shop.check(run, Step.ROLLED_BACK, behind=run.source)


def test_an_interrupt_in_the_midst_of_a_swap_waits_for_its_end(shop: Shop) -> None:
    run = killed(shop.services, "undone:moved", by=signal.SIGINT)
    assert (run.owner, shop.engine.indices_of(shop.name)) == (None, (run.target,))
    shop.write(2)
    made = reindexer(shop.services, lease_seconds=LEASE)
    assert made.resume().step is Step.SWAPPED
    shop.check(made.roll_back(), Step.ROLLED_BACK, behind=run.source)


@pytest.mark.parametrize("moment", ["begun:rolling_back", "undone:rolled_back"])
def test_a_killed_rollback_is_resumed_to_its_end(shop: Shop, moment: str) -> None:
    killed(shop.services, "begun:swapped")
    shop.write(2)
    assert killed(shop.services, moment).step is Step.ROLLING_BACK
    shop.write(3)
    run = reindexer(shop.services, lease_seconds=LEASE).resume()
    shop.check(run, Step.ROLLED_BACK, behind=run.source)


def test_a_process_that_goes_on_after_another_one_has_swapped_writes_nothing(shop: Shop) -> None:
    made = reindexer(shop.services, lease_seconds=LEASE)
    with stopped(shop.services) as process:
        assert made.resume().step is Step.SWAPPED
        shop.write(3)  # document 1 as well, which that process is about to write
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=200)
    assert process.returncode == 1
    assert b"ReindexTakenOverError" in errors
    run = made.clean()
    shop.check(run, Step.DONE, behind=run.target)
