"""What is done with the documents of a run: copied or made by workers, caught up with, checked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vidsearch.batches import in_batches
from vidsearch.engines import Engine
from vidsearch.engines.guarded import guarded
from vidsearch.index.targets import open_concrete
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest import FillBoard, SliceBoard
from vidsearch.ingest.fill_board import Fill
from vidsearch.registry import ErrorRecord, Registry, State
from vidsearch.reindex.copy import copy_videos
from vidsearch.reindex.presence import number_of
from vidsearch.reindex.registry_changes import MARGIN_SECONDS, catch_up
from vidsearch.reindex.run import ReindexRun
from vidsearch.reindex.steps import Held, Report
from vidsearch.reindex.unmade import find_unmade, one_of
from vidsearch_mappings.registry import IN_PROGRESS, VideoRecord

__all__ = ["ReindexedDocuments"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReindexedDocuments:
    """Implements :class:`~vidsearch.reindex.steps.Documents`."""

    engine: Engine
    registry: Registry
    fills: FillBoard
    """The documents that workers are to make."""
    slices: SliceBoard
    """Where long videos are put in slices for them."""
    request: Callable[[Sequence[VideoRecord], VideosIndex], int]
    """Asks workers for the documents of some videos; returns how many were not asked for yet."""
    send: Callable[[Sequence[str]], None]
    """Sends messages for entries of the board."""
    checked: Callable[[ReindexRun, VideosIndex, VideosIndex, Sequence[str]], Report]
    """The check before the swap: of the run, its source and its target; with what is known to be
    wrong already."""

    def total(self, run: ReindexRun) -> int:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        if run.way == "copy":
            return self.engine.count(run.source)
        return self.registry.counts()[State.INDEXED] + self.registry.count_indexed_before()

    def fill(self, run: ReindexRun, *, held: Held, told: Callable[[int], None]) -> bool:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        if run.way == "copy":
            copy_videos(
                guarded(self.engine, held),
                self.registry,
                run.source,
                run.target,
                throttle=run.throttle,
                progress=lambda done, total: told(done),
            )
            return True
        if self._wait(told):
            return False
        asked = 0

        def ask(records: Sequence[VideoRecord], target: VideosIndex) -> None:
            nonlocal asked
            held()
            asked += self.request(records, target)
            told(self.fills.counts()[State.INDEXED])

        ends = self._both(run, held)
        catch_up(self.registry, *ends, since=MARGIN_SECONDS, fill=ask)
        return not asked

    def catch_up(self, run: ReindexRun, *, held: Held, back: bool = False) -> bool:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        source, target = self._both(run, held)
        if back:
            source, target = target, source

        def ask(records: Sequence[VideoRecord], target: VideosIndex) -> None:
            held()
            self.request(records, target)

        catch_up(self.registry, source, target, since=run.started_at, fill=ask)
        return not self._wait()

    def tried_again(self, run: ReindexRun) -> str | None:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        number, entry = self.fills.retried()
        if entry is None:
            return None
        one = {Fill.of_entry(entry).video_id: entry.error}
        return f"{number_of('document', number)} that workers try again{one_of(one)}"

    def waits_for(self, run: ReindexRun) -> str | None:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        if run.way == "copy":
            return None
        return find_unmade(self.registry, *self._both(run)).waits_for

    def check(self, run: ReindexRun, *, held: Held) -> Report:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        source, target = self._both(run, held)
        return self.checked(run, source, target, self.lost(run))

    def lost(self, run: ReindexRun) -> tuple[str, ...]:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        if run.way == "copy":
            return ()
        dead = find_unmade(self.registry, *self._both(run)).dead
        # Of one that is dead as well, workers may refuse the document until it is embedded again.
        lost = {id: error for id, error in self._given_up(run.target).items() if id not in dead}
        said: list[str] = []
        if lost:
            said.append(
                f"{number_of('video', len(lost))} could not be made{one_of(lost)}. Mend that, or "
                "delete what cannot be mended"
            )
        if dead:
            said.append(
                f"searches find {number_of('dead video', len(dead))} that {run.target!r} lacks"
                f"{one_of(dead)}. Mend that and run `vidsearch videos retry`, or delete what "
                "cannot be mended"
            )
        return tuple(said)

    def reopen(self, run: ReindexRun) -> None:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        for id, error in (lost := self._given_up(run.source)).items():
            _log.warning("video %r is not in %r, and is ingested again: %s", id, run.source, error)
        self.registry.reopen_many(lost)
        self.registry.defer(lost)  # the next sweep sends their messages

    def retry(self, run: ReindexRun) -> None:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        if run.way != "copy" and (ids := self.fills.retry()):
            self.send(ids)

    def end(self, run: ReindexRun) -> None:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        self.fills.drop()
        self.slices.clear_fills()

    def _given_up(self, index: str) -> dict[str, ErrorRecord | None]:
        """Of videos that are as they were then, the ids of those whose document in an index workers
        could not make, and why."""
        lost: dict[str, ErrorRecord | None] = {}
        for batch in in_batches(self.fills.given_up()):
            fills = [(Fill.of_entry(entry), entry) for entry in batch]
            records = self.registry.find_many([fill.video_id for fill, _ in fills])
            lost |= {
                fill.video_id: entry.error
                for fill, entry in fills
                if (record := records.get(fill.video_id)) is not None
                and fill.is_wanted(record)
                and fill.target == index
            }
        return lost

    def _wait(self, told: Callable[[int], None] = lambda done: None) -> bool:
        """Whether workers are still to make documents."""
        counts = self.fills.counts()
        told(counts[State.INDEXED])
        return any(counts[state] for state in IN_PROGRESS)

    def _both(self, run: ReindexRun, held: Held = lambda: None) -> tuple[VideosIndex, VideosIndex]:
        """Source and target."""
        engine = guarded(self.engine, held)
        source, target = (
            open_concrete(engine, name, alias=run.alias) for name in (run.source, run.target)
        )
        return source, target
