"""Change the fields of videos that are indexed, without reading their files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

from vidsearch.batches import in_batches
from vidsearch.compare_and_set import keeps_changing, until_unchanged
from vidsearch.engines import Write
from vidsearch.errors import (
    BulkError,
    DocumentRejectedError,
    RegistryError,
    VersionConflictError,
    VidsearchError,
)
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.document import with_fields
from vidsearch.ingest.field_values import explained, refuse_changed_numbers
from vidsearch.ingest.mirror import mirror_to_others
from vidsearch.registry.registration import Registration
from vidsearch.registry.registry import Registry
from vidsearch.registry.validation import checked_fields
from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["lack_fields", "update_fields", "write_fields"]

_DOCUMENTS = 50
"""Per request: whole documents with their vectors, of long videos megabytes each."""


def update_fields(
    registry: Registry, index: VideosIndex, id: str, fields: Mapping[str, Any]
) -> VideoRecord:
    """Change some of a video's fields in the registry, and in its document where it has one.

    Numbers that the index would change are refused before anything is stored. See
    :func:`write_fields` for the rest.

    Raises:
        RegistryError: a field cannot be stored, or the index is attached.
        VideoNotRegisteredError: it was never registered, or was deleted.
        DocumentRejectedError: the index does not take a value, or would change a number.
        VersionConflictError: the document keeps changing.
    """
    if index.attached:
        raise RegistryError(
            f"index {index.name!r} is attached: write the fields of {id!r} to your own document"
        )
    plain = checked_fields(fields, id=id, reserved=index.field, none_removes=True)
    refuse_changed_numbers(plain, index.properties, own_templates=index.own_templates)
    record = registry.set_fields(id, plain)
    if not lack_fields(record):
        return record
    (written,) = write_fields(registry, index, [id])
    return written.require()


def lack_fields(record: VideoRecord) -> bool:
    """Whether a video is indexed, and its document has not got its fields yet."""
    return record.state is State.INDEXED and record.due_at is not None


def write_fields(registry: Registry, index: VideosIndex, ids: Sequence[str]) -> list[Registration]:
    """Write the registered fields of indexed videos into their documents.

    Documents are read before records, and written only if they have not changed since: of several
    updates at once all take effect. A video whose document is gone, or keeps no vectors, is made
    ``registered``: the caller enqueues it, and a worker writes the whole document. During a
    reindex the other index gets them as well, before they count as written.

    Returns one for each id, in their order. ``error`` says why a document does not have the fields:
    the index does not take them, and the record has the former ones again; or the document keeps
    changing, and the sweep will have a worker write it.
    """
    ends: dict[str, Registration] = {}
    rest = list(ids)

    def write() -> None:
        nonlocal rest
        for batch in in_batches(rest, _DOCUMENTS):
            ends.update(_write_batch(registry, index, batch))
        rest = [id for id in rest if id not in ends]
        if rest:
            raise VersionConflictError("told by id below")

    with suppress(VersionConflictError):
        until_unchanged(write, of=index.name)
    return [ends.get(id) or Registration(id, error=keeps_changing(index.called(id))) for id in ids]


def _write_batch(
    registry: Registry, index: VideosIndex, ids: Sequence[str]
) -> dict[str, Registration]:
    """What became of each, but for those that changed meanwhile."""
    documents = index.engine.mget(index.name, ids)
    records = registry.find_many(ids)
    done: list[str] = []
    lost: list[str] = []
    writes: list[Write] = []
    refused: dict[str, VidsearchError] = {}
    for id in ids:
        record, document = records.get(id), documents.get(id)
        if record is None or not lack_fields(record):
            done.append(id)  # another was faster, or a worker is at it
            continue
        if document is None or "vector" not in (document.source.get(index.field) or {}):
            lost.append(id)
            continue
        after = with_fields(record, document.source, index=index)
        try:
            refuse_changed_numbers(
                record.fields, index.properties, own_templates=index.own_templates
            )
        except DocumentRejectedError as error:
            refused[id] = error
            continue
        if after == document.source:
            done.append(id)
        else:
            writes.append(Write("index", id, after, expect=document.revision))
    failures, conflicts = _bulk(index, writes)
    refused |= failures
    for id in refused:
        kept = documents[id].source
        kept = {name: value for name, value in kept.items() if name != index.field}
        registry.take_back_fields(id, records[id].fields, instead=kept)
    ended = [*done, *(w.id for w in writes if w.id not in conflicts and w.id not in failures)]
    if changed := [*ended, *refused]:
        mirror_to_others(registry, index, changed)
    written = {id: records[id].fields if id in records else {} for id in ended}
    ends = {one.id: one for one in registry.mark_fields_written(written)}
    ends |= {one.id: one for one in registry.reopen_many(lost)}
    return ends | {id: Registration(id, error=error) for id, error in refused.items()}


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
