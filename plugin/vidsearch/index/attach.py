"""Attach vidsearch to an index of the user, and detach it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vidsearch.config import IndexSettings
from vidsearch.defaults import OUTAGE_SECONDS
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Engine
from vidsearch.errors import BackendUnavailableError, MappingConflictError, VidsearchError
from vidsearch.index.attachment import attached_name, wanted_attachment
from vidsearch.index.copy import copy_with_settings, explained
from vidsearch.index.copy_note import undo_broken_copy
from vidsearch.index.follow import following_of
from vidsearch.index.replacement import keep_attachment
from vidsearch.index.videos_index import open_videos_index
from vidsearch.outages import Outages, log_outage
from vidsearch.registry.index import (
    drop_registry_index,
    dropped_on_error,
    ensure_registry_index,
)
from vidsearch_mappings.attached import has_vidsearch_object, without_meta

__all__ = ["Attached", "attach_index", "detach_index"]

_PASSES = 20
_KEEP_SECONDS = 10.0
"""For which the engine may be away when a copy is in place."""


@dataclass(frozen=True, slots=True)
class Attached:
    """What attaching did."""

    index: str
    """The concrete index that has the vidsearch object now."""
    registry: str
    name: str
    """What ``index.name`` has to be set to."""
    copied_from: str | None = None
    """The index that was copied, which is kept, and takes no writes any more."""
    blocked_seconds: float = 0.0
    """How long writes were refused, around the move of the aliases to the copy."""
    problem: str | None = None
    """What could not be done beside it, and what does it: a sentence."""


def attach_index(
    engine: Engine,
    settings: IndexSettings,
    identity: ModelIdentity,
    *,
    uri_field: str,
    copy_to: str | None = None,
    changed_field: str | None = None,
    undone: Callable[[str, str], None] = lambda index, copy: None,
    confirm: Callable[[str, str], None] = lambda index, copy: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    outage_seconds: float = OUTAGE_SECONDS,
    on_outage: Callable[[BackendUnavailableError, float], object] = log_outage,
) -> Attached:
    """Add the vidsearch object to the mapping of ``settings.name``, and make the registry.

    Nothing else in the mapping is touched. Where the settings that an index is created with do not
    suit (OpenSearch without ``index.knn``), the index is copied while the application goes on
    writing; see :func:`copy_with_settings`.

    Args:
        engine: the cluster.
        settings: name (index or alias), object, quantization and so on.
        identity: the model whose vectors it will hold.
        uri_field: dotted path of the user's field with a video's URI.
        copy_to: name of the copy, where one is needed.
        changed_field: a field of your documents that says when one changed, for a copy where the
            numbers of writes cannot be followed.
        undone: told the names of the index and its copy where an earlier copy had broken off, and
            left the index without writes, which was undone first.
        confirm: told the names of the index and its copy before copying; what it raises ends it.
        progress: told how many documents of how many are copied.
        outage_seconds: for which the engine may be away or overloaded until a copy is undone.
        on_outage: told the error, and in how many seconds the copy goes on; by default that is
            logged.

    Raises:
        IndexNotFoundError: no such index or alias.
        MappingConflictError: it cannot be attached; the message says why, and what would help.
        ConfigError: the engine lacks the setting ``index.quantization``.
    """
    name = attached_name(engine, settings)
    if broken := undo_broken_copy(engine, name):
        undone(name, broken)
    wanted = wanted_attachment(engine, settings, identity, name=name, uri_field=uri_field)
    if wanted is None:
        ensure_registry_index(engine, settings)
        keep_attachment(engine, settings, name)
        return Attached(name, settings.registry, settings.name)
    lacking = wanted.lacking
    if not lacking:
        made = not engine.indices_of(settings.registry)
        ensure_registry_index(engine, settings)
        with dropped_on_error(engine, settings, made=made), explained(name):
            engine.put_mapping(name, wanted.added)
            keep_attachment(engine, settings, name)
        return Attached(name, settings.registry, settings.name)
    copy, blocked = copy_with_settings(
        engine,
        name,
        alias=None if settings.name == name else settings.name,
        settings=lacking,
        mapping=wanted.mapping,
        to=copy_to,
        confirm=confirm,
        before_swap=lambda copy: ensure_registry_index(engine, _named(settings, name, copy)),
        progress=progress,
        following=following_of(engine, name, changed_field=changed_field),
        outage_seconds=outage_seconds,
        on_outage=on_outage,
    )
    settings = _named(settings, name, copy)
    return Attached(
        copy,
        settings.registry,
        settings.name,
        copied_from=name,
        blocked_seconds=blocked,
        problem=_kept_or_problem(engine, settings, copy),
    )


def detach_index(
    engine: Engine,
    settings: IndexSettings,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> int:
    """Take the vidsearch object out of every document, and drop the registry. Safe to repeat.

    Each document is written back as it was before: if nobody wrote it meanwhile, else it is read
    again. The registry goes first, so no worker begins or ends anything; the entry in ``_meta``
    goes last, so a run that broke off is taken up by the next. The field stays in the mapping, as
    engines cannot remove one, and is empty.

    ``progress`` is told how many documents of how many are done. Returns the number of documents
    that held something of vidsearch.

    Raises:
        IndexNotFoundError: no such index.
        MappingConflictError: it is not attached.
    """
    index = open_videos_index(engine, settings, replacement=True)
    if not index.attached:
        raise MappingConflictError(
            f"index {index.name!r} was made by `vidsearch index create`, there is nothing "
            "to detach: `vidsearch index drop` drops it"
        )
    drop_registry_index(engine, settings)
    done = 0
    for _ in range(_PASSES):
        engine.refresh(index.name)
        left = engine.count(index.name, has_vidsearch_object(index.field))
        if not left:
            engine.put_mapping(index.name, without_meta(engine.mapping(index.name)))
            return done
        for found in engine.scan(index.name, query=has_vidsearch_object(index.field), source=False):
            index.remove(found.id, routing=found.routing)
            done += 1
            progress(done, max(done, left))
    raise MappingConflictError(
        f"documents of index {index.name!r} keep getting their vidsearch object back: does "
        f"another program write the field {index.field!r}? Stop it, then detach again"
    )


def _kept_or_problem(engine: Engine, settings: IndexSettings, copy: str) -> str | None:
    """The copy is in place, so that attaching has succeeded, whatever becomes of this."""
    try:
        Outages(_KEEP_SECONDS).outlast(lambda: keep_attachment(engine, settings, copy))
    except VidsearchError as error:
        return (
            f"it could not be noted in {settings.registry!r} how {copy!r} is attached, by which "
            "an index that takes its place is attached as well: the next `vidsearch scan` does "
            f"that ({error})"
        )
    return None


def _named(settings: IndexSettings, index: str, copy: str) -> IndexSettings:
    """With the copy's name, where the application uses no alias that is moved to it."""
    return settings.model_copy(update={"name": copy}) if settings.name == index else settings
