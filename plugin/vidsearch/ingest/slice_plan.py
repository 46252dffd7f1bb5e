"""Which videos are embedded in slices, and how one is handed over to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vidsearch.embeddings import FrameEmbedder, KeptVideo
from vidsearch.errors import SliceFailedError
from vidsearch.ingest.attempt import Attempt, Outcome
from vidsearch.ingest.content import VideoContent
from vidsearch.ingest.fill_board import Fill
from vidsearch.ingest.slices import Slice, SliceBoard, count_slices
from vidsearch.media import Candidates, ThumbnailStore
from vidsearch.media.frames import VideoInfo
from vidsearch.registry.registry import Registry

__all__ = ["SlicePlan", "SlicePlanner"]

_log = logging.getLogger(__name__)
_LEASE_SECONDS = 600.0
"""After which the sweep looks after a video whose slices have its lease."""


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """How one video is embedded."""

    slices: Sequence[Slice] = ()
    """None where it is embedded in one go, or was already."""
    missing: Sequence[Slice] = ()
    """Those that are not in the store of embeddings yet."""
    info: VideoInfo | None = None
    """What its header says, where that was read for the plan."""


class SlicePlanner:
    """Plans long videos in slices.

    Args:
        registry: that has the lease which is handed over: of the videos, or of fills.
        board: takes the slices.
        embedder: makes their vectors.
        seconds: length of a slice; 0 makes none.
        thumbnails: where the slices leave candidates for thumbnails; ``None`` where they do not.
        fill: the document in another index that is to be made; ``None``: that of the video.
    """

    def __init__(
        self,
        registry: Registry,
        board: SliceBoard,
        *,
        embedder: FrameEmbedder,
        seconds: float,
        thumbnails: ThumbnailStore | None,
        fill: Fill | None = None,
    ) -> None:
        self._registry = registry
        self._board = board
        self._reader = embedder.reader
        self._model = embedder.model
        self._seconds = seconds
        self._thumbnails = thumbnails
        self._fill = fill

    def plan(
        self, attempt: Attempt, content: VideoContent, kept: KeptVideo, file: Callable[[], Path]
    ) -> SlicePlan:
        """How a video is embedded. Where no slice is missing, ``kept`` has its frames; slices may
        be of the length that was set before."""
        fill = self._fill
        id = fill.video_id if fill else attempt.record.id
        if kept.find_frames(self._model) or not self._seconds:
            if kept.joined is None:
                return SlicePlan()
            count, seconds = kept.joined
            return SlicePlan(
                Slice.all_of(id, content.hash, count=count, seconds=seconds, fill=fill)
            )
        info: VideoInfo | None = None

        def make() -> int:
            nonlocal info
            attempt.enter("fetch")
            path = file()
            attempt.enter("decode")
            info = self._reader.probe(path)
            slices = count_slices(info.duration, seconds=self._seconds)
            return slices if slices > 1 and self._reader.can_seek(path) else 1

        seconds = self._seconds
        count = kept.number_of_slices(seconds, reader=self._reader.name, make=make)
        if count == 1:
            return SlicePlan(info=info)
        slices = Slice.all_of(id, content.hash, count=count, seconds=seconds, fill=fill)
        missing = kept.missing_slices(self._model, count=count, seconds=seconds)
        return SlicePlan(slices, [slices[number] for number in missing], info)

    def hand_over(self, attempt: Attempt, content: VideoContent, plan: SlicePlan) -> Outcome:
        """Let other workers embed the missing slices; whoever ends the last one takes over."""
        slices, missing = plan.slices, plan.missing
        try:
            waiting = self._board.add(
                missing, uri=attempt.record.uri, priority=attempt.record.priority
            )
        except SliceFailedError:
            self._board.clear(slices)  # a retry begins anew, with what is in the store
            raise
        known = content.to_record()
        lengths = {"count": slices[0].count, "seconds": slices[0].seconds}
        record = self._registry.hand_over(
            attempt.keeper.finish(),
            lease_seconds=_LEASE_SECONDS,
            content=known["content"],
            source={**known["source"], "slices": lengths},
        )
        _log.info(
            "video %r is embedded in %d slices, %d of which are in the store",
            slices[0].video_id,
            len(slices),
            len(slices) - len(missing),
        )
        return Outcome("sliced", record=record, slices=waiting)

    def collect_candidates(self, plan: SlicePlan, candidates: Candidates) -> bool:
        """Take the candidates for thumbnails that the slices left; whether all of them did."""
        if self._thumbnails is None or not plan.slices:
            return False
        return self._thumbnails.collect_candidates(self._names(plan), candidates)

    def clear(self, plan: SlicePlan) -> None:
        """Remove what the slices of a video left behind."""
        if plan.slices:
            self._board.clear(plan.slices)
            if self._thumbnails is not None:
                self._thumbnails.drop_candidates(self._names(plan))

    def _names(self, plan: SlicePlan) -> list[str]:
        return [one.candidates_name(self._model) for one in plan.slices]
