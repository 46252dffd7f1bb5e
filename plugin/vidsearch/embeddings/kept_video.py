"""What is kept of one file, and what is made of it where it is not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from vidsearch.embeddings.frame_vectors import FrameVectors
from vidsearch.errors import SourceNotFoundError
from vidsearch.time_ranges import time_range

if TYPE_CHECKING:
    from vidsearch.embeddings.store import EmbeddingStore
    from vidsearch.encoders import ModelIdentity

__all__ = ["KeptVideo"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_MOST_FACTS = 8
"""Entries of one kind that are kept per file: one per choice of languages, segments, …"""
_SLICES = "slices"
"""The kind of the facts that tell in how many slices a file was embedded, by their length."""


class KeptVideo:
    """What is kept of one file. What is asked for and was not kept is made, and kept.

    Args:
        store: ``None`` keeps nothing.
        content: hash of the file's bytes.
    """

    def __init__(self, store: EmbeddingStore | None, content: str) -> None:
        self._store = store
        self.content = content
        self._frames: FrameVectors | None = None
        self._looked = False
        self._facts: dict[str, dict[str, Any]] | None = None
        self.joined: tuple[int, float] | None = None
        """Number and length of the slices that the frames were found in; ``None``: in none."""
        self.is_lacking = False
        """Whether the file was gone when something of it was asked for that is not kept."""

    @property
    def place(self) -> str | None:
        """Where what is made of it is kept, as messages show it; ``None`` where nothing is."""
        return None if self._store is None else self._store.shown

    def look_again(self) -> None:
        """Ask the store once more: somebody else may have kept something meanwhile."""
        self._frames, self._facts, self._looked = None, None, False
        self.joined = None

    @property
    def had_frames(self) -> bool:
        """Whether the frames of the whole video were found, so that none was made."""
        return self._frames is not None

    def frames(self, model: ModelIdentity, make: Callable[[], FrameVectors]) -> FrameVectors:
        """The frames of the whole video."""
        kept = self.find_frames(model)
        if kept is not None:
            return kept
        made = make()
        return made if self._store is None else self._store.keep_frames(self.content, model, made)

    def find_frames(self, model: ModelIdentity) -> FrameVectors | None:
        """The frames of the whole video as they were kept, in one piece or in slices of any length;
        ``None`` where they were not.

        The store is asked once, and for the facts as well.
        """
        if self._store is not None and not self._looked:
            self._looked = True
            self._frames, facts = self._store.whole(self.content, model)
            self._facts = facts if self._facts is None else self._facts
            if self._frames is None:
                self._find_slices(model)
        return self._frames

    def _find_slices(self, model: ModelIdentity) -> None:
        assert self._store is not None
        for key, count in reversed([*self._kept_facts(_SLICES).items()]):
            seconds, found = float(key.partition(" ")[0]), list[FrameVectors]()
            for number in range(count):
                start, stop = time_range(number, count=count, seconds=seconds)
                frames = self._store.frames(self.content, model, start=start, stop=stop)
                if frames is None:
                    break
                found.append(frames)
            else:
                self._frames, self.joined = FrameVectors.joined(found), (count, seconds)
                return

    def number_of_slices(self, seconds: float, *, reader: str, make: Callable[[], int]) -> int:
        """In how many slices of a length a reader can read the file; 1 where it cannot, or the file
        is short. It is kept for as long as the slices, which are found by it."""
        number: int = self.fact(
            _SLICES,
            f"{seconds:g} {reader}",
            make,
            restore=int,
            plain=lambda slices: slices if slices > 1 else None,
        )
        return number

    def missing_slices(self, model: ModelIdentity, *, count: int, seconds: float) -> list[int]:
        """The numbers of those slices that are not kept; where all are, their frames are taken.

        Raises:
            VidsearchError: the store did not answer. Taken for not kept, they would be embedded
                again, and not found again.
        """
        assert self._store is not None
        read = partial(self._store.frames, self.content, model, required=True)
        ranges = [time_range(number, count=count, seconds=seconds) for number in range(count)]
        found = [read(start=start, stop=stop) for start, stop in ranges]
        there = [frames for frames in found if frames is not None]
        if len(there) == len(found):
            self._frames, self.joined = FrameVectors.joined(there), (count, seconds)
        return [number for number, frames in enumerate(found) if frames is None]

    def fact(
        self,
        kind: str,
        key: str,
        make: Callable[[], _T],
        *,
        restore: Callable[[Any], _T | None],
        plain: Callable[[_T], Any],
        without: Callable[[Mapping[str, Any]], _T] | None = None,
    ) -> _T:
        """A fact of the file. The facts that were kept are read once.

        Args:
            kind: of the facts that are kept together.
            key: which of them.
            make: makes it.
            restore: from JSON; ``None`` where it is no longer true, or not understood.
            plain: to JSON; ``None`` where it is not worth keeping.
            without: gives what to go on with where the frames are kept and the file is gone; called
                with what is kept of the kind, by key, the newest last. ``None`` raises.

        Raises:
            SourceNotFoundError: the file is gone; or what else ``make`` raises.
        """
        if self._store is None:
            return make()
        kind_facts = self._kept_facts(kind)
        kept = kind_facts.get(key)
        restored = None if kept is None else restore(kept)
        if restored is not None:
            return restored
        try:
            made = make()
        except SourceNotFoundError as error:
            if without is None or not self.had_frames:
                raise
            _log.warning("going on by what is kept of its %s, as the file is gone: %s", kind, error)
            self.is_lacking = True
            return without(kind_facts)
        value = plain(made)
        if value is not None:
            others = {other: fact for other, fact in kind_facts.items() if other != key}
            latest = {**others, key: value}
            facts = {**(self._facts or {}), kind: dict(list(latest.items())[-_MOST_FACTS:])}
            self._facts = facts
            self._store.keep_facts(self.content, facts)
        return made

    def _kept_facts(self, kind: str) -> dict[str, Any]:
        if self._facts is None:
            self._facts = {} if self._store is None else self._store.facts(self.content)
        return self._facts.get(kind, {})
