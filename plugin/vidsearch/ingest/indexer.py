"""What a worker does with one video, from the lease to the searchable vectors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from vidsearch.compare_and_set import until_unchanged
from vidsearch.config import IndexSettings, IngestSettings, SourceSettings
from vidsearch.embeddings import EmbeddingStore, FrameEmbedder
from vidsearch.engines import Document, Engine, Json, Revision
from vidsearch.errors import (
    BackendError,
    IndexNotFoundError,
    LeaseLostError,
    VersionConflictError,
    VideoError,
    VidsearchError,
)
from vidsearch.index.replacement import open_or_attach
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.attempt import Attempt, Outcome
from vidsearch.ingest.content import VideoContent
from vidsearch.ingest.document import is_whole, video_document, with_fields
from vidsearch.ingest.embedders import Embedders, EncoderFor
from vidsearch.ingest.field_values import explained_rejections, refuse_changed_numbers
from vidsearch.ingest.fill_board import FillBoard
from vidsearch.ingest.mirror import mirror_to_others
from vidsearch.ingest.opened_video import VideoOpener
from vidsearch.ingest.removal import remove_document, settle
from vidsearch.ingest.slice_plan import SlicePlan, SlicePlanner
from vidsearch.ingest.slices import SliceBoard
from vidsearch.ingest.source_circuit import SourceCircuit
from vidsearch.media import ThumbnailStore
from vidsearch.metrics import measured
from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.registry import Registry
from vidsearch.stop import Stop
from vidsearch_mappings.registry import UNWANTED, State, VideoRecord

__all__ = ["Indexer"]

_log = logging.getLogger(__name__)


class Indexer:
    """Ingests registered videos into the videos index.

    Args:
        engine: the cluster.
        registry: of the videos.
        embedder: makes the vectors of frames.
        index: the section ``index`` of the settings.
        settings: the section ``ingest``.
        sources, thumbnails, embeddings, circuit: see :class:`VideoOpener`.
        encoder_for: finds the encoder of an index that has another model than the one of
            ``embedder``; ``None`` refuses such an index.
        board: where long videos are put in slices; ``None`` embeds them in one go.
        fills: where documents are asked for that another index lacks during a reindex; ``None``
            leaves them to the reindex.
        clock: seconds since the epoch.
        stop: ends the work between two batches.

    Raises:
        ConfigError: ``sources`` lists a host or scheme that cannot be one.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        *,
        embedder: FrameEmbedder,
        index: IndexSettings,
        settings: IngestSettings,
        sources: SourceSettings | None = None,
        thumbnails: ThumbnailStore | None = None,
        embeddings: EmbeddingStore | None = None,
        encoder_for: EncoderFor | None = None,
        board: SliceBoard | None = None,
        fills: FillBoard | None = None,
        clock: Callable[[], float] = time.time,
        circuit: SourceCircuit | None = None,
        stop: Stop | None = None,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._embedders = Embedders(embedder, encoder_for)
        self._index_settings = index
        self._settings = settings
        self._opener = VideoOpener(
            index=index,
            settings=settings,
            sources=sources,
            thumbnails=thumbnails,
            embeddings=embeddings,
            circuit=circuit,
        )
        self._board = board if embeddings is not None else None
        self._fills = fills
        self._clock = clock
        self._stop = stop or Stop()

    @measured("video")
    def ingest(self, video_id: str, *, owner: str) -> Outcome:
        """Do everything for one video. Whatever happens is in the registry afterwards.

        Args:
            video_id: as registered.
            owner: who does it; see ``Registry.claim``.

        Raises:
            VideoNotRegisteredError: never registered.
            WorkerStoppingError: the worker is to stop; its lease is to be handed back.
            VidsearchError: the registry cannot be told what happened; to be called again with the
                same owner, when it can.
        """
        try:
            lease = self._registry.claim(video_id, owner=owner)
        except LeaseLostError as error:
            _log.info("video %r skipped: %s", video_id, error)
            return Outcome("skipped", reason=str(error))
        with LeaseKeeper(self._registry, lease) as keeper:
            attempt = Attempt(
                self._registry, lease.record, keeper, settings=self._settings, stop=self._stop
            )
            try:
                return self._index(attempt)
            except Exception as error:
                outcome = attempt.conclude(error)
        if outcome.record is not None and outcome.record.state in UNWANTED:
            self._mirror_end(video_id)
        return outcome

    def _index(self, attempt: Attempt) -> Outcome:
        record = attempt.record
        index = open_or_attach(self._engine, self._index_settings)
        embedder = self._embedders.of(index)
        stored: Document | None = None
        if index.attached or record.indexed_at is not None:
            stored = index.read(record.id, routing=record.routing)
        # Else there is none, or one whose worker was lost: the write, which expects none, finds it.
        if index.attached:
            _check_attached(record, stored, index)
        else:
            refuse_changed_numbers(
                record.fields, index.properties, own_templates=index.own_templates
            )
        planner, plan = self._planner(embedder), SlicePlan()
        with self._opener.opened(record, index, at=attempt.enter) as video:
            content, mark, unanswered = video.content, video.fingerprint, video.unanswered
            if unanswered is not None and stored and is_whole(stored.source, index):
                _, written = self._with_fields(attempt, index, stored)
                self._look_again(attempt, index, written)
                attempt.enter("fetch")
                raise unanswered
            if stored and _is_current(record, stored, mark, index):
                return self._keep_vectors(attempt, index, stored, content)
            with video.in_turn(embedder):
                if planner is not None:
                    plan = planner.plan(attempt, content, video.kept, video.file)
                    if plan.missing:
                        if unanswered is not None:
                            raise unanswered
                        return planner.hand_over(attempt, content, plan)
                embedding = video.embed(
                    embedder,
                    info=plan.info,
                    collect=lambda candidates: (
                        planner is not None and planner.collect_candidates(plan, candidates)
                    ),
                )
                mark = video.made
        attempt.enter("write")
        document = video_document(
            record, embedding, index=index, fingerprint=mark, embedded_at=self._clock()
        )
        written = self._write(attempt, index, document, stored)
        if unanswered is not None:
            _log.info("video %r: its document is made again of what was read before", record.id)
            self._look_again(attempt, index, written)
            attempt.enter("fetch")
            raise unanswered
        after, fills = self._complete(
            attempt,
            index,
            written,
            video=document[index.field],
            **content.to_record(),
            fingerprint=mark,
            frames=embedding.frames,
            damaged=embedding.damaged,
            segments=len(embedding.segments),
            duration=embedding.duration,
        )
        if planner is not None:
            planner.clear(plan)
        kept = video.kept.had_frames and not plan.slices
        _log.info(
            "video %r %s: %r%s in %s",
            record.id,
            "written again" if kept and record.fingerprint else "indexed",
            embedding,
            " from kept embeddings" if kept else "",
            attempt,
        )
        return Outcome("indexed", record=after, fills=fills)

    def _planner(self, embedder: FrameEmbedder) -> SlicePlanner | None:
        """Puts long videos in slices; ``None`` where that is off."""
        if self._board is None:
            return None
        return SlicePlanner(
            self._registry,
            self._board,
            embedder=embedder,
            seconds=self._settings.slice_seconds,
            thumbnails=self._opener.thumbnails,
        )

    def _keep_vectors(
        self, attempt: Attempt, index: VideosIndex, stored: Document, content: VideoContent
    ) -> Outcome:
        """Only the registered fields or the URI may have changed."""
        document, written = self._with_fields(attempt, index, stored)
        # All that the record says of the vectors is true.
        after, fills = self._complete(
            attempt, index, written, video=document[index.field], **content.to_record()
        )
        _log.info("video %r unchanged: its vectors are current", after.id)
        return Outcome("unchanged", record=after, fills=fills)

    def _with_fields(
        self, attempt: Attempt, index: VideosIndex, stored: Document
    ) -> tuple[Json, Revision]:
        """The document with the registered fields and URI, written where it has others."""
        attempt.enter("write")
        document = with_fields(attempt.record, stored.source, index=index)
        if document == stored.source:
            return document, stored.revision
        return document, self._write(attempt, index, document, stored)

    def _write(
        self, attempt: Attempt, index: VideosIndex, document: Json, stored: Document | None
    ) -> Revision:
        """Write over the document that was read at the start, and over nothing newer.

        A worker that lost its lease without noticing would otherwise overwrite its successor.
        """
        record = attempt.record

        def write() -> Revision:
            nonlocal stored
            attempt.keeper.renew()
            try:
                with explained_rejections():
                    if not index.attached:
                        revision = stored.revision if stored else None
                        return self._engine.put(
                            index.name, record.id, document, expect=revision or "absent"
                        )
                    if stored is None:
                        raise index.gone(record.id)
                    return index.merge(document[index.field], into=stored)
            except VersionConflictError:
                # The lease is still held, so the other writer is the user, or a predecessor that
                # was late. What is written here is newer.
                stored = index.read(record.id, routing=record.routing)
                raise

        return attempt.outlast(lambda: until_unchanged(write, of=index.called(record.id)))

    def _complete(
        self,
        attempt: Attempt,
        index: VideosIndex,
        written: Revision,
        *,
        video: Json,
        **result: Any,
    ) -> tuple[VideoRecord, tuple[str, ...]]:
        """Record the video as indexed, and mirror it to the other index of a reindex.

        Returns the record, and the ids of what is asked for in another index.
        """
        record = attempt.record
        with self._removed_again(record, index, written):
            lease = attempt.keeper.finish()
            result["seconds"] = attempt.end()
            after = attempt.outlast(lambda: self._registry.complete(lease, **result))
        try:
            settle(self._registry, index, record.id, video=video)
        except BackendError as error:  # the video is indexed nevertheless
            _log.warning("video %r: its document was not looked at again: %s", record.id, error)
        return after, self._mirror(attempt, index, after)

    def _look_again(self, attempt: Attempt, index: VideosIndex, written: Revision) -> None:
        """After the write of an attempt that does not complete the video."""
        with self._removed_again(attempt.record, index, written):
            attempt.outlast(attempt.keeper.renew)

    @contextmanager
    def _removed_again(
        self, record: VideoRecord, index: VideosIndex, written: Revision
    ) -> Iterator[None]:
        """Around what tells the registry of a write: where the video was deleted or the index
        detached during the work, what was written after that is removed again. Only a worker that
        is killed between its write and this leaves it behind."""
        try:
            yield
        except LeaseLostError:
            current = self._registry.find(record.id)
            if current is None:
                with suppress(VersionConflictError):
                    index.remove(record.id, expect=written, routing=record.routing)
                mirror_to_others(self._registry, index, [record.id])
            elif current.state is State.DELETED:
                remove_document(self._registry, index, record.id)
            else:
                settle(self._registry, index, record.id)
            raise
        except IndexNotFoundError:
            # The registry was dropped after the last renewal of the lease. Where the index was
            # detached, its documents must hold no vidsearch object. A managed index is kept.
            if index.attached:
                index.remove(record.id, routing=record.routing)
            raise

    def _mirror_end(self, id: str) -> None:
        """Nothing was written, but the other index may still have what was deleted before."""
        try:
            index = open_or_attach(self._engine, self._index_settings)
            mirror_to_others(self._registry, index, [id])
        except VidsearchError as error:
            _log.warning("video %r: it is left to the reindex: %s", id, error)

    def _mirror(self, attempt: Attempt, index: VideosIndex, record: VideoRecord) -> tuple[str, ...]:
        """Bring the other index of a reindex up to date; returns the ids of what is asked for."""

        def mirror() -> tuple[str, ...]:
            left, fills = mirror_to_others(self._registry, index, [record.id]), self._fills
            if fills is None:
                return ()
            return tuple(id for one in left for id in fills.add([record], one.index))

        try:
            return attempt.outlast(mirror)
        except VidsearchError as error:  # the video is indexed; the reindex catches up with it
            _log.warning("video %r: it is left to the reindex: %s", record.id, error)
            return ()


def _check_attached(record: VideoRecord, stored: Document | None, index: VideosIndex) -> None:
    """The user's document must be there, and only the vidsearch object is written to it."""
    if stored is None:
        raise index.gone(record.id)
    if record.fields:
        raise VideoError(
            f"video {record.id!r} was registered with fields ({', '.join(record.fields)}), but "
            f"index {index.name!r} is attached: write them to your own documents, and register "
            "the video with `fields={}`, or run `vidsearch scan --retry`"
        )


def _is_current(record: VideoRecord, stored: Document, mark: str, index: VideosIndex) -> bool:
    is_made = mark == (stored.source.get(index.field) or {}).get("fingerprint")
    return is_made and is_whole(stored.source, index) and record.is_current(mark, index=index.name)
