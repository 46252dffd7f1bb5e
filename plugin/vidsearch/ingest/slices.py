"""Long videos in slices: ranges of time that workers embed at once, each with its own lease.

Every slice has an entry in a registry of its own, the *board*. The lease of the video is handed
over to its slices meanwhile. Whoever ends the last one takes the video's lease again, and makes the
document from the store of embeddings. During a reindex it is the same with the lease of a document
that is to be made in another index: see :class:`Fill`.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from vidsearch.config import IndexSettings
from vidsearch.encoders import ModelIdentity
from vidsearch.engines import Json
from vidsearch.errors import IndexNotFoundError, SliceFailedError
from vidsearch.ingest.board import Board
from vidsearch.ingest.fill_board import Fill
from vidsearch.registry.validation import NewVideo
from vidsearch.time_ranges import time_range
from vidsearch_mappings.registry import (
    GIVEN_UP,
    IN_PROGRESS,
    Priority,
    State,
    VideoRecord,
)

__all__ = ["Slice", "SliceBoard", "are_waiting", "count_slices"]


def count_slices(duration: float | None, *, seconds: float) -> int:
    """Number of slices of a video; the last one has up to half as much more than the others.

    Args:
        duration: as the header says; ``None`` where it does not.
        seconds: length of a slice; 0 makes one of the whole video.
    """
    if not seconds or duration is None:
        return 1
    return max(1, int(duration / seconds + 0.5))


@dataclass(frozen=True, slots=True)
class Slice:
    """A range of one video's content."""

    video_id: str
    content: str
    """Hash of the bytes of its file."""
    number: int
    """From 0."""
    count: int
    """Of the video's slices."""
    seconds: float
    """Length of all but the last one."""
    fill: Fill | None = None
    """The document in another index that it is for, with the model of that index; ``None``: that in
    the index which is read."""

    @classmethod
    def all_of(
        cls, video_id: str, content: str, *, count: int, seconds: float, fill: Fill | None = None
    ) -> list[Slice]:
        """The slices of a video, in order."""
        return [cls(video_id, content, number, count, seconds, fill) for number in range(count)]

    @classmethod
    def of_video(cls, video: VideoRecord) -> list[Slice]:
        """The slices that a video is being embedded in; none where it is not."""
        return cls._planned(video, video.id)

    @classmethod
    def of_fill(cls, entry: VideoRecord) -> list[Slice]:
        """The same for a document in another index, by its entry on the board of fills."""
        fill = Fill.of_entry(entry)
        return cls._planned(entry, fill.video_id, fill=fill)

    @classmethod
    def _planned(
        cls, record: VideoRecord, video_id: str, *, fill: Fill | None = None
    ) -> list[Slice]:
        plan = record.source.get("slices")
        if plan is None or record.content is None or record.state not in IN_PROGRESS:
            return []
        return cls.all_of(video_id, record.content, **plan, fill=fill)

    @classmethod
    def of(cls, entry: VideoRecord) -> Slice:
        """From its entry on the board."""
        fields = dict(entry.fields)
        fill = fields.pop("fill", None)
        return cls(**fields, fill=Fill(**fill) if fill else None)

    def to_fields(self) -> Json:
        """For its entry."""
        fields = asdict(self)
        if self.fill is None:  # so that workers of an older version can read it
            del fields["fill"]
        return fields

    def is_wanted(self, video: VideoRecord) -> bool:
        """Whether its video is still to be embedded."""
        is_to_be = video.state in IN_PROGRESS if self.fill is None else self.fill.is_wanted(video)
        return is_to_be and video.content == self.content

    @property
    def id(self) -> str:
        """Of its entry. A video's own id may be as long as an id can be."""
        video = hashlib.sha256(self.video_id.encode()).hexdigest()[:24]
        of = video if self.fill is None else self.fill.id
        return f"{of}-{self.content[:16]}-{self.number}-of-{self.count}-by-{self.seconds:g}"

    @property
    def start(self) -> float:
        """Seconds."""
        return self._range[0]

    @property
    def stop(self) -> float | None:
        """Seconds; ``None`` for the last one."""
        return self._range[1]

    @property
    def _range(self) -> tuple[float, float | None]:
        return time_range(self.number, count=self.count, seconds=self.seconds)

    def candidates_name(self, model: ModelIdentity) -> str:
        """Of the candidates for thumbnails that its worker leaves."""
        about = [self.content, self.start, self.stop, model.compared()]
        return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()

    def siblings(self) -> list[Slice]:
        """All slices of its video, itself included."""
        return [replace(self, number=number) for number in range(self.count)]

    def __str__(self) -> str:
        end = "the end" if self.stop is None else f"{self.stop:g} s"
        return f"{self.start:g} s to {end} of video {self.video_id!r}"


