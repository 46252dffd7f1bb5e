"""A board: work beside the videos, in a registry of its own, with leases and attempts."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable

from vidsearch.config import IndexSettings
from vidsearch.engines import Engine
from vidsearch.registry import transitions
from vidsearch.registry.index import ensure_board_index
from vidsearch.registry.registration import Registration
from vidsearch.registry.registry import Registry
from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["Board", "BoardEntries"]


class BoardEntries(Registry):
    """The entries of a board."""

    def redo_many(self, ids: Iterable[str]) -> tuple[Registration, ...]:
        """Have work that is done be done again, as its result is lost. Its attempts count on."""
        return self._change_many(ids, _redone)


def _redone(record: VideoRecord, now: float) -> VideoRecord:
    if record.state is not State.INDEXED:
        return record
    return transitions.reopen(record, now, forget=False).changed(attempts=record.attempts)


class Board(ABC):
    """The entries of one kind of work, in a side index that is made with the first of them.

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
        self._index = self.index_of(settings)
        self.entries = BoardEntries(
            engine,
            index=self._index,
            lease_seconds=lease_seconds,
            max_attempts=max_attempts,
            reserved="",
            allow_credentials=True,  # the video's URI was checked when it was registered
            clock=clock,
        )

    @staticmethod
    @abstractmethod
    def index_of(settings: IndexSettings) -> str:
        """Alias of the side index."""

    @property
    def exists(self) -> bool:
        """Whether there ever was an entry."""
        return bool(self._engine.indices_of(self._index))

    def _ensure_index(self) -> None:
        ensure_board_index(self._engine, self._settings, self._index)
