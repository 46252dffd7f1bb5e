"""What a worker does with one video, from the lease to the searchable vectors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from vidsearch.compare_and_set import until_unchanged
from vidsearch.config import IndexSettings, IngestSettings, SourceSettings
from vidsearch.embeddings import (
    EmbeddingStore,
    FrameEmbedder,
    KeptVideo,
    SegmentPolicy,
    embed_video,
)
from vidsearch.engines import Document, Engine, Json, Revision
from vidsearch.errors import (
    BackendError,
    IndexNotFoundError,
    LeaseLostError,
    SourceNotFoundError,
    SourceUnavailableError,
    VersionConflictError,
    VideoError,
)
from vidsearch.index.replacement import open_or_attach
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.attempt import Attempt, Outcome
from vidsearch.ingest.content import VideoContent, read_content
from vidsearch.ingest.document import fingerprint, video_document, with_fields
from vidsearch.ingest.field_values import explained_rejections, refuse_changed_numbers
from vidsearch.ingest.removal import remove_document, settle
from vidsearch.ingest.slice_plan import SlicePlan, SlicePlanner
from vidsearch.ingest.slices import SliceBoard
from vidsearch.ingest.source_circuit import SourceCircuit, unwatched
from vidsearch.media import (
    Cue,
    Source,
    ThumbnailStore,
    best_cues,
    check_sources,
    open_source,
)
from vidsearch.metrics import measured
from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.registry import Registry
from vidsearch.stop import Stop
from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["Indexer"]

_log = logging.getLogger(__name__)


class Indexer:
    """Ingests registered videos into the videos index.

    ``embedder`` makes the vectors of frames; ``thumbnails`` is where a picture of every segment is
    put, ``None`` makes none; ``embeddings`` is where vectors of frames are kept, ``None`` keeps
    none; ``board`` is where long videos are put in slices, ``None`` embeds them in one go;
    ``circuit`` keeps it from hosts that do not answer; ``stop`` ends the work between two batches.

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
        board: SliceBoard | None = None,
        clock: Callable[[], float] = time.time,
        circuit: SourceCircuit | None = None,
        stop: Stop | None = None,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._embedder = embedder
        self._index_settings = index
        self._settings = settings
        self._sources = sources or SourceSettings()
        check_sources(self._sources)
        self._thumbnails = thumbnails
        self._embeddings = embeddings
        self._planner: SlicePlanner | None = None
        if board is not None and embeddings is not None:
            self._planner = SlicePlanner(
                registry,
                board,
                embedder=embedder,
                seconds=settings.slice_seconds,
                thumbnails=thumbnails,
            )
        self._clock = clock
        self._watch = circuit.watch if circuit else unwatched
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
                return attempt.conclude(error)

    def _index(self, attempt: Attempt) -> Outcome:
        record = attempt.record
        index = open_or_attach(self._engine, self._index_settings)
        index.require_model(self._embedder.model)
        stored = index.read(record.id, routing=record.routing)
        if index.attached:
            _check_attached(record, stored, index)
        else:
            refuse_changed_numbers(
                record.fields, index.properties, own_templates=index.own_templates
            )
        segments = SegmentPolicy.of(self._index_settings, length=index.segment_seconds)
        attempt.enter("fetch")
        languages, watch = self._settings.subtitle_languages, self._watch(record.uri)
        with open_source(
            record.uri, settings=self._sources, languages=languages, asking=watch
        ) as source:
            content = self._content(source, record, attempt)
            mark = self._fingerprint(content, index, segments)
            if stored and _is_current(record, stored, mark, index):
                return self._keep_vectors(attempt, index, stored, content)
            kept = KeptVideo(self._embeddings, content.hash)
            plan = SlicePlan()
            if self._planner is not None:
                plan = self._planner.plan(attempt, content, kept, lambda: source.file().path)
                if plan.missing:
                    return self._planner.hand_over(attempt, content, plan)
            embedding = embed_video(
                lambda: source.file().path,
                embedder=self._embedder,
                segments=segments,
                kept=kept,
                info=plan.info,
                max_damaged=self._settings.max_damaged,
                cues=lambda: self._cues(source, content, kept),
                thumbnails=self._thumbnails,
                collect=lambda candidates: (
                    self._planner is not None and self._planner.collect_candidates(plan, candidates)
                ),
                at=attempt.enter,
            )
        attempt.enter("write")
        document = video_document(
            record, embedding, index=index, fingerprint=mark, embedded_at=self._clock()
        )
        written = self._write(attempt, index, document, stored)
        after = self._complete(
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
        if self._planner is not None:
            self._planner.clear(plan)
        way = "written from kept embeddings" if kept.had_frames else "indexed"
        _log.info("video %r %s: %r in %s", record.id, way, embedding, attempt)
        return Outcome("indexed", record=after)

    def _keep_vectors(
        self, attempt: Attempt, index: VideosIndex, stored: Document, content: VideoContent
    ) -> Outcome:
        """Only the registered fields or the URI may have changed."""
        attempt.enter("write")
        record = attempt.record
        document, written = with_fields(record, stored.source, index=index), stored.revision
        if document != stored.source:
            written = self._write(attempt, index, document, stored)
        # All that the record says of the vectors is true.
        after = self._complete(
            attempt, index, written, video=document[index.field], **content.to_record()
        )
        _log.info("video %r unchanged: its vectors are current", record.id)
        return Outcome("unchanged", record=after)

    def _content(self, source: Source, record: VideoRecord, attempt: Attempt) -> VideoContent:
        """What the file is; it is fetched only where nothing else tells.

        Where its place does not answer, or has it no more, it is what it was the last time.
        """
        known = VideoContent.of_record(record)
        try:
            return read_content(
                source,
                known=known,
                trust=self._sources.trust_validators,
                subtitles=self._settings.subtitles,
                at=attempt.enter,
            )
        except (SourceNotFoundError, SourceUnavailableError) as error:
            if known is None:
                raise
            _log.warning("video %r: going by what was read before, as %s", record.id, error)
            return known

    def _fingerprint(
        self, content: VideoContent, index: VideosIndex, segments: SegmentPolicy
    ) -> str:
        subtitles: list[str] | None = None
        if self._settings.subtitles:
            subtitles = [*self._settings.subtitle_languages, *content.subtitles]
        return fingerprint(
            content.hash,
            index=index,
            segments=segments,
            subtitles=subtitles,
            thumbnails=self._thumbnails.form if self._thumbnails else None,
        )

    def _cues(self, source: Source, content: VideoContent, kept: KeptVideo) -> tuple[Cue, ...]:
        if not self._settings.subtitles:
            return ()
        languages, reader = self._settings.subtitle_languages, self._embedder.reader

        def read() -> tuple[Cue, ...]:
            file = source.file()
            return best_cues(file.path, file.sidecars, reader=reader, languages=languages)

        return kept.fact(
            "cues",
            " ".join((*languages, *content.subtitles)),
            read,
            restore=lambda found: tuple(Cue(*each) for each in found),
            plain=lambda cues: [[cue.start, cue.end, cue.text] for cue in cues],
        )

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
    ) -> VideoRecord:
        """Record the video as indexed.

        Where it was deleted or the index detached during the work, what was written after that is
        removed again. Only a worker that is killed between its write and this leaves it behind.
        """
        record = attempt.record
        try:
            lease = attempt.keeper.finish()
            result["seconds"] = attempt.end()
            after = attempt.outlast(lambda: self._registry.complete(lease, **result))
        except LeaseLostError:
            current = self._registry.find(record.id)
            if current is None:
                with suppress(VersionConflictError):
                    index.remove(record.id, expect=written, routing=record.routing)
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
        try:
            settle(self._registry, index, record.id, video=video)
        except BackendError as error:  # the video is indexed nevertheless
            _log.warning("video %r: its document was not looked at again: %s", record.id, error)
        return after


def _check_attached(record: VideoRecord, stored: Document | None, index: VideosIndex) -> None:
    """The user's document must be there, and only the vidsearch object is written to it."""
    if stored is None:
        raise index.gone(record.id)
    if record.fields:
        raise VideoError(
            f"video {record.id!r} was registered with fields ({', '.join(record.fields)}), but "
            f"index {index.name!r} is attached: write them to your own documents, and register "
            "the video without"
        )


def _is_current(record: VideoRecord, stored: Document, mark: str, index: VideosIndex) -> bool:
    video = stored.source.get(index.field) or {}
    # An engine that keeps vectors out of the source could not write them back.
    complete = "vector" in video and "segments" in video
    return complete and record.fingerprint == mark == video.get("fingerprint")
