"""A search node is killed at every step of a reindex, and comes back with its data."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.integration.killed_reindex import BEGUN, LEASE, UNDONE, Moment, go_to
from tests.integration.reindexed import Reindexed, small_index
from tests.killable import KillableNode, killable
from tests.services import RunningServices, call

from vidsearch.engines import BulkResult, Engine, Write
from vidsearch.engines.steps import Steps
from vidsearch.errors import BackendUnavailableError
from vidsearch.reindex import Changes, ReindexRun, RunStore, Step
from vidsearch_tasks import reindexer

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]


@pytest.fixture(
    scope="module",
    params=["es-9.5.3", pytest.param("os-2.19.1", marks=pytest.mark.drill)],
)
def node(
    request: pytest.FixtureRequest,
    services: RunningServices,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[KillableNode]:
    yield from killable(services, tmp_path_factory.mktemp("node"), request.param)


@pytest.fixture
def reindexed(node: KillableNode, index_name: str) -> Iterator[Reindexed]:
    with small_index(node, index_name) as reindexed:
        yield reindexed


class Outages:
    """Has the node killed at moments of a run."""

    def __init__(
        self, reindexed: Reindexed, node: KillableNode, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self._reindexed, self._node, self._patch = reindexed, node, monkeypatch

    def at(self, when: str) -> ReindexRun:
        """Reindex until the node is killed at that moment; the record when it is there again."""
        services = self._reindexed.services
        moment = Moment(when, self._node.kill)
        with self._patch.context() as patch:
            patch.setattr(RunStore, "change", moment.recording(RunStore.change))
            running = reindexer(
                services, lease_seconds=LEASE, outage_seconds=0.0, on_step=moment.begun
            )
            with pytest.raises(BackendUnavailableError):
                go_to(moment.step, running)
        self._node.start()
        self._reindexed.write()
        return running.runs.all()[0]


@pytest.fixture
def outages(reindexed: Reindexed, node: KillableNode, monkeypatch: pytest.MonkeyPatch) -> Outages:
    return Outages(reindexed, node, monkeypatch)


def test_a_run_whose_engine_is_killed_at_every_step_is_resumed_to_its_end(
    reindexed: Reindexed, outages: Outages
) -> None:
    before = "planned"
    for moment in UNDONE:
        run = outages.at(moment)
        assert run.step == before
        before = moment.partition(":")[2]
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.SWAPPED
    reindexer(reindexed.services).clean()
    reindexed.check(Step.DONE, behind=run.target)


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(BEGUN[-1:], id="last"),
        pytest.param(BEGUN[1:-1], id="others", marks=pytest.mark.drill),
    ],
)
def test_a_run_whose_engine_is_killed_is_rolled_back(
    reindexed: Reindexed, outages: Outages, moments: tuple[str, ...]
) -> None:
    for moment in moments:
        run = outages.at(moment)
        assert run.step == moment.partition(":")[2]
        reindexer(reindexed.services, lease_seconds=LEASE).roll_back()
        reindexed.check(Step.ROLLED_BACK, behind=run.source)


class KilledWithinBulk:
    """Has the node killed as soon as it has written some documents of a bulk, and not all."""

    def __init__(self, engine: Engine, node: KillableNode, target: str) -> None:
        self._bulk, self._node, self._target = engine.calls.bulk, node, target
        self.written: list[int] = []
        """Documents of the bulk that were written at the kill."""

    def __call__(self, index: str, writes: Sequence[Write], **options: Any) -> Steps[BulkResult]:
        steps = self._bulk(index, writes, **options)
        if index != self._target or self.written:
            return (yield from steps)
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(self._count(), len(writes), over))
        watcher.start()
        try:
            return (yield from steps)
        finally:
            over.set()
            watcher.join()

    def _watch(self, before: int, number: int, over: threading.Event) -> None:
        while not over.is_set():
            written = self._count() - before
            if 0 < written < number:
                self._node.kill()
                self.written.append(written)
                return

    def _count(self) -> int:
        stats = call(self._node.url, "GET", f"/{self._target}/_stats/indexing")
        return int(stats["_all"]["primaries"]["indexing"]["index_total"])


def test_a_copy_whose_engine_is_killed_within_a_bulk_loses_and_doubles_nothing(
    node: KillableNode, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with small_index(node, index_name, videos=1500) as reindexed:
        engine = reindexed.services.engine
        before = reindexed.documents(index_name)
        within = KilledWithinBulk(engine, node, f"{index_name}-000002")
        monkeypatch.setattr(engine.calls, "bulk", within)
        running = reindexer(reindexed.services, lease_seconds=LEASE, outage_seconds=0.0)
        with pytest.raises(BackendUnavailableError):
            running.start(Changes(quantization="flat"))
        assert within.written
        node.start()
        assert running.runs.all()[0].step is Step.COPYING
        reindexed.write()
        assert running.resume().step is Step.SWAPPED
        run = running.clean()
        reindexed.check(Step.DONE, behind=run.target)
        after = reindexed.documents(index_name)
        changed = {"video-0", *reindexed.deleted}
        assert all(after[id] == source for id, source in before.items() if id not in changed)


@pytest.mark.drill
@pytest.mark.parametrize("moment", ["begun:rolling_back", "undone:rolled_back"])
def test_a_rollback_whose_engine_is_killed_is_resumed_to_its_end(
    reindexed: Reindexed, outages: Outages, moment: str
) -> None:
    go_to("swapped", reindexer(reindexed.services))
    run = outages.at(moment)
    assert run.step is Step.ROLLING_BACK
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.ROLLED_BACK
    reindexed.check(Step.ROLLED_BACK, behind=run.source)
