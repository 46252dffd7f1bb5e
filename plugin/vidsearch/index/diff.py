"""How the live videos index differs from the one that the settings describe."""

from __future__ import annotations

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Engine, Json
from vidsearch.index.manage import videos_index_body
from vidsearch.index.videos_index import VideosIndex, open_videos_index
from vidsearch_mappings.attached import attached_mapping
from vidsearch_mappings.diff import Change, diff_index, in_place

__all__ = ["apply_changes", "diff_videos_index"]


def diff_videos_index(
    engine: Engine, settings: IndexSettings, identity: ModelIdentity
) -> tuple[Change, ...]:
    """Everything that is not as the settings and the model want it; empty where nothing is.

    Of an attached index only the vidsearch object and its description are compared.

    Raises:
        IndexNotFoundError, MappingConflictError: see :func:`~vidsearch.index.open_videos_index`.
        ConfigError: the engine lacks what the settings want.
    """
    index = open_videos_index(engine, settings)
    return diff_index(_live(index), _wanted(index, settings, identity))


def apply_changes(
    engine: Engine, settings: IndexSettings, identity: ModelIdentity
) -> tuple[Change, ...]:
    """Make the changes that need no new index. Returns what still differs afterwards.

    What was written before keeps its form until its segments are merged.

    Raises:
        MappingConflictError: the engine refuses a change.
        IndexNotFoundError, ConfigError: see :func:`diff_videos_index`.
    """
    index = open_videos_index(engine, settings)
    live, wanted = _live(index), _wanted(index, settings, identity)
    mapping, changed = in_place(live, wanted, diff_index(live, wanted))
    if mapping:
        engine.put_mapping(index.name, mapping)
    if changed:
        engine.put_settings(index.name, changed)
    return diff_index(_live(index), wanted)


def _live(index: VideosIndex) -> Json:
    return {
        "settings": {"index": index.engine.settings(index.name)},
        "mappings": index.engine.mapping(index.name),
    }


def _wanted(index: VideosIndex, settings: IndexSettings, identity: ModelIdentity) -> Json:
    body = videos_index_body(index.engine, settings, identity, uri_field=index.uri_field)
    if not index.attached:
        return body
    mapping = attached_mapping(body, {}, field=index.field)
    return {"settings": {"index": {}}, "mappings": mapping}
