"""Documents that workers are to make in another index, from the frames of videos in the index.

During a reindex to another model, or to other segments, no document can be copied. Each has an
entry on the *board*, a registry of its own, with a lease and attempts as videos have them: so
nothing is lost with a worker, and what cannot be made is listed with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from vidsearch.config import IndexSettings
from vidsearch.engines import Json
from vidsearch.errors import IndexNotFoundError
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.board import Board
from vidsearch.registry.known_file import can_be_made
from vidsearch.registry.validation import NewVideo
from vidsearch_mappings.registry import GIVEN_UP, State, VideoRecord

__all__ = ["Fill", "FillBoard"]


@dataclass(frozen=True, slots=True)
class Fill:
    """A document that is to be made."""

    video_id: str
    target: str
    """The concrete index that lacks it."""
    of: str | None
    """The fingerprint of the video when it was asked for: where the video is ingested again
    meanwhile, this document is not made, and another one is asked for."""

    @classmethod
    def of_entry(cls, entry: VideoRecord) -> Fill:
        """From its entry on the board."""
        return cls(**{"of": None, **entry.fields})

    def is_wanted(self, record: VideoRecord) -> bool:
        """Whether the video is still as it was when the document was asked for."""
        return can_be_made(record) and record.fingerprint == self.of

    def to_fields(self) -> Json:
        """For its entry."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def id(self) -> str:
        """Of its entry. A video's own id may be as long as an id can be."""
        return f"{_digest(self.video_id)}-{_digest(self.of or '')}-{self.target}"


class FillBoard(Board):
    """The entries of documents to make, in the index ``<side_prefix><name>-fills``."""

    @staticmethod
    def index_of(settings: IndexSettings) -> str:
        """See :class:`Board`."""
        return settings.fills

    def add(self, records: Sequence[VideoRecord], target: VideosIndex) -> tuple[str, ...]:
        """Ask for the documents of videos in an index.

        What was given up stays so: :meth:`retry` asks for it again.

        Returns the ids of those for which messages are to be sent. Where that is not done, the
        sweep sends them.
        """
        self._ensure_index()
        fills = {
            fill.id: NewVideo(fill.id, record.uri, fill.to_fields())
            for record in records
            for fill in [Fill(record.id, target.name, record.fingerprint)]
        }
        states = {id: entry.state for id, entry in self.entries.find_many([*fills]).items()}
        lost = [id for id in fills if states.get(id) is State.INDEXED]
        added = [
            *self.entries.register_many([fills[id] for id in fills if id not in states]),
            *self.entries.reopen_many(lost),
        ]
        return tuple(
            one.id for one in added if one.require().state is State.REGISTERED and one.changed
        )

    def counts(self) -> dict[State, int]:
        """Number of documents by state: ``indexed`` are made, ``failed`` and ``dead`` given up."""
        return self.entries.counts() if self.exists else dict.fromkeys(State, 0)

    def retried(self) -> tuple[int, VideoRecord | None]:
        """Number of entries that workers try again after an error, and the latest of them."""
        return self.entries.retried() if self.exists else (0, None)

    def given_up(self) -> Iterator[VideoRecord]:
        """The entries that workers gave up, each with its error; ``Fill.of_entry`` reads them."""
        return self.entries.scan(*GIVEN_UP) if self.exists else iter(())

    def retry(self) -> tuple[str, ...]:
        """Ask again for what was given up; returns the ids for which messages are to be sent."""
        ids = [entry.id for entry in self.given_up()]
        return tuple(one.id for one in self.entries.retry_many(ids) if one.changed)

    def drop(self) -> None:
        """Forget all that was asked for, at the end of a reindex."""
        for name in self._engine.indices_of(self._index):
            try:
                self._engine.delete_index(name)
            except IndexNotFoundError:
                continue


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
