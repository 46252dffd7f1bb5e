"""The results of queries in the old and in the new index, side by side, for a person to judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidsearch.config import SearchSettings
from vidsearch.encoders.base import Encoder
from vidsearch.engines import Json
from vidsearch.errors import BackendUnavailableError, VidsearchError
from vidsearch.index.videos_index import VideosIndex
from vidsearch.search import VideoSearch

__all__ = ["SideBySide", "compare_searches"]

_HITS = 10


@dataclass(frozen=True, slots=True)
class SideBySide:
    """One query, and the ids that are found, best first, each with its cosine."""

    query: str
    old: tuple[tuple[str, float | None], ...] = ()
    new: tuple[tuple[str, float | None], ...] = ()
    error: str | None = None
    """Why the new index could not be searched; ``None`` where it could."""

    @property
    def same(self) -> int:
        """Number of videos that both found."""
        return len({id for id, _ in self.old} & {id for id, _ in self.new})

    def rows(self) -> Iterator[tuple[int, str, str]]:
        """For a table: rank, hit of the old index, hit of the new one; at least one row."""
        none = "nothing" if self.error is None else "cannot be searched"
        for rank in range(max(len(self.old), len(self.new), 1)):
            yield rank + 1, _shown(self.old, rank), _shown(self.new, rank, none=none)

    def to_json(self) -> Json:
        """As plain values."""
        old, new = (
            [{"id": id, "cosine": cosine} for id, cosine in hits] for hits in (self.old, self.new)
        )
        return {
            "query": self.query,
            "same": self.same,
            "old": old,
            "new": new,
            **({} if self.error is None else {"error": self.error}),
        }

    @classmethod
    def from_json(cls, made: Mapping[str, Any]) -> SideBySide:
        """The inverse of :meth:`to_json`."""
        old, new = (
            tuple((hit["id"], hit["cosine"]) for hit in made[side]) for side in ("old", "new")
        )
        return cls(made["query"], old, new, made.get("error"))


def compare_searches(
    source: VideosIndex,
    target: VideosIndex,
    queries: Sequence[str],
    *,
    encoder_for: Callable[[VideosIndex], Encoder],
    settings: SearchSettings,
) -> tuple[SideBySide, ...]:
    """Search both indices for each query, each with its own model.

    Args:
        source, target: the indices, refreshed.
        queries: texts.
        encoder_for: gives the encoder of an index.
        settings: of searches.

    Raises:
        EncoderError: the model of the source cannot be loaded.
        BackendError: the source cannot be searched.
        BackendUnavailableError: nor can the target, for now: that says nothing of it.
    """
    if not queries:
        return ()
    old = _search(source, encoder_for, settings)
    found = {query: _hits(old, query) for query in queries}
    made = []
    for query in queries:
        try:
            hits = _hits(_search(target, encoder_for, settings), query)
        except BackendUnavailableError:
            raise
        except VidsearchError as error:
            made.append(SideBySide(query, found[query], error=str(error)))
        else:
            made.append(SideBySide(query, found[query], hits))
    return tuple(made)


def _search(
    index: VideosIndex, encoder_for: Callable[[VideosIndex], Encoder], settings: SearchSettings
) -> VideoSearch:
    return VideoSearch(index.engine, encoder_for(index), index=index.name, settings=settings)


def _hits(search: VideoSearch, query: str) -> tuple[tuple[str, float | None], ...]:
    return tuple((hit.id, hit.cosine) for hit in search.search(query, k=_HITS, moments=1).hits)


def _shown(hits: Sequence[tuple[str, float | None]], rank: int, *, none: str = "nothing") -> str:
    if rank >= len(hits):
        return "" if rank else none
    id, cosine = hits[rank]
    return id if cosine is None else f"{id} ({cosine:.3f})"
