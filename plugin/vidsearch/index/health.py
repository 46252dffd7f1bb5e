"""Whether the index holds what a search needs, and takes what a worker writes."""

from __future__ import annotations

from vidsearch.engines import Engine
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.errors import MappingConflictError

__all__ = ["require_vectors", "write_blocks"]

_BLOCKS = ("write", "read_only", "read_only_allow_delete")


def require_vectors(calls: Calls, name: str, field: str, *, all_of_them: bool) -> Steps[None]:
    """Refuse an index whose documents say that they were embedded, but hold no vectors.

    ``name`` is an index or alias, ``field`` the vidsearch object. Such an index was copied by a
    tool that leaves vectors out; a search would find nothing, and not say why.

    Raises:
        MappingConflictError: none of them has its vector, or, with ``all_of_them``, some lack it.
    """
    embedded = yield from _count(calls, name, field, "fingerprint")
    if not embedded:
        return
    whole = yield from _count(calls, name, field, "fingerprint", "vector")
    if whole == embedded or (whole and not all_of_them):
        return
    raise MappingConflictError(
        f"{embedded - whole} of {embedded} videos of index {name!r} have lost their vectors "
        f"({field}.vector): it was copied without them. Copy it again with all of _source, "
        "or embed them again with `vidsearch reindex --all`"
    )


def write_blocks(engine: Engine, index: str) -> list[str]:
    """The settings of an index that forbid writing to it."""
    blocks = engine.settings(index).get("blocks") or {}
    return [f"index.blocks.{name}" for name in _BLOCKS if str(blocks.get(name)).lower() == "true"]


def _count(calls: Calls, name: str, field: str, *filled: str) -> Steps[int]:
    exist = [{"exists": {"field": f"{field}.{one}"}} for one in filled]
    return (yield from calls.count(name, {"bool": {"filter": exist}}))
