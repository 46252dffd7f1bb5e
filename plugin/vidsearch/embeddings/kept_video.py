"""What is kept of one file, and what is made of it where it is not."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from vidsearch.embeddings.frame_vectors import FrameVectors
from vidsearch.errors import SourceNotFoundError

if TYPE_CHECKING:
    from vidsearch.embeddings.store import EmbeddingStore
    from vidsearch.encoders import ModelIdentity

__all__ = ["KeptVideo"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_MOST_FACTS = 8
"""Entries of one kind that are kept per file: one per choice of languages, segments, …"""


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
        self.is_lacking = False
        """Whether the file was gone when something of it was asked for that is not kept."""

    @property
    def place(self) -> str | None:
        """Where what is made of it is kept, as messages show it; ``None`` where nothing is."""
        return None if self._store is None else self._store.shown

    def look_again(self) -> None:
        """Ask the store once more: somebody else may have kept something meanwhile."""
        self._frames, self._facts, self._looked = None, None, False

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
        """The frames of the whole video as they were kept; ``None`` where they were not.

        The store is asked once, and for the facts as well.
        """
        if self._store is not None and not self._looked:
            self._looked = True
            self._frames, facts = self._store.whole(self.content, model)
            self._facts = facts if self._facts is None else self._facts
        return self._frames

    def join_frames(
        self, model: ModelIdentity, ranges: Sequence[tuple[float, float | None]]
    ) -> list[int]:
        """Take the frames of the whole video from ranges that follow each other.

        Returns the numbers of the ranges that are not kept; where there are some, nothing is taken.

        Raises:
            VidsearchError: the store did not answer. Taken for not kept, they would be embedded
                again, and not found again.
        """
        assert self._store is not None
        read = partial(self._store.frames, self.content, model, required=True)
        found = [read(start=start, stop=stop) for start, stop in ranges]
        there = [frames for frames in found if frames is not None]
        if len(there) == len(found):
            self._frames = FrameVectors.joined(there)
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
        if self._facts is None:
            self._facts = self._store.facts(self.content)
        kind_facts = self._facts.get(kind, {})
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
            self._facts[kind] = dict(list(latest.items())[-_MOST_FACTS:])
            self._store.keep_facts(self.content, self._facts)
        return made
