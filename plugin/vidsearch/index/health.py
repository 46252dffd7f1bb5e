"""Whether the index holds what a search needs, and takes what a worker writes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from vidsearch.engines import Engine, Json
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Steps
from vidsearch.errors import MappingConflictError
from vidsearch_mappings.diff import flattened

__all__ = ["blocks_among", "cluster_blocks", "lost_vectors", "require_vectors", "write_blocks"]

_BLOCKS = ("write", "read_only", "read_only_allow_delete")


def lost_vectors(field: str) -> Json:
    """A query for the documents that say that they were embedded, but hold no vector.

    ``field`` is the vidsearch object.
    """
    embedded, with_vector = _exists(field, "fingerprint"), _exists(field, "vector")
    return {"bool": {"filter": [embedded], "must_not": [with_vector]}}


def _exists(field: str, name: str) -> Json:
    return {"exists": {"field": f"{field}.{name}"}}


def require_vectors(calls: Calls, name: str, field: str, *, all_of_them: bool) -> Steps[None]:
    """Refuse an index whose documents say that they were embedded, but hold no vectors.

    ``name`` is an index or alias, ``field`` the vidsearch object. Such an index was copied by a
    tool that leaves vectors out, or an application wrote back documents as it had read them; a
    search would find nothing, and not say why.

    Raises:
        MappingConflictError: none of them has its vector, or, with ``all_of_them``, some lack it.
    """

    def number(query: Json) -> Steps[int]:
        return calls.count(name, query, refreshed=all_of_them)

    lost = yield from number(lost_vectors(field))
    if not lost:  # as a rule, and a search that finds nothing waits for it, with any copy
        return
    both = [_exists(field, "fingerprint"), _exists(field, "vector")]
    whole = yield from number({"bool": {"filter": both}})
    if whole and not all_of_them:
        return
    raise MappingConflictError(
        f"{lost} of {lost + whole} videos of index {name!r} have lost their vectors "
        f"({field}.vector): it was copied without them, or your application wrote documents back "
        "as it had read them, which leaves vectors out. `vidsearch reindex --missing` writes them "
        "again; or copy the index again with all of _source"
    )


def write_blocks(engine: Engine, index: str) -> list[str]:
    """The settings of an index that forbid writing to it."""
    return blocks_among(_BLOCKS, flattened(engine.settings(index)))


def cluster_blocks(calls: Calls) -> Steps[list[str]]:
    """The settings of the whole cluster that forbid writing to any index.

    Raises:
        BackendAccessDeniedError: the right `monitor` is missing.
    """
    answer = yield from calls.dialect.request(
        "GET", "/_cluster/settings", params={"flat_settings": "true"}
    )
    # A transient setting counts before a persistent one of the same name.
    settings = {**answer.body.get("persistent", {}), **answer.body.get("transient", {})}
    names = [f"cluster.blocks.{name}" for name in ("read_only", "read_only_allow_delete")]
    return [name for name in names if str(settings.get(name)).lower() == "true"]


def blocks_among(names: Iterable[str], settings: Mapping[str, Any]) -> list[str]:
    """Those blocks that are set, of an index with these settings (dotted names below ``index``)."""
    set_ = (name for name in names if str(settings.get(f"blocks.{name}")).lower() == "true")
    return [f"index.blocks.{name}" for name in set_]
