"""Videos that searches find, and whose document the target lacks, as they are not indexed now.

A worker is to embed them again, and what is known of their files is not what was indexed last (else
their documents are made of that): they are embedded again whatever has changed, or have another
file. Or it is that, and their document could not be made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vidsearch.batches import in_batches
from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry import ErrorRecord, Registry, State
from vidsearch.reindex.presence import number_of

__all__ = ["Unmade", "find_unmade", "one_of"]


@dataclass(frozen=True, slots=True)
class Unmade:
    """By id, with the error that the last attempt at them ended with."""

    awaited: dict[str, ErrorRecord | None] = field(default_factory=dict)
    """They are on their way."""
    dead: dict[str, ErrorRecord | None] = field(default_factory=dict)

    @property
    def waits_for(self) -> str | None:
        """What the target waits for, to be continued in a sentence; ``None``: nothing."""
        if not self.awaited:
            return None
        found = number_of("video", len(self.awaited))
        return f"{found} that searches find, to be embedded again{one_of(self.awaited)}"


def find_unmade(registry: Registry, source: VideosIndex, target: VideosIndex) -> Unmade:
    """Look for them in real time, by the records of all videos that were indexed before."""
    unmade = Unmade()
    for batch in in_batches(registry.indexed_before()):
        ids = [record.id for record in batch]
        had, there = (
            index.engine.mget(index.name, ids, source=False).keys() for index in (source, target)
        )
        for record in batch:
            if record.id in had and record.id not in there:
                of = unmade.dead if record.state is State.DEAD else unmade.awaited
                of[record.id] = record.error
    return unmade


def one_of(found: Mapping[str, ErrorRecord | None]) -> str:
    """For a message: one of some videos, best one with an error that says why."""
    id = next((id for id, error in found.items() if error), next(iter(found)))
    return f", such as {id!r}" + (f": {found[id]}" if found[id] else "")
