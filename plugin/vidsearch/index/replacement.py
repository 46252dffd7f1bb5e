"""What took the place of an attached index: another one behind its alias, or a new one of its name.

An application that fills ``products_v2`` and moves the alias, or drops its index and creates it
anew, leaves an index that knows nothing of vidsearch. How the former one was attached is kept in
the ``_meta`` of the registry, so that the next scan, or the next worker, attaches to this one.
"""

from __future__ import annotations

import logging

from vidsearch.config import IndexSettings
from vidsearch.engines import Engine
from vidsearch.errors import BackendAccessDeniedError, MappingConflictError
from vidsearch.index.attachable import refuse_moving_index, refuse_other_vectors
from vidsearch.index.manage import videos_index_body
from vidsearch.index.uri_field import check_uri_field
from vidsearch.index.videos_index import VideosIndex, open_videos_index
from vidsearch_mappings.attached import attached_mapping, with_attachment
from vidsearch_mappings.diff import flattened

__all__ = ["keep_attachment", "open_or_attach"]

_log = logging.getLogger(__name__)


def keep_attachment(engine: Engine, settings: IndexSettings, name: str) -> None:
    """Keep in the registry how the index ``name`` is attached. Safe to repeat."""
    registry = engine.mapping(settings.registry)
    kept = with_attachment(registry, engine.mapping(name))
    if kept["_meta"] != registry.get("_meta"):
        engine.put_mapping(settings.registry, kept)


def open_or_attach(engine: Engine, settings: IndexSettings) -> VideosIndex:
    """Open the index; attach to one that took the place of an attached one. Safe to repeat.

    Of the latter, its model, URI field, quantization and length of segments are taken.

    Raises:
        IndexNotFoundError, MappingConflictError: see
            :func:`~vidsearch.index.videos_index.open_videos_index`.
        BackendAccessDeniedError: no right to change its mapping.
    """
    index = open_videos_index(engine, settings, replacement=True)
    if not index.is_replacement:
        return index
    mapping = engine.mapping(index.name)
    if "vidsearch" not in (mapping.get("_meta") or {}):  # else another worker was faster
        same = settings.model_copy(
            update={"quantization": index.quantization, "segment_seconds": index.segment_seconds}
        )
        live = flattened(engine.settings(index.name))
        try:
            check_uri_field(mapping, str(index.uri_field), index=index.name)
            refuse_moving_index(
                engine, index.name, alias=index.alias, mapping=mapping, settings=live
            )
            body = videos_index_body(engine, same, index.identity, uri_field=index.uri_field)
            added = attached_mapping(body, mapping, field=index.field)
            refuse_other_vectors(mapping, added, field=index.field, index=index.name)
            engine.put_mapping(index.name, added)
        except MappingConflictError as error:
            raise index.unfit(error) from error
        except BackendAccessDeniedError as error:
            raise BackendAccessDeniedError(
                f"{index.why_replacement}, and these credentials may not add it: {error}. Run "
                "`vidsearch scan` with credentials that may"
            ) from error
        _log.info("attached to index %r, which took the place of an attached one", index.name)
    return open_videos_index(engine, settings)
