"""What a worker does to make a video's document in another index, during a reindex.

It is made from the kept vectors of the frames, else from the file, with the model and the segments
of that index. Until it is written the video may change: the document is written by compare-and-set
on what was there before the record was read, and the record is read and noted in after the write.
Where the video is ingested again meanwhile, nothing is left of this: its worker asks for another
document. See :mod:`vidsearch.ingest.mirror` for the whole argument.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal

from vidsearch.compare_and_set import until_unchanged
from vidsearch.embeddings import FrameEmbedder
from vidsearch.engines import Document, Engine, Json, Revision
from vidsearch.errors import (
    IndexNotFoundError,
    LeaseLostError,
    VersionConflictError,
    VideoError,
    VideoNotRegisteredError,
)
from vidsearch.index.targets import open_concrete
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.attempt import Attempt, Outcome
from vidsearch.ingest.document import fields_of, is_whole, video_document
from vidsearch.ingest.embedders import Embedders, EncoderFor
from vidsearch.ingest.field_values import explained_rejections
from vidsearch.ingest.fill_board import Fill, FillBoard
from vidsearch.ingest.opened_video import OpenedVideo, VideoOpener
from vidsearch.ingest.slice_plan import SlicePlan, SlicePlanner
from vidsearch.ingest.slices import SliceBoard
from vidsearch.metrics import measured
from vidsearch.registry.known_file import unasked
from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.registry import Registry
from vidsearch.stop import Stop
from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["Filler"]

_log = logging.getLogger(__name__)


class Filler:
    """Makes documents that are on the board.

    Args:
        engine: the cluster.
        registry: of the videos.
        board: of the documents to make.
        embedder: makes vectors of frames.
        encoder_for: finds the encoder of the index.
        alias: of the videos index.
        opener: opens the videos.
        slices: where long videos are put in slices; ``None`` embeds them in one go.
        clock: seconds since the epoch.
        stop: ends the work between two batches.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        board: FillBoard,
        *,
        embedder: FrameEmbedder,
        encoder_for: EncoderFor | None = None,
        alias: str,
        opener: VideoOpener,
        slices: SliceBoard | None = None,
        clock: Callable[[], float] = time.time,
        stop: Stop | None = None,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._board = board
        self._embedders = Embedders(embedder, encoder_for)
        self._alias = alias
        self._opener = opener
        self._slices = slices
        self._clock = clock
        self._stop = stop or Stop()

    @measured("fill")
    def fill(self, fill_id: str, *, owner: str) -> Outcome:
        """Make one document. Whatever happens is on the board afterwards.

        Args and errors are those of :meth:`Indexer.ingest`. ``skipped``: there is nothing to be
        made any more, as the video was deleted or has changed, or a worker is at it, or the reindex
        is over. ``sliced``: workers are to embed the slices of a long video first.
        """
        entries = self._board.entries
        try:
            lease = entries.claim(fill_id, owner=owner)
        except (LeaseLostError, VideoNotRegisteredError, IndexNotFoundError) as error:
            _log.info("document skipped: %s", error)
            return Outcome("skipped", reason=str(error))
        with LeaseKeeper(entries, lease) as keeper:
            attempt = Attempt(
                entries, lease.record, keeper, settings=self._opener.settings, stop=self._stop
            )
            try:
                return self._fill(Fill.of_entry(lease.record), attempt)
            except Exception as error:
                return attempt.conclude(error)

    def _fill(self, fill: Fill, attempt: Attempt) -> Outcome:
        record = self._registry.find(fill.video_id)
        if record is None or not fill.is_wanted(record):
            return self._ended("skipped", attempt)
        try:
            target = open_concrete(self._engine, fill.target, alias=self._alias)
        except IndexNotFoundError:
            _log.info("the document of video %r is not made: %r is gone", record.id, fill.target)
            return self._ended("skipped", attempt)
        embedder = self._embedders.of(target)
        planner, plan = self._planner(fill, embedder), SlicePlan()
        # What was indexed counts, also where it is asked whether the file has changed.
        with self._opener.opened(unasked(record), target, at=attempt.enter) as video:
            _refuse_changed(record, video)
            made = self._made_already(record, video, target)
            if made is None:
                with video.in_turn(embedder):
                    # The slices of a file that has changed would be of another video.
                    if planner is not None and video.content.hash == record.content:
                        plan = planner.plan(attempt, video.content, video.kept, video.file)
                        if plan.missing:
                            return planner.hand_over(attempt, video.content, plan)
                    made = self._embed(record, video, target, embedder, planner, plan)
        attempt.enter("write")
        attempt.keeper.renew()
        is_there = attempt.outlast(
            lambda: until_unchanged(
                lambda: self._write(fill, target, made, routing=record.routing),
                of=target.called(record.id),
            )
        )
        outcome = self._ended("indexed" if is_there else "skipped", attempt)
        if planner is not None:
            planner.clear(plan)
        return outcome

    def _ended(self, status: Literal["indexed", "skipped"], attempt: Attempt) -> Outcome:
        """Take the document off the list of those that are to be made."""
        entries, held = self._board.entries, attempt.keeper.finish()
        seconds = attempt.end()
        entry = attempt.outlast(lambda: entries.complete(held, seconds=seconds))
        return Outcome(status, record=entry)

    def _planner(self, fill: Fill, embedder: FrameEmbedder) -> SlicePlanner | None:
        """Puts long videos in slices; ``None`` where that is off."""
        if self._slices is None or self._opener.embeddings is None:
            return None
        return SlicePlanner(
            self._board.entries,
            self._slices,
            embedder=embedder,
            seconds=self._opener.settings.slice_seconds,
            thumbnails=self._opener.thumbnails,
            fill=fill,
        )

    def _made_already(
        self, record: VideoRecord, video: OpenedVideo, target: VideosIndex
    ) -> Json | None:
        """The object ``video`` that a worker wrote that was killed before it noted that."""
        stored = target.read(record.id, routing=record.routing)
        if stored is None or not is_whole(stored.source, target):
            return None
        found: Json = stored.source[target.field]
        return found if found.get("fingerprint") == video.fingerprint else None

    def _embed(
        self,
        record: VideoRecord,
        video: OpenedVideo,
        target: VideosIndex,
        embedder: FrameEmbedder,
        planner: SlicePlanner | None,
        plan: SlicePlan,
    ) -> Json:
        embedding = video.embed(
            embedder,
            info=plan.info,
            collect=lambda candidates: (
                planner is not None and planner.collect_candidates(plan, candidates)
            ),
        )
        document = video_document(
            record,
            embedding,
            index=target,
            fingerprint=video.made,
            embedded_at=self._clock(),
        )
        made: Json = document[target.field]
        return made

    def _write(self, fill: Fill, target: VideosIndex, video: Json, *, routing: str | None) -> bool:
        """One try; whether the document is there and current.

        Raises:
            VersionConflictError: document or record changed meanwhile.
        """
        stored = target.read(fill.video_id, routing=routing)
        record = self._registry.find(fill.video_id)
        if record is None or not fill.is_wanted(record):
            return False
        if target.attached and stored is None:
            _log.info("%s is not there (any more)", target.called(record.id))
            return False
        uri, fields = self._about(record)
        with explained_rejections():
            written = self._put(stored, fields, {**video, "uri": uri}, record.id, target)
        after = self._registry.mark_filled(
            record.id, index=target.name, of=fill.of, fingerprint=video["fingerprint"]
        )
        if after.state is State.DELETED:
            target.remove(record.id, expect=written, routing=routing)
        if not fill.is_wanted(after) or self._about(after) != (uri, fields):
            raise VersionConflictError("the record changed meanwhile")
        return True

    def _about(self, record: VideoRecord) -> tuple[str, Json]:
        """URI and own fields of the document: those of the record. A video that is not indexed may
        wait with others, for its next document: then those of the one that searches show."""
        names = () if record.state is State.INDEXED else self._engine.indices_of(self._alias)
        if len(names) == 1:
            index = open_concrete(self._engine, names[0], alias=self._alias)
            shown = index.read(record.id, routing=record.routing)
            if shown is not None and (video := shown.source.get(index.field)):
                return video.get("uri", record.uri), fields_of(shown.source, index)
        return record.uri, dict(record.fields)

    def _put(
        self, stored: Document | None, fields: Json, video: Json, id: str, target: VideosIndex
    ) -> Revision:
        if target.attached:
            assert stored is not None
            return target.merge(video, into=stored)
        return self._engine.put(
            target.name,
            id,
            {**fields, target.field: video},
            expect=stored.revision if stored else "absent",
        )


def _refuse_changed(record: VideoRecord, video: OpenedVideo) -> None:
    """Of a video that is not indexed now, the document in the other index is that which searches
    show, and of nothing newer.

    Raises:
        VideoError: the file has changed since it was indexed.
    """
    if record.state is not State.INDEXED and video.content.hash != record.content:
        raise VideoError(
            f"the file of video {record.id!r} has changed since it was indexed: it has to be "
            f"embedded again first, and is {record.state}"
        )
