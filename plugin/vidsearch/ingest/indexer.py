"""What a worker does with one video, from the lease to the searchable vectors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from vidsearch.compare_and_set import until_unchanged
from vidsearch.config import IndexSettings, IngestSettings, SourceSettings
from vidsearch.embeddings import SegmentPolicy, embed_video
from vidsearch.encoders import Encoder
from vidsearch.engines import Document, Engine, Json, Revision
from vidsearch.errors import (
    BackendError,
    BackendUnavailableError,
    IndexNotFoundError,
    LeaseLostError,
    VersionConflictError,
    VideoError,
)
from vidsearch.index.videos_index import VideosIndex, open_videos_index
from vidsearch.ingest.document import fingerprint, video_document, with_fields
from vidsearch.ingest.field_values import explained_rejections, refuse_changed_numbers
from vidsearch.ingest.removal import remove_document, settle
from vidsearch.media import (
    Cue,
    LocalFile,
    MediaReader,
    ThumbnailStore,
    best_cues,
    check_sources,
    content_hash,
    fetch,
)
from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.registry import Registry
from vidsearch.retry import Decision, decide
from vidsearch_mappings.registry import ErrorRecord, State, VideoRecord

__all__ = ["Indexer", "Outcome"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    status: Literal["indexed", "unchanged", "failed", "gone", "retry", "dead", "skipped"]
    """``indexed``: embedded and written. ``unchanged``: the vectors were current already.
    ``failed``: the video is at fault. ``gone``: the user deleted its document. ``retry``: it is
    queued for another attempt, which the caller has to start. ``dead``: that was the last one.
    ``skipped``: another worker has it, or nothing is to be done."""
    record: VideoRecord | None = None
    """As stored at the end; ``None`` where it was skipped."""
    reason: str | None = None


class Indexer:
    """Ingests registered videos into the videos index.

    ``thumbnails`` is where a picture of every segment is put, ``None`` makes none; ``batch_size``
    counts frames.

    Raises:
        ConfigError: ``sources`` lists a host or scheme that cannot be one.
    """

    def __init__(
        self,
        engine: Engine,
        registry: Registry,
        *,
        encoder: Encoder,
        reader: MediaReader,
        index: IndexSettings,
        settings: IngestSettings,
        sources: SourceSettings | None = None,
        thumbnails: ThumbnailStore | None = None,
        batch_size: int = 8,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._registry = registry
        self._encoder = encoder
        self._reader = reader
        self._index_settings = index
        self._settings = settings
        self._sources = sources or SourceSettings()
        check_sources(self._sources)
        self._thumbnails = thumbnails
        self._batch_size = batch_size
        self._clock = clock

    def ingest(
        self, video_id: str, *, owner: str, retry_delay: float = 0.0, count_outage: bool = False
    ) -> Outcome:
        """Do everything for one video. Whatever happens is in the registry afterwards.

        Args:
            video_id: as registered.
            owner: who does it; see ``Registry.claim``.
            retry_delay: seconds after which the caller would start the next attempt.
            count_outage: let an outage use up an attempt, too; otherwise it is taken back.

        Raises:
            VideoNotRegisteredError: never registered.
            VidsearchError: an outage, or a worker that is not set up right (no index, another
                model, wrong credentials, a missing extra); to be tried again later.
        """
        try:
            lease = self._registry.claim(video_id, owner=owner)
        except LeaseLostError as error:
            _log.info("video %r skipped: %s", video_id, error)
            return Outcome("skipped", reason=str(error))
        with LeaseKeeper(self._registry, lease) as keeper:
            attempt = _Attempt(lease.record, keeper)
            try:
                return self._index(attempt)
            except Exception as error:
                return self._conclude(error, attempt, delay=retry_delay, count_outage=count_outage)

    def _index(self, attempt: _Attempt) -> Outcome:
        record = attempt.record
        index = open_videos_index(self._engine, self._index_settings)
        index.require_model(self._encoder.identity)
        stored = index.read(record.id, routing=record.routing)
        if index.attached:
            _check_attached(record, stored, index)
        else:
            refuse_changed_numbers(
                record.fields, index.properties, own_templates=index.own_templates
            )
        segments = SegmentPolicy.of(self._index_settings, length=index.segment_seconds)
        attempt.enter("fetch")
        languages = self._settings.subtitle_languages
        with fetch(record.uri, settings=self._sources, languages=languages) as file:
            attempt.enter("hash")
            mark = self._fingerprint(file, index, segments)
            if stored and _is_current(record, stored, mark, index):
                return self._keep_vectors(attempt, index, stored)
            embedding = embed_video(
                file.path,
                reader=self._reader,
                encoder=self._encoder,
                segments=segments,
                rate=self._settings.fps,
                sampling=self._settings.sampling,
                batch_size=self._batch_size,
                cues=lambda: self._cues(file),
                thumbnails=self._thumbnails,
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
            fingerprint=mark,
            frames=embedding.frames,
            damaged=embedding.damaged,
            segments=len(embedding.segments),
            duration=embedding.duration,
        )
        _log.info("video %r indexed: %r in %s", record.id, embedding, attempt)
        return Outcome("indexed", record=after)

    def _keep_vectors(self, attempt: _Attempt, index: VideosIndex, stored: Document) -> Outcome:
        """Only the registered fields or the URI may have changed."""
        attempt.enter("write")
        record = attempt.record
        document, written = with_fields(record, stored.source, index=index), stored.revision
        if document != stored.source:
            written = self._write(attempt, index, document, stored)
        # All that the record says of the vectors is true.
        after = self._complete(attempt, index, written, video=document[index.field])
        _log.info("video %r unchanged: its vectors are current", record.id)
        return Outcome("unchanged", record=after)

    def _fingerprint(self, file: LocalFile, index: VideosIndex, segments: SegmentPolicy) -> str:
        subtitles: list[str] | None = None
        if self._settings.subtitles:
            hashes = [content_hash(sidecar.path) for sidecar in file.sidecars]
            subtitles = [*self._settings.subtitle_languages, *hashes]
        return fingerprint(
            content_hash(file.path),
            index=index,
            segments=segments,
            subtitles=subtitles,
            thumbnails=self._thumbnails.form if self._thumbnails else None,
        )

    def _cues(self, file: LocalFile) -> tuple[Cue, ...]:
        if not self._settings.subtitles:
            return ()
        languages = self._settings.subtitle_languages
        return best_cues(file.path, file.sidecars, reader=self._reader, languages=languages)

    def _write(
        self, attempt: _Attempt, index: VideosIndex, document: Json, stored: Document | None
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

        return until_unchanged(write, of=index.called(record.id))

    def _complete(
        self,
        attempt: _Attempt,
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
            after = self._registry.complete(lease, **result, seconds=attempt.end())
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

    def _conclude(
        self, error: Exception, attempt: _Attempt, *, delay: float, count_outage: bool
    ) -> Outcome:
        """Record the error, and what :func:`decide` makes of it."""
        id, decision = attempt.record.id, decide(error)
        if decision is Decision.SKIP:
            return _skipped(id, error)
        reason = ErrorRecord.of(error, stage=attempt.stage)
        uncounted = decision is Decision.RETRY_UNCOUNTED
        try:
            lease = attempt.keeper.finish()
            if decision is Decision.GONE:
                _log.info("video %r is gone: %s", id, error)
                after = self._registry.mark_gone(lease, reason)
                return Outcome("gone", record=after, reason=str(reason))
            if decision is Decision.FAIL:
                _log.warning("video %r failed: %s", id, reason)
                after = self._registry.fail(lease, reason)
                return Outcome("failed", record=after, reason=str(reason))
            after = self._registry.release(
                lease, reason, counted=count_outage or not uncounted, delay=delay
            )
        except LeaseLostError as lost:
            return _skipped(id, lost)
        except BackendUnavailableError as away:
            # The registry cannot be told. The lease runs out by itself, and until then the same
            # owner may take it up again.
            if uncounted:
                raise error from error.__cause__
            raise away from error
        if uncounted:
            _log.warning("video %r interrupted, not by its own fault: %s", id, reason)
            raise error
        _log.error("video %r: attempt %d failed", id, after.attempts, exc_info=error)
        dead = after.state is State.DEAD
        return Outcome("dead" if dead else "retry", record=after, reason=str(reason))


class _Attempt:
    """A video with its lease, the current stage of the work, and the seconds spent per stage."""

    def __init__(self, record: VideoRecord, keeper: LeaseKeeper) -> None:
        self.record = record
        self.keeper = keeper
        self.stage = "prepare"
        self._entered = perf_counter()
        self._seconds: dict[str, float] = {}

    def enter(self, stage: str) -> None:
        """Leave the current stage for another; a stage may be entered many times.

        Raises:
            LeaseLostError: another worker has the video, or it was deleted or registered anew.
        """
        self.keeper.check()
        self._leave()
        self.stage = stage

    def end(self) -> dict[str, float]:
        """Seconds per stage until now."""
        self._leave()
        return {stage: round(seconds, 4) for stage, seconds in self._seconds.items()}

    def _leave(self) -> None:
        now = perf_counter()
        self._seconds[self.stage] = self._seconds.get(self.stage, 0.0) + now - self._entered
        self._entered = now

    def __str__(self) -> str:
        return ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in self._seconds.items())


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


def _skipped(id: str, lost: Exception) -> Outcome:
    _log.warning("video %r left alone: %s", id, lost)
    return Outcome("skipped", reason=str(lost))
