"""What ingestion survives, on real parts that are killed.

``make drill`` runs the long forms; the short ones run with the other tests. Both show tables.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.drills.backlog import Backlog, running_backlog
from tests.drills.drill import running_drill
from tests.drills.outcome import documents_of, lost_of, poison_untold, wrong_of
from tests.drills.report import Report
from tests.drills.scale import LONG, SHORT, Scale
from tests.drills.site import Site

from vidsearch_tasks import run_sweep

pytestmark = pytest.mark.parametrize(
    "scale",
    [
        pytest.param(SHORT, id="short", marks=pytest.mark.integration),
        pytest.param(LONG, id="long", marks=[pytest.mark.drill, pytest.mark.timeout(3000)]),
    ],
    scope="module",
)


@pytest.fixture(scope="module")
def backlog(
    site: Site, scale: Scale, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backlog]:
    """Videos that wait, and workers at work on them; for all tests that need no more."""
    folder = tmp_path_factory.mktemp("backlog")
    with running_backlog(site, f"test-{uuid.uuid4().hex[:12]}", folder, scale=scale) as backlog:
        yield backlog


def test_no_video_is_lost_doubled_or_wrong_whatever_is_killed(
    site: Site, index_name: str, tmp_path: Path, scale: Scale, report: Report
) -> None:
    began = time.monotonic()
    with running_drill(site, index_name, tmp_path, scale=scale, report=report) as drill:
        drill.register_poison()
        drill.feed(scale.backlog)
        report.row("videos that wait at the beginning", drill.left(), "")
        drill.fleet.until_ready()
        for fault in drill.faults():
            drill.feed_if_low()  # a fault that befalls nobody shows nothing
            fault()
        drill.work_off()
        drill.last_fault()
        over = time.monotonic()
        drill.until(lambda: drill.left() == 0, what="all are final")
        took = time.monotonic() - over
        report.row("last fault", 1, f"all final {took:.1f} s later, {scale.limit:g} s allowed")

        services = drill.stage.services
        documents = documents_of(services)
        lost, doubled = lost_of(drill), len(documents) - len({one.id for one in documents})
        wrong = wrong_of(drill, documents, tmp_path / "undisturbed")
        report.row("lost", len(lost), f"of {len(drill.healthy)} healthy videos")
        report.row("doubled", doubled, f"of {len(documents)} documents")
        report.row("other vectors than undisturbed", len(wrong), f"of {len(documents)} documents")
        report.row("attempts that the faults used up", drill.attempts_lost(), "")
        report.row("all", 1, f"{time.monotonic() - began:.0f} s")
        assert (lost, doubled, wrong) == ({}, 0, {}), drill.logs_of([*lost, *wrong])
        assert poison_untold(drill) == {}
        assert not any(run_sweep(services=services).counts().values()), "nothing is left to do"
        assert took <= scale.limit


def test_engine_that_was_away_finds_all_workers_busy_again_and_no_message_hoarded(
    backlog: Backlog, scale: Scale, report: Report
) -> None:
    held, most = backlog.lose_engine(scale.outage)
    took = backlog.until_busy()
    what = f"engine away for {scale.outage:g} s, {backlog.waiting()} videos waiting"
    report.row(what, 1, f"messages held: {most} by a worker of {Backlog.POOL}, {held} by all")
    report.row(
        "all processes at work again", 1, f"{took:.1f} s after it, {scale.busy_again:g} s allowed"
    )
    assert most <= Backlog.POOL
    assert held <= backlog.fleet.processes
    assert took <= scale.busy_again


def test_videos_of_killed_workers_go_on_before_a_backlog(
    backlog: Backlog, scale: Scale, report: Report
) -> None:
    killed = backlog.kill_workers()
    took = backlog.until_claimed_again(killed)
    what = f"all workers killed, {backlog.waiting()} videos waiting"
    seen = f"{len(killed)} videos at work again {took:.1f} s later, {scale.limit:g} s allowed"
    report.row(what, 1, seen)
    assert killed
    assert backlog.waiting() > scale.waiting / 2
    assert took <= scale.limit
