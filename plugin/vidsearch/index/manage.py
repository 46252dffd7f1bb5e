"""The managed index: create, show and drop it."""

from __future__ import annotations

from typing import Any

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Engine, Json
from vidsearch.engines.creation import create_index_as_asked
from vidsearch.errors import ConfigError, IndexNotFoundError, MappingConflictError
from vidsearch.index.targets import refuse_while_reindexed
from vidsearch.index.videos_index import open_videos_index
from vidsearch.registry.index import create_registry_index, dropped_on_error, registry_layout
from vidsearch_mappings import index_meta, videos_index
from vidsearch_mappings.vectors import presets_of

__all__ = [
    "create_videos_index",
    "drop_videos_index",
    "show_videos_index",
    "videos_index_body",
]


def create_videos_index(engine: Engine, settings: IndexSettings, identity: ModelIdentity) -> str:
    """Create ``<name>-000001`` with the alias ``<name>``, and the registry where it is absent.

    Where a registry alone was lost, it alone is created, empty: the index keeps its vectors.
    Returns the name of the concrete index, or of the registry where only that was missing.

    Raises:
        MappingConflictError: an index or alias of that name exists already, or was not made by
            vidsearch, or an index template of the cluster reached into it.
        ModelMismatchError: the registry was lost, but the index holds vectors of another model.
        ConfigError: see :func:`videos_index_body`.
    """
    existing = engine.indices_of(settings.name)
    has_registry = bool(engine.indices_of(settings.registry))
    if existing and has_registry:
        layout = registry_layout(engine, settings)
        raise MappingConflictError(
            f"{settings.name!r} exists already ({', '.join(existing)}); "
            "use it as it is, or drop it first with `vidsearch index drop`"
            + (f". Its {layout}" if layout.is_older else "")
        )
    if existing:
        open_videos_index(engine, settings).require_model(identity)
    # Made first: where the preset is refused, nothing was created.
    body = None if existing else videos_index_body(engine, settings, identity)
    if not has_registry:
        create_registry_index(engine, settings)
    if body is None:
        return settings.registry
    name = f"{settings.name}-000001"
    # With the alias in the same request: there is never an index without it.
    with dropped_on_error(engine, settings, made=not has_registry):
        create_index_as_asked(
            engine,
            name,
            {**body, "aliases": {settings.name: {}}},
            advice="Choose a name that no pattern of a template matches (setting index.name), or "
            "narrow the index_patterns of the template",
            user_fields=True,
        )
    return name


def videos_index_body(
    engine: Engine,
    settings: IndexSettings,
    identity: ModelIdentity,
    *,
    uri_field: str | None = None,
) -> Json:
    """Settings and mapping that ``settings`` describe; with ``uri_field``, of an attached index.

    Raises:
        ConfigError: the engine lacks the setting ``index.quantization``, or the preset does not
            take vectors of the model; the message names those that work.
    """
    preset, features = settings.quantization, engine.features()
    version = engine.info().version
    try:
        body = videos_index(
            engine.kind,
            version=version,
            dims=identity.dims,
            field=settings.field,
            meta=index_meta(
                model=identity.to_meta(),
                quantization=preset,
                field=settings.field,
                segment_seconds=settings.segment_seconds,
                uri_field=uri_field,
            ),
            quantization=preset,
            m=settings.m,
            ef_construction=settings.ef_construction,
            shards=settings.shards,
            replicas=settings.replicas,
            own=settings.mapping,
        )
    except ValueError as error:
        raise ConfigError(f"setting index.quantization: {error}") from error
    if preset not in features.quantizations:
        known = presets_of(engine.kind, dims=identity.dims, version=version)
        has = ", ".join(name for name in known if name in features.quantizations)
        if engine.kind == "opensearch":
            why = "its k-NN plugin has no native faiss library"
        elif preset not in known:
            why = "its version is too old"
        else:
            why = f"its licence is {features.licence or 'unknown'}, and bbq_disk needs enterprise"
        raise ConfigError(
            f"setting index.quantization: {engine.info()} cannot keep vectors as {preset!r}: "
            f"{why}; it has {has}"
        )
    return body


def show_videos_index(engine: Engine, settings: IndexSettings) -> dict[str, Any]:
    """What stands behind the alias, for people and their scripts.

    Raises:
        IndexNotFoundError, MappingConflictError: see :func:`open_videos_index`.
    """
    index = open_videos_index(engine, settings)
    registry = engine.indices_of(settings.registry)
    attached = {"uri_field": index.uri_field, "documents": engine.count(index.name)}
    return {
        "alias": index.alias,
        "index": index.name,
        **(attached if index.attached else {}),
        "engine": str(engine.info()),
        "videos": index.count(),
        "registered": engine.count(settings.registry) if registry else None,
        "field": index.field,
        "layout": index.layout,
        "quantization": index.quantization,
        "segment_seconds": index.segment_seconds,
        "model": index.identity.to_meta(),
    }


def drop_videos_index(engine: Engine, settings: IndexSettings) -> tuple[str, ...]:
    """Drop every index behind the alias, and the registry. Returns the names.

    Raises:
        IndexNotFoundError: there is nothing to drop.
        MappingConflictError: it is attached, or was not made by vidsearch.
        ReindexError: it is being reindexed.
    """
    names = engine.indices_of(settings.name)
    if names and open_videos_index(engine, settings).attached:
        raise MappingConflictError(
            f"index {names[0]!r} is your own, with vidsearch attached to it, and is not dropped: "
            "use `vidsearch index detach`"
        )
    if names:
        refuse_while_reindexed(open_videos_index(engine, settings), "it can be dropped")
    names += engine.indices_of(settings.registry)
    if not names:
        raise IndexNotFoundError(f"there is no index {settings.name!r} to drop")
    # The registry first: where this breaks off, what is left can still be shown, and dropped.
    for name in reversed(names):
        engine.delete_index(name)
    return names
