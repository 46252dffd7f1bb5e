"""What a worker does with one video, from the lease to the searchable vectors."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from vidsearch.config import IndexSettings, IngestSettings, SourceSettings
from vidsearch.embeddings.pipeline import embed_video
from vidsearch.embeddings.segment_policy import SegmentPolicy
from vidsearch.encoders import Encoder
from vidsearch.engines.base import Document, Engine, Json, Revision
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendUnavailableError,
    ConfigError,
    DecoderFailedError,
    DocumentNotFoundError,
    IndexNotFoundError,
    LeaseLostError,
    MappingConflictError,
    ModelMismatchError,
    ModelUnavailableError,
    SourceUnavailableError,
    VersionConflictError,
    VideoError,
    VidsearchError,
)
from vidsearch.index.videos_index import VideosIndex, gone, open_videos_index
from vidsearch.ingest.document import fingerprint, video_document, with_fields
from vidsearch.ingest.removal import remove_document, remove_whatever_came
from vidsearch.ingest.stages import Stages
from vidsearch.media import (
    Cue,
    LocalFile,
    MediaReader,
    ThumbnailStore,
    check_sources,
    content_hash,
    fetch,
    sidecar_cues,
)
from vidsearch.registry.lease import LeaseKeeper
from vidsearch.registry.record import ErrorRecord, State, VideoRecord
from vidsearch.registry.registry import Registry

__all__ = ["Indexer", "Outcome"]

_log = logging.getLogger(__name__)
_WRITE_TRIES = 3
_SURROUNDINGS = (
    BackendAccessDeniedError,
    BackendUnavailableError,
    ConfigError,
    IndexNotFoundError,
    ModelMismatchError,
    ModelUnavailableError,
    SourceUnavailableError,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended."""

    status: Literal["indexed", "unchanged", "failed", "gone", "retry", "dead", "skipped"]
    """``indexed``: embedded and written. ``unchanged``: the vectors were current already.
    ``failed``: the video is at fault. ``gone``: its document was the host's, who deleted it.
    ``retry``: it was given back for another attempt, which the
    caller has to start. ``dead``: that was the last one. ``skipped``: it was not ours to do."""
    record: VideoRecord | None = None
    """As stored at the end; ``None`` where it was skipped."""
    reason: str | None = None


