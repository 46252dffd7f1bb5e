"""Change the fields of a video that is indexed, without reading its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch.compare_and_set import until_unchanged
from vidsearch.errors import MappingConflictError, RegistryError
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.document import with_fields
from vidsearch.ingest.field_values import explained_rejections, refuse_changed_numbers
from vidsearch.registry.registry import Registry
from vidsearch.registry.validation import checked_fields
from vidsearch_mappings.registry import State, VideoRecord

__all__ = ["update_fields"]


def update_fields(
    registry: Registry, index: VideosIndex, id: str, fields: Mapping[str, Any]
) -> VideoRecord:
    """Change some of a video's fields in the registry, and in its document where it has one.

    The document is read before the record, and written only if it has not changed since: of several
    updates at once all take effect. A document that a worker is to write is left to the worker.
    Numbers that the index would change are refused before anything is stored.

    Raises:
        RegistryError: a field cannot be stored, or the index is attached.
        VideoNotRegisteredError: it was never registered, or was deleted.
        DocumentNotFoundError: its document was deleted from the index.
        DocumentRejectedError: the index does not take a value, or would change a number.
        MappingConflictError: the index keeps no vectors in documents.
        VersionConflictError: the document keeps changing.
    """
    if index.attached:
        raise RegistryError(
            f"index {index.name!r} is attached: write the fields of {id!r} to your own document"
        )
    plain = checked_fields(fields, id=id, reserved=index.field)
    refuse_changed_numbers(plain, index.properties, own_templates=index.own_templates)
    stored = registry.set_fields(id, plain)
    if stored.state is not State.INDEXED:
        return stored

    def update() -> VideoRecord:
        document = index.read(id)
        record = registry.get(id)
        if record.state is not State.INDEXED:
            return record
        if document is None:
            raise index.gone(id)
        if "vector" not in (document.source.get(index.field) or {}):
            raise MappingConflictError(
                f"index {index.name!r} keeps the vectors out of its documents, which can only be "
                f"written anew: register video {id!r} again with these fields"
            )
        after = with_fields(record, document.source, index=index)
        if after == document.source:
            return record
        with explained_rejections():
            index.engine.put(index.name, id, after, expect=document.revision)
        return record

    return until_unchanged(update, of=index.called(id))
