"""What a worker does with one slice of a long video."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.embeddings import EmbeddingStore, FrameEmbedder, FrameVectors
from vidsearch.embeddings.turns import longest_wait, turn
from vidsearch.errors import (
    DocumentRejectedError,
    IndexNotFoundError,
    LeaseLostError,
    RequestTooLargeError,
    VideoNotRegisteredError,
)
from vidsearch.ingest.attempt import Attempt, Outcome
from vidsearch.ingest.content import VideoContent, read_content
from vidsearch.ingest.slices import Slice, SliceBoard
from vidsearch.ingest.source_circuit import SourceCircuit, unwatched
from vidsearch.media import Candidates, ThumbnailStore, open_source
from vidsearch.metrics import measured
from vidsearch.registry.lease_keeper import LeaseKeeper
from vidsearch.registry.registry import Registry
from vidsearch.stop import Stop
from vidsearch_mappings.registry import ErrorRecord, VideoRecord

__all__ = ["SliceWorker"]

_log = logging.getLogger(__name__)


class SliceWorker:
    """Embeds slices into the store.

    Args:
        registry: of the videos.
        board: of the slices.
        store: takes the vectors.
        embedder: gives what makes them, with the model of a concrete index; ``None``: of the one
            that is read at the time.
        settings: how often a slice is tried, and when it is given up.
        sources: where files may be read from.
        thumbnails: where candidates for thumbnails are left; ``None`` leaves none.
        circuit: keeps it from hosts that do not answer.
        stop: ends the work between two batches.
    """

    def __init__(
        self,
        registry: Registry,
        board: SliceBoard,
        store: EmbeddingStore,
        *,
        embedder: Callable[[str | None], FrameEmbedder],
        settings: IngestSettings,
        sources: SourceSettings,
        thumbnails: ThumbnailStore | None = None,
        circuit: SourceCircuit | None = None,
        stop: Stop | None = None,
    ) -> None:
        self._registry = registry
        self._board = board
        self._store = store
        self._embedder = embedder
        self._settings = settings
        self._sources = sources
        self._thumbnails = thumbnails
        self._watch = circuit.watch if circuit else unwatched
        self._stop = stop or Stop()
        self._held = _Held()

    @measured("slice")
    def embed(self, slice_id: str, *, owner: str) -> Outcome:
        """Embed one slice. Whatever happens is on the board afterwards.

        Args and errors are those of :meth:`Indexer.ingest`.
        """
        entries = self._board.entries
        try:
            lease = entries.claim(slice_id, owner=owner)
        except (LeaseLostError, VideoNotRegisteredError) as error:
            _log.info("slice skipped: %s", error)
            entry, outcome = entries.find(slice_id), Outcome("skipped", reason=str(error))
            # Its message comes again where the process was lost between the end of the slice and
            # the video.
            return outcome if entry is None else self._ended(Slice.of(entry), outcome)
        part = Slice.of(lease.record)
        with LeaseKeeper(entries, lease) as keeper:
            attempt = Attempt(
                entries, lease.record, keeper, settings=self._settings, stop=self._stop
            )
            # Where the engine ended before it answered, the first of two writes may have ended the
            # slice, and the second one finds the lease gone: no other worker has seen it end.
            is_lost = False
            try:
                outcome = self._embed(part, attempt)
            except Exception as error:
                outcome, is_lost = attempt.conclude(error), isinstance(error, LeaseLostError)
        ended = is_lost or outcome.status in {"indexed", "failed", "dead"}
        return self._ended(part, outcome) if ended else outcome

    def _ended(self, part: Slice, outcome: Outcome) -> Outcome:
        """With what waits for this slice, where it was the last one."""
        return outcome if self._board.is_waiting(part.siblings()) else _ready(part, outcome)

    def let_go(self) -> None:
        """Remove the copy of a remote file that this thread holds for its next slice."""
        self._held.let_go()

    def _embed(self, part: Slice, attempt: Attempt) -> Outcome:
        video = self._registry.find(part.video_id)
        if video is None or not part.is_wanted(video):
            outcome = self._give_back(part, attempt, "its video is no longer to be embedded")
            # Who changed the video sees to it, but the reindex waits for the other document.
            return _ready(part, outcome) if part.fill else outcome
        try:
            embedder = self._embedder(part.fill.target if part.fill else None)
        except IndexNotFoundError as error:
            if part.fill is None:
                raise
            return self._give_back(part, attempt, str(error))
        frames = self._frames(video, part, embedder, attempt)
        if frames is None:
            outcome = self._give_back(part, attempt, "the file of its video has changed")
            return _ready(part, outcome)
        lease, complete = attempt.keeper.finish(), self._board.entries.complete
        known = {"frames": len(frames), "damaged": frames.damaged, "seconds": attempt.end()}
        entry = attempt.outlast(partial(complete, lease, **known))
        _log.info("slice %s embedded: %r in %s", part, frames, attempt)
        return Outcome("indexed", record=entry)

    def _frames(
        self, video: VideoRecord, part: Slice, embedder: FrameEmbedder, attempt: Attempt
    ) -> FrameVectors | None:
        """Those of the store, which another slice of the same content may have kept, or made anew
        and kept; ``None`` where the file has changed."""
        model, begin, end = embedder.model, part.start, part.stop
        kept = partial(self._store.frames, part.content, model, start=begin, stop=end)
        with ExitStack() as stack:
            stack.enter_context(
                turn(
                    [self._store.shown, part.content, begin, end, model.compared()],
                    is_kept=lambda: kept() is not None,
                    folder=self._sources.folder,
                    longest=longest_wait(self._settings.time_limit),
                    waiting=partial(attempt.enter, "wait"),
                )
            )
            if (frames := kept()) is not None:
                return frames
            path = stack.enter_context(self._file(video, part, attempt))
            if path is None:
                return None
            candidates: Candidates | None = None
            if self._thumbnails is not None:
                candidates = stack.enter_context(Candidates.of(self._thumbnails))
            frames = embedder.embed(
                path, start=begin, stop=end, candidates=candidates, at=attempt.enter
            )
            attempt.enter("write")
            keep = partial(self._store.keep_frames, part.content, model, frames)
            try:
                attempt.outlast(partial(keep, start=begin, stop=end, required=True))
            except RequestTooLargeError as error:
                # Given to another worker, it would be decoded and encoded without end.
                raise DocumentRejectedError(f"its vectors cannot be kept: {error}") from error
            if self._thumbnails is not None and candidates is not None:
                self._thumbnails.leave_candidates(part.candidates_name(model), candidates)
            return frames

    @contextmanager
    def _file(self, video: VideoRecord, part: Slice, attempt: Attempt) -> Iterator[Path | None]:
        """The file of the video; ``None`` where it has changed."""
        if path := self._held.path_of(part.content):
            yield path
            return
        self._held.let_go()
        attempt.enter("fetch")
        with ExitStack() as stack:
            watch = self._watch(video.uri)
            source = stack.enter_context(
                open_source(video.uri, settings=self._sources, asking=watch)
            )
            found = read_content(
                source,
                known=VideoContent.of_record(video),
                trust=self._sources.trust_validators,
                subtitles=False,
                at=attempt.enter,
            )
            if found.hash != part.content:
                yield None
                return
            path = source.file().path
            if not source.is_local:
                self._held.keep(part.content, path, stack.pop_all())
            yield path

    def _give_back(self, part: Slice, attempt: Attempt, why: str) -> Outcome:
        entries = self._board.entries
        reason = ErrorRecord("SliceDropped", attempt.stage, why)
        entries.mark_gone(attempt.keeper.finish(), reason)
        entries.purge(attempt.record.id)
        _log.info("slice %s dropped: %s", part, why)
        return Outcome("skipped", reason=why)


def _ready(part: Slice, outcome: Outcome) -> Outcome:
    """With what no other slice is left to wait for."""
    if part.fill is not None:
        return replace(outcome, ready_fill=part.fill.id)
    return replace(outcome, ready=part.video_id)


class _Held(threading.local):
    """The copy of a remote file, from one slice to the next of the same thread, so that a worker
    fetches a film once."""

    content: str | None = None
    path: Path
    stack: ExitStack

    def path_of(self, content: str) -> Path | None:
        return self.path if self.content == content else None

    def keep(self, content: str, path: Path, stack: ExitStack) -> None:
        self.content, self.path, self.stack = content, path, stack

    def let_go(self) -> None:
        if self.content is not None:
            self.content = None
            self.stack.close()
