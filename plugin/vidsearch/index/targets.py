"""The indices that a write has to reach: the one that is read, and those of the write alias.

While an index is reindexed, the alias ``<alias>-write`` stands for the old and the new one. There
is none otherwise, and then :func:`other_indices` costs the one request that says so.
"""

from __future__ import annotations

import logging

from vidsearch.engines import Engine
from vidsearch.errors import (
    BackendAccessDeniedError,
    IndexNotFoundError,
    MappingConflictError,
    ReindexError,
)
from vidsearch.index.description import IndexDescription, description_of
from vidsearch.index.videos_index import VideosIndex
from vidsearch_mappings.names import write_alias_of

__all__ = ["are_alike", "open_concrete", "other_indices", "refuse_while_reindexed"]

_log = logging.getLogger(__name__)


def other_indices(index: VideosIndex) -> tuple[VideosIndex, ...]:
    """The indices besides this one that a write to it has to reach, as of now.

    To be asked *after* the write: an index that joins later is filled from what is stored then. The
    one that is read comes first, where the alias was moved since ``index`` was opened.

    Raises:
        BackendUnavailableError: the engine does not answer.
    """
    others: list[VideosIndex] = []
    for name in _others(index):
        try:
            others.append(open_concrete(index.engine, name, alias=index.alias))
        except IndexNotFoundError:  # it was dropped at this moment, as a run was rolled back
            _log.info("index %r is gone", name)
        except MappingConflictError as error:  # an alias of the user happens to have this name
            _log.debug("index %r is not written as well: %s", name, error)
    return tuple(others)


def refuse_while_reindexed(index: VideosIndex, what: str) -> None:
    """Refuse what a reindex cannot follow. ``what`` begins the message: ``"videos are purged"``.

    Raises:
        ReindexError: more indices are written than the one that is read.
    """
    names = [other.name for other in other_indices(index)]
    if names:
        raise ReindexError(
            f"{what} after the reindex of {index.alias!r} only, which writes {', '.join(names)} "
            "as well: `vidsearch reindex list` shows how far it is, and what ends it"
        )


def open_concrete(engine: Engine, name: str, *, alias: str) -> VideosIndex:
    """Open one of the indices of an alias by its own name.

    Raises:
        IndexNotFoundError: there is none of that name.
        MappingConflictError: it was not made by vidsearch.
    """
    found = description_of(engine.mapping(name), name=name, alias=alias)
    return VideosIndex(**found.values(), engine=engine)


def are_alike(one: IndexDescription, other: IndexDescription) -> bool:
    """Whether a document of one, as it is, is right in the other: the same model, segments and
    layout. How the engine keeps the vectors makes no difference."""
    return (one.identity, one.segment_seconds, one.layout, one.field) == (
        other.identity,
        other.segment_seconds,
        other.layout,
        other.field,
    )


def _others(index: VideosIndex) -> list[str]:
    read, write = index.alias, write_alias_of(index.alias)
    try:
        behind = index.engine.indices_behind([read, write])
    except BackendAccessDeniedError as error:
        # These credentials were given no right to the write alias, as no reindex is done with them.
        _log.debug("whether %r is being reindexed is not known: %s", index.alias, error)
        return []
    names = [*behind[read], *behind[write]] if len(behind[read]) == 1 else [*behind[write]]
    return [name for name in dict.fromkeys(names) if name != index.name]