def are_waiting(entries: Sequence[VideoRecord]) -> bool:
    """Whether one of the slices of a video is still to end, and none was given up."""
    states = {entry.state for entry in entries}
    return not states & GIVEN_UP and bool(states - {State.INDEXED, State.DELETED})


class SliceBoard(Board):
    """The entries of slices, in the index ``<side_prefix><name>-slices``."""

    @staticmethod
    def index_of(settings: IndexSettings) -> str:
        """See :class:`Board`."""
        return settings.slices

    def add(
        self, slices: Sequence[Slice], *, uri: str, priority: Priority = "interactive"
    ) -> tuple[str, ...]:
        """Put slices that are to be embedded on the board.

        Returns the ids of those for which messages are to be sent; the others are on their way.

        Raises:
            SliceFailedError: workers gave up one of them; or one is missing that the last of its
                attempts has embedded.
            BackendError: the engine did not answer, or does not let the index be made.
        """
        self._ensure_index()
        wanted = [NewVideo(one.id, uri, one.to_fields()) for one in slices]
        entries = {entry.id: entry for entry in self.of(slices)}
        lost: list[str] = []
        for one in slices:
            entry = entries.get(one.id)
            if entry is not None and entry.state in GIVEN_UP:
                raise SliceFailedError(f"{one}: {entry.error}")
            if entry is not None and entry.state is State.INDEXED:
                if entry.attempts >= self.entries.max_attempts:
                    raise SliceFailedError(
                        f"{one}: attempt {entry.attempts} embedded it, and the store of embeddings "
                        "lacks it all the same: all workers need the same store, in which they can "
                        "read what they have written (embeddings.url)"
                    )
                lost.append(one.id)
        self.entries.redo_many(lost)
        added = [one.require() for one in self.entries.register_many(wanted, priority=priority)]
        return tuple(entry.id for entry in added if entry.state is State.REGISTERED)

    def of(self, slices: Sequence[Slice]) -> list[VideoRecord]:
        """The entries of these slices that are on the board."""
        try:
            return list(self.entries.among([one.id for one in slices]))
        except IndexNotFoundError:
            return []

    def is_waiting(self, slices: Sequence[Slice]) -> bool:
        """See :func:`are_waiting`."""
        return are_waiting(self.of(slices))

    def counts(self, slices: Sequence[Slice] | None = None) -> dict[str, int]:
        """Number of slices by state, of these or of all that are not done; without empty states.

        Of ``slices``, those without an entry were done before, and count as ``indexed``.
        """
        if slices is None:
            totals = self.entries.counts() if self.exists else {}
            return {str(s): totals[s] for s in State if s in IN_PROGRESS and totals.get(s)}
        states = Counter(entry.state for entry in self.of(slices))
        states[State.INDEXED] += len(slices) - states.total()
        return {str(state): states[state] for state in State if states[state]}

    def clear_fills(self) -> None:
        """Take all slices off the board that are for documents in another index."""
        if self.exists:
            slices = map(Slice.of, self.entries.scan(*State))
            self.clear([one for one in slices if one.fill is not None])

    def clear(self, slices: Sequence[Slice]) -> None:
        """Take slices off the board."""
        ids = [entry.id for entry in self.of(slices)]
        self.entries.delete_many(ids)
        self.entries.purge_many(ids)
