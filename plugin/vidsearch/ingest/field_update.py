"""Change the fields of videos without reading their files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from vidsearch.batches import in_batches
from vidsearch.compare_and_set import keeps_changing, until_unchanged
from vidsearch.engines import Document, Json, Write
from vidsearch.errors import (
    BulkError,
    DocumentRejectedError,
    RegistryError,
    VersionConflictError,
    VidsearchError,
)
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.document import fields_of, with_fields
from vidsearch.ingest.field_values import explained, refuse_changed_numbers
from vidsearch.ingest.mirror import mirror_to_others
from vidsearch.registry.field_change import FieldChange
from vidsearch.registry.registration import Registration
from vidsearch.registry.registry import Registry
from vidsearch.registry.validation import checked_fields
from vidsearch.signed_urls import same_file
from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["lack_fields", "update_fields", "write_fields"]

_DOCUMENTS = 50
"""Per request: whole documents with their vectors, of long videos megabytes each."""


def update_fields(
    registry: Registry, index: VideosIndex, id: str, fields: Mapping[str, Any]
) -> VideoRecord:
    """Change some of a video's fields in the registry, and in its document where it has one.

    The document of a video that failed, is dead or is on its way gets them as well: searches show
    it until a worker has written another one. Numbers that the index would change are refused
    before anything is stored. See :func:`write_fields` for the rest.

    Raises:
        RegistryError: a field cannot be stored, or the index is attached.
        VideoNotRegisteredError: it was never registered, or was deleted.
        DocumentRejectedError: the index does not take a value, or would change a number.
        VersionConflictError: the document keeps changing.
    """
    if index.attached:
        raise _of_application(id, index)
    plain = checked_fields(fields, id=id, reserved=index.field, none_removes=True)
    refuse_changed_numbers(plain, index.properties, own_templates=index.own_templates)
    stored = registry.set_fields(id, plain)
    record = stored.record
    if record.indexed_at is None or (record.state is State.INDEXED and not lack_fields(record)):
        return record
    kept = {name: value for name, value in plain.items() if value is not None}
    removed = frozenset(plain.keys() - kept.keys())
    change = FieldChange(kept, removed, before=(stored.before or record).fields)
    (written,) = write_fields(registry, index, [id], own={id: change})
    return written.require()


def lack_fields(record: VideoRecord) -> bool:
    """Whether a video is indexed, and its document has not got its fields yet."""
    return record.state is State.INDEXED and record.due_at is not None


def write_fields(
    registry: Registry,
    index: VideosIndex,
    ids: Sequence[str],
    *,
    own: Mapping[str, FieldChange] | None = None,
) -> list[Registration]:
    """Write the registered fields of videos into the documents that searches show.

    Documents are read before records, and written only if they have not changed since: of several
    updates at once all take effect. An indexed video whose document is gone, or keeps no vectors,
    is made ``registered``: the caller enqueues it, and a worker writes the whole document. During a
    reindex the other index gets them as well, before they count as written.

    Args:
        registry: of the videos.
        index: opened.
        ids: of the videos.
        own: by id, what the caller has changed; by default all fields of the record. Of a video
            that is not indexed this alone is written, and where it has a ``uri``, into a document
            of that file only: the rest may be of another file.

    Returns one for each id, in their order. ``error`` says why a document does not have the fields:
    the index does not take those of the caller, and record and document have the former ones, but
    for what others have changed; the index is attached, and the record has none now; or the
    document keeps changing, and the sweep will have a worker write it.
    """
    if index.attached:
        return _without_fields(registry, index, ids)
    ends: dict[str, Registration] = {}
    rest = list(ids)

    def write() -> None:
        nonlocal rest
        for batch in in_batches(rest, _DOCUMENTS):
            ends.update(_write_batch(registry, index, batch, own or {}))
        rest = [id for id in rest if id not in ends]
        if rest:
            raise VersionConflictError("told by id below")

    with suppress(VersionConflictError):
        until_unchanged(write, of=index.name)
    return [ends.get(id) or Registration(id, error=keeps_changing(index.called(id))) for id in ids]


def _write_batch(
    registry: Registry, index: VideosIndex, ids: Sequence[str], own: Mapping[str, FieldChange]
) -> dict[str, Registration]:
    """What became of each, but for those that changed meanwhile."""
    documents = index.engine.mget(index.name, ids)
    records = registry.find_many(ids)
    changes: dict[str, FieldChange] = {}
    done: dict[str, Mapping[str, Any]] = {}
    """The fields that documents have, by id."""
    lost: list[str] = []
    wanted: dict[str, list[Json]] = {}
    for id in ids:
        record, document = records.get(id), documents.get(id)
        is_shown = document is not None and "vector" in (document.source.get(index.field) or {})
        if record is not None and not is_shown and lack_fields(record):
            lost.append(id)
        elif (
            record is None
            or document is None
            or not is_shown
            or not _is_to_write(record, own.get(id), document.source[index.field])
        ):
            done[id] = record.fields if record else {}  # another was faster, or a worker is at it
        else:
            changes[id] = own.get(id) or FieldChange(record.fields, removed=None)
            wanted[id] = _wanted(record, changes[id], document.source, index)
    made, refused = _written(index, wanted, documents)
    for id in refused:
        registry.take_back(id, changes[id], kept=fields_of(documents[id].source, index))
    done |= {id: fields_of(source, index) for id, source in made.items()}
    if changed := [*done, *refused]:
        mirror_to_others(registry, index, changed)
    ends = {one.id: one for one in registry.mark_fields_written(done)}
    ends |= {one.id: one for one in registry.reopen_many(lost)}
    return ends | {id: Registration(id, error=error) for id, error in refused.items()}


def _without_fields(
    registry: Registry, index: VideosIndex, ids: Sequence[str]
) -> list[Registration]:
    """In an attached index documents are the application's own: a worker would fail a video that is
    registered with fields."""
    refused: dict[str, RegistryError] = {}
    for id, record in registry.find_many(ids).items():
        if record.fields:
            registry.take_back(id, FieldChange(record.fields, removed=None), kept={})
            refused[id] = _of_application(id, index)
    written = {one.id: one for one in registry.mark_fields_written({id: {} for id in ids})}
    return [Registration(id, error=refused[id]) if id in refused else written[id] for id in ids]


def _of_application(id: str, index: VideosIndex) -> RegistryError:
    return RegistryError(
        f"index {index.name!r} is attached: write the fields of {id!r} to your own document"
    )


def _is_to_write(record: VideoRecord, own: FieldChange | None, shown: Json) -> bool:
    """Whether a document that is there is to get fields; ``shown`` is its object ``video``. What
    was registered for another file comes with the vectors of that."""
    if record.state is State.INDEXED:
        return lack_fields(record)
    if record.state is State.DELETED or own is None:
        return False
    return own.uri is None or same_file(own.uri, shown.get("uri", ""))


def _wanted(
    record: VideoRecord, change: FieldChange, stored: Json, index: VideosIndex
) -> list[Json]:
    """What a document is to be: all fields of its record; where the index refuses these, for what
    others have set, those of the caller alone."""
    alone = {
        **change.applied(record.fields, fields_of(stored, index)),
        index.field: stored[index.field],
    }
    if record.state is not State.INDEXED:
        return [alone]
    whole = with_fields(record, stored, index=index)
    return [whole] if alone == whole else [whole, alone]


def _written(
    index: VideosIndex, wanted: Mapping[str, Sequence[Json]], documents: Mapping[str, Document]
) -> tuple[dict[str, Json], dict[str, VidsearchError]]:
    """What documents are now, by id, and why the index refuses all that is wanted of others; those
    that changed meanwhile are left out."""
    made: dict[str, Json] = {}
    refused: dict[str, VidsearchError] = {}
    while wanted:
        refusals: dict[str, VidsearchError] = {}
        writes: list[Write] = []
        for id, (source, *_) in wanted.items():
            stored = documents[id].source
            changed = {name: value for name, value in source.items() if value != stored.get(name)}
            try:
                refuse_changed_numbers(
                    fields_of(changed, index), index.properties, own_templates=index.own_templates
                )
            except DocumentRejectedError as error:
                refusals[id] = error
                continue
            made[id] = source
            if source != stored:
                writes.append(Write("index", id, source, expect=documents[id].revision))
        failures, conflicts = _bulk(index, writes)
        for id in (*failures, *conflicts):
            del made[id]
        refusals |= failures
        refused |= {id: refusals[id] for id in refusals if len(wanted[id]) == 1}
        wanted = {id: rest for id in refusals if (rest := wanted[id][1:])}
    return made, refused


def _bulk(
    index: VideosIndex, writes: Sequence[Write]
) -> tuple[dict[str, VidsearchError], Collection[str]]:
    """Errors of the documents that the index refuses, and ids of those that changed meanwhile."""
    if not writes:
        return {}, ()
    try:
        return {}, index.engine.bulk(index.name, writes).conflicts
    except BulkError as error:
        return {id: explained(one) for id, one in error.failures.items()}, error.conflicts
