"""How the live videos index differs from the one that the settings describe."""

from __future__ import annotations

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines.base import Engine, Json
from vidsearch.index.manage import videos_index_body
from vidsearch.index.videos_index import open_videos_index
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
    live, wanted = _bodies(engine, settings, identity)
    return diff_index(live, wanted)


def apply_changes(
    engine: Engine, settings: IndexSettings, identity: ModelIdentity
) -> tuple[Change, ...]:
    """Make the changes that need no new index. Returns what still differs afterwards.

    What was written before keeps its form until its segments are merged.

    Raises:
        MappingConflictError: the engine refuses a change.
        IndexNotFoundError, ConfigError: see :func:`diff_videos_index`.
    """
    live, wanted = _bodies(engine, settings, identity)
    mapping, changed = in_place(live, wanted, diff_index(live, wanted))
    name = open_videos_index(engine, settings).name
    if mapping:
        engine.put_mapping(name, mapping)
    if changed:
        engine.put_settings(name, changed)
    return diff_videos_index(engine, settings, identity)


def _bodies(engine: Engine, settings: IndexSettings, identity: ModelIdentity) -> tuple[Json, Json]:
    index = open_videos_index(engine, settings)
    live = {
        "settings": {"index": engine.settings(index.name)},
        "mappings": engine.mapping(index.name),
    }
    wanted = videos_index_body(engine, settings, identity)
    if index.attached:
        whole = wanted["mappings"]
        wanted = {
            "settings": {"index": {}},
            "mappings": {
                "_meta": whole["_meta"],
                "properties": {index.field: whole["properties"][index.field]},
            },
        }
    return live, wanted