class Indexer:
    """Ingests registered videos into the videos index.

    Args:
        engine: the cluster.
        registry: where the videos are registered.
        encoder: frames to vectors.
        reader: files to frames, cuts and subtitles.
        index: name and layout settings of the videos index.
        settings: sampling and subtitles.
        sources: where videos may be read from.
        thumbnails: where a picture of every moment is put; ``None`` makes none.
        batch_size: frames per step.
        clock: seconds since the epoch.

    Raises:
        ConfigError: ``sources`` lists what is no host.
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
        self._index = index
        self._settings = settings
        self._sources = sources or SourceSettings()
        check_sources(self._sources)
        self._thumbnails = thumbnails
        self._batch_size = batch_size
        self._clock = clock

    def ingest(
        self,
        video_id: str,
        *,
        owner: str,
        retry_delay: float = 0.0,
        count_outage: bool = False,
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
        stages = Stages()
        with LeaseKeeper(self._registry, lease) as keeper:
            try:
                return self._attempt(lease.record, keeper, stages)
            except LeaseLostError as error:
                _log.warning("video %r left alone: %s", video_id, error)
                return Outcome("skipped", reason=str(error))
            except Exception as error:
                return self._unsuccessful(
                    error, keeper, stages, delay=retry_delay, count_outage=count_outage
                )

    def _attempt(self, record: VideoRecord, keeper: LeaseKeeper, stages: Stages) -> Outcome:
        def at(stage: str) -> None:
            keeper.check()
            stages.enter(stage)

        at("prepare")
        index = open_videos_index(self._engine, self._index)
        index.require_model(self._encoder.identity)
        stored = index.read(record.id, routing=record.routing)
        if index.attached:
            if stored is None:
                raise gone(index, record.id)
            _refuse_fields(record, index)
        moments = SegmentPolicy.of(self._index, length=index.segment_seconds)
        at("fetch")
        with fetch(record.uri, settings=self._sources) as file:
            at("hash")
            mark = self._fingerprint(file, index=index, moments=moments)
            if stored and _is_current(record, stored, mark, index):
                return self._keep(record, stored, keeper, stages, index)
            embedding = embed_video(
                file.path,
                reader=self._reader,
                encoder=self._encoder,
                moments=moments,
                rate=self._settings.fps,
                sampling=self._settings.sampling,
                batch_size=self._batch_size,
                cues=lambda: self._cues(file),
                thumbnails=self._thumbnails,
                at=at,
            )
        at("write")
        document = video_document(
            record, embedding, index=index, fingerprint=mark, embedded_at=self._clock()
        )
        written = self._write(record, document, stored, keeper, index)
        with self._taken_back_if_lost(record, written, index):
            after = self._registry.complete(
                keeper.finish(),
                fingerprint=mark,
                frames=embedding.frames,
                damaged=embedding.damaged,
                segments=len(embedding.segments),
                duration=embedding.duration,
                seconds=stages.end(),
            )
        _log.info("video %r indexed: %r in %s", record.id, embedding, stages)
        return Outcome("indexed", record=after)

    def _fingerprint(self, file: LocalFile, *, index: VideosIndex, moments: SegmentPolicy) -> str:
        spoken = self._settings.subtitles
        return fingerprint(
            content_hash(file.path),
            index=index,
            moments=moments,
            subtitles=[content_hash(path) for path in file.sidecars] if spoken else None,
            thumbnails=self._thumbnails.form if self._thumbnails else None,
        )

    def _cues(self, file: LocalFile) -> tuple[Cue, ...]:
        """Subtitles: of a file beside it, which somebody put there on purpose, or its own."""
        if not self._settings.subtitles:
            return ()
        for path in file.sidecars:
            if cues := sidecar_cues(path):
                return cues
        try:
            return self._reader.cues(file.path)
        except DecoderFailedError as error:  # its frames are fine
            _log.warning("subtitles left alone: %s", error)
            return ()

    def _keep(
        self,
        record: VideoRecord,
        stored: Document,
        keeper: LeaseKeeper,
        stages: Stages,
        index: VideosIndex,
    ) -> Outcome:
        """The vectors are current; only the host's fields may have changed."""
        stages.enter("write")
        document = with_fields(record, stored.source, index=index)
        written = stored.revision
        if document != stored.source:
            written = self._write(record, document, stored, keeper, index)
        assert record.fingerprint is not None
        with self._taken_back_if_lost(record, written, index):
            after = self._registry.complete(
                keeper.finish(),
                fingerprint=record.fingerprint,
                frames=record.frames,
                damaged=record.damaged,
                segments=record.segments,
                duration=record.duration,
                seconds=stages.end(),
            )
        _log.info("video %r unchanged: its vectors are current", record.id)
        return Outcome("unchanged", record=after)

    def _write(
        self,
        record: VideoRecord,
        document: Json,
        stored: Document | None,
        keeper: LeaseKeeper,
        index: VideosIndex,
    ) -> Revision:
        """Write over what was read at the start, and over nothing newer.

        A worker that lost its lease without noticing would otherwise overwrite its successor.
        """
        for _ in range(_WRITE_TRIES):
            keeper.renew()
            try:
                if not index.attached:
                    revision = stored.revision if stored else None
                    return index.write(record.id, document, expect=revision or "absent")
                if stored is None:
                    raise gone(index, record.id)
                return index.merge(document[index.field], into=stored)
            except VersionConflictError:
                # Somebody wrote although the lease is ours: the host, or a predecessor that was
                # late. Ours is the newer knowledge.
                stored = index.read(record.id, routing=record.routing)
        raise VersionConflictError(
            f"the document of video {record.id!r} keeps changing under our hands"
        )

    @contextmanager
    def _taken_back_if_lost(
        self, record: VideoRecord, written: Revision, index: VideosIndex
    ) -> Iterator[None]:
        """A deletion or a detach during the work wins: what was written after it is removed again.

        Only a worker that is killed between its write and this leaves something behind.
        """
        try:
            yield
        except LeaseLostError:
            current = self._registry.find(record.id)
            if current is None:
                with suppress(VersionConflictError):
                    index.remove(record.id, expect=written, routing=record.routing)
            elif current.state is State.DELETED:
                remove_document(self._registry, index, record.id)
            raise
        except IndexNotFoundError:
            # The registry went after the lease was last renewed: the host's index was detached, and
            # its documents are to hold nothing of ours. Those of an index of ours are kept.
            if index.attached:
                remove_whatever_came(index, record)
            raise

    def _unsuccessful(
        self,
        error: Exception,
        keeper: LeaseKeeper,
        stages: Stages,
        *,
        delay: float,
        count_outage: bool,
    ) -> Outcome:
        id = keeper.video_id
        record = ErrorRecord.of(error, stage=stages.current)
        outage = _is_outage(error, stage=stages.current)
        try:
            lease = keeper.finish()
            if isinstance(error, DocumentNotFoundError):
                _log.info("video %r is gone: %s", id, error)
                after = self._registry.mark_gone(lease, record)
                return Outcome("gone", record=after, reason=str(record))
            if _is_at_fault(error, stage=stages.current):
                _log.warning("video %r failed: %s", id, record)
                after = self._registry.fail(lease, record)
                return Outcome("failed", record=after, reason=str(record))
            after = self._registry.release(
                lease, record, counted=count_outage or not outage, delay=delay
            )
        except LeaseLostError as lost:
            _log.warning("video %r left alone: %s", id, lost)
            return Outcome("skipped", reason=str(lost))
        except BackendUnavailableError as away:
            # The registry cannot be told. The lease runs out by itself, and until then the same
            # owner may take it up again.
            if outage:
                raise error from error.__cause__
            raise away from error
        if outage:
            _log.warning("video %r interrupted, no fault of its own: %s", id, record)
            raise error
        _log.error("video %r: attempt %d failed", id, after.attempts, exc_info=error)
        status: Literal["retry", "dead"] = "dead" if after.state is State.DEAD else "retry"
        return Outcome(status, record=after, reason=str(record))


