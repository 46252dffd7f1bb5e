"""Documents that workers are to make in another index, from the frames of videos that are indexed.

During a reindex to another model, or to other segments, no document can be copied. Each has an
entry on the *board*, a registry of its own, with a lease and attempts as videos have them: so
nothing is lost with a worker, and what cannot be made is listed with the reason.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from vidsearch.config import IndexSettings
from vidsearch.engines import Engine, Json
from vidsearch.errors import IndexNotFoundError
from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry.index import ensure_board_index
from vidsearch.registry.registry import Registry
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
        return record.state is State.INDEXED and record.fingerprint == self.of

    def to_fields(self) -> Json:
        """For its entry."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @property
    def id(self) -> str:
        """Of its entry. A video's own id may be as long as an id can be."""
        return f"{_digest(self.video_id)}-{_digest(self.of or '')}-{self.target}"


class FillBoard:
    """The entries of documents to make, in the index ``<side_prefix><name>-fills``.

    Args:
        engine: the cluster.
        settings: the section ``index``.
        lease_seconds: see :class:`Registry`.
        max_attempts: see :class:`Registry`.
        clock: see :class:`Registry`.
    """

    def __init__(
        self,
        engine: Engine,
        settings: IndexSettings,
        *,
        lease_seconds: float,
        max_attempts: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self.entries = Registry(
            engine,
            index=settings.fills,
            lease_seconds=lease_seconds,
            max_attempts=max_attempts,
            reserved="",
            allow_credentials=True,  # the video's URI was checked when it was registered
            clock=clock,
        )

    @property
    def exists(self) -> bool:
        """Whether a document was ever asked for."""
        return bool(self._engine.indices_of(self._settings.fills))

    def add(self, records: Sequence[VideoRecord], target: VideosIndex) -> tuple[str, ...]:
        """Ask for the documents of indexed videos in an index.

        What was given up stays so: :meth:`retry` asks for it again.

        Returns the ids of those for which messages are to be sent. Where that is not done, the
        sweep sends them.
        """
        ensure_board_index(self._engine, self._settings, self._settings.fills)
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

    def given_up(self) -> Iterator[VideoRecord]:
        """The entries that workers gave up, each with its error; ``Fill.of_entry`` reads them."""
        return self.entries.scan(*GIVEN_UP) if self.exists else iter(())

    def retry(self) -> tuple[str, ...]:
        """Ask again for what was given up; returns the ids for which messages are to be sent."""
        ids = [entry.id for entry in self.given_up()]
        return tuple(one.id for one in self.entries.retry_many(ids) if one.changed)

    def drop(self) -> None:
        """Forget all that was asked for, at the end of a reindex."""
        for name in self._engine.indices_of(self._settings.fills):
            try:
                self._engine.delete_index(name)
            except IndexNotFoundError:
                continue


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:24]
