"""What is done with the documents of a run: copied or made by workers, caught up with, checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vidsearch.batches import in_batches
from vidsearch.engines import Engine
from vidsearch.index.targets import open_concrete
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest import FillBoard
from vidsearch.ingest.fill_board import Fill
from vidsearch.registry import Registry, State
from vidsearch.reindex.copy import copy_videos
from vidsearch.reindex.registry_changes import MARGIN_SECONDS, catch_up
from vidsearch.reindex.run import ReindexRun
from vidsearch.reindex.steps import Report
from vidsearch_mappings.registry import IN_PROGRESS, VideoRecord

__all__ = ["ReindexedDocuments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReindexedDocuments:
    """Implements :class:`~vidsearch.reindex.steps.Documents`."""

    engine: Engine
    registry: Registry
    fills: FillBoard
    """The documents that workers are to make."""
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
        return self.registry.counts()[State.INDEXED]

    def fill(self, run: ReindexRun, *, told: Callable[[int], None]) -> bool:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        if run.way == "copy":
            copy_videos(
                self.engine,
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
            asked += self.request(records, target)
            told(self.fills.counts()[State.INDEXED])

        ends = self._open(run.source, run), self._open(run.target, run)
        catch_up(self.registry, *ends, since=MARGIN_SECONDS, fill=ask)
        return not asked

    def catch_up(self, run: ReindexRun, *, back: bool = False) -> bool:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        source, target = self._open(run.source, run), self._open(run.target, run)
        if back:
            source, target = target, source
        catch_up(self.registry, source, target, since=run.started_at, fill=self.request)
        return not self._wait()

    def check(self, run: ReindexRun) -> Report:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        source, target = self._open(run.source, run), self._open(run.target, run)
        return self.checked(run, source, target, [*self._given_up(run)])

    def retry(self, run: ReindexRun) -> None:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        if run.way != "copy" and (ids := self.fills.retry()):
            self.send(ids)

    def end(self, run: ReindexRun) -> None:
        """See :class:`~vidsearch.reindex.steps.Documents`."""
        self.fills.drop()

    def _given_up(self, run: ReindexRun) -> Iterator[str]:
        """What workers could not make, of videos that are as they were then."""
        lost: list[VideoRecord] = []
        for batch in in_batches(self.fills.given_up()):
            fills = [(Fill.of_entry(entry), entry) for entry in batch]
            records = self.registry.find_many([fill.video_id for fill, _ in fills])
            lost += [
                entry
                for fill, entry in fills
                if (record := records.get(fill.video_id)) is not None
                and fill.is_wanted(record)
                and fill.target == run.target
            ]
        if lost:
            yield (
                f"{len(lost)} videos could not be made, such as "
                f"{Fill.of_entry(lost[0]).video_id!r}: {lost[0].error}. Mend that, or delete them"
            )

    def _wait(self, told: Callable[[int], None] = lambda done: None) -> bool:
        """Whether workers are still to make documents."""
        counts = self.fills.counts()
        told(counts[State.INDEXED])
        return any(counts[state] for state in IN_PROGRESS)

    def _open(self, name: str, run: ReindexRun) -> VideosIndex:
        return open_concrete(self.engine, name, alias=run.alias)