def _refuse_fields(record: VideoRecord, index: VideosIndex) -> None:
    if record.fields:
        raise VideoError(
            f"video {record.id!r} was registered with fields ({', '.join(record.fields)}), but "
            f"the documents of index {index.name!r} are the host's, which writes its own"
        )


def _is_current(record: VideoRecord, stored: Document, mark: str, index: VideosIndex) -> bool:
    ours = stored.source.get(index.field) or {}
    # An engine that keeps vectors out of the source could not write them back.
    complete = "vector" in ours and "segments" in ours
    return complete and record.fingerprint == mark == ours.get("fingerprint")


def _is_outage(error: Exception, *, stage: str) -> bool:
    """Whether the surroundings are to blame, which somebody will put right.

    A worker with a wrong setting must not use up the attempts of every video in the queue.
    """
    # Nothing has been done for the video yet (no index, or one that holds another model's vectors),
    # or its pictures have nowhere to go.
    return isinstance(error, _SURROUNDINGS) or (
        stage in {"prepare", "thumbnails"} and isinstance(error, VidsearchError)
    )


def _is_at_fault(error: Exception, *, stage: str) -> bool:
    """Whether the video or its registration is to blame, so that another try would end the same."""
    if stage == "write" and isinstance(error, MappingConflictError):  # a field that does not fit
        return True
    return isinstance(error, VideoError)
