"""How the changes of an index can be followed while it is copied, and who does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypedDict

from vidsearch.engines import Engine
from vidsearch.errors import BackendError, BackendUnavailableError
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.comparison import CompareVersions, FollowField, greatest, require_changed_field
from vidsearch.index.following import Follower
from vidsearch.index.point_in_time import PointInTime

__all__ = ["BY_NUMBERS", "FollowedBy", "Following", "following_of"]

FollowedBy = Literal["numbers", "field", "versions"]
"""By the numbers of writes; by a field that says when a document changed; by its version."""


class _OfAll(TypedDict):
    without: str | None
    alias: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """How changes are found."""

    by: FollowedBy = "numbers"
    field: str | None = None
    """Of the documents, where it is by one."""
    why: str | None = None
    """Why it is not by the numbers of writes."""

    def mark(self, engine: Engine, index: str) -> dict[str, int]:
        """Where an index is now, for a follower that is made later."""
        if self.by == "numbers":
            return {str(shard): number for shard, number in engine.checkpoints(index).items()}
        if self.field is None or (value := greatest(engine, index, self.field)) is None:
            return {}
        return {self.field: value}

    def follower(
        self,
        engine: Engine,
        source: str,
        target: str,
        *,
        since: Mapping[str, int] | None = None,
        without: str | None = None,
        alias: str | None = None,
    ) -> Follower:
        """What keeps ``target`` up to date with ``source``; see its classes for the arguments."""
        of: _OfAll = {"without": without, "alias": alias}
        if self.by == "numbers":
            return CatchUp(engine, source, target, since=since, **of)
        if self.field is None:
            return CompareVersions(engine, source, target, **of)
        return FollowField(engine, source, target, field=self.field, since=since, **of)


BY_NUMBERS = Following()


def following_of(engine: Engine, index: str, *, changed_field: str | None = None) -> Following:
    """The way that costs least of those that this cluster and these credentials have.

    Args:
        engine: the cluster.
        index: concrete index.
        changed_field: of the documents, to go by where the numbers of writes cannot be had.

    Raises:
        MappingConflictError: not every change would be found by that field.
    """
    if changed_field is not None:
        require_changed_field(engine, index, changed_field)
    why = _why_not_by_numbers(engine, index)
    if why is None:
        return BY_NUMBERS
    by: FollowedBy = "versions" if changed_field is None else "field"
    return Following(by=by, field=changed_field, why=why)


def _why_not_by_numbers(engine: Engine, index: str) -> str | None:
    """Tried with what each pass, and the swap, ask for."""
    try:
        engine.merging([index])
        engine.read_shards(index, {}, size=1)
        for shard in engine.checkpoints(index):
            point = PointInTime.of(engine, index, shard)
            try:
                point.counts([(0, 1)], width=1)
            finally:
                point.close()
            break
    except BackendUnavailableError:
        raise
    except BackendError as error:
        return str(error)
    except KeyError as missing:
        return f"the statistics of its shards lack {missing}"
    return None
