"""The managed videos index: create, open, show, drop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines.base import Document, Engine, Json, Revision
from vidsearch.errors import ConfigError, IndexMissing, MappingConflict
from vidsearch_mappings import MetaError, index_meta, read_meta, registry_index, videos_index
from vidsearch_mappings.vectors import presets_of

__all__ = [
    "VideosIndex",
    "create_videos_index",
    "drop_videos_index",
    "open_videos_index",
    "show_videos_index",
    "videos_index_body",
]


@dataclass(frozen=True, slots=True)
class VideosIndex:
    """The index behind the alias, as its mapping describes it."""

    engine: Engine
    alias: str
    name: str
    """The concrete index."""
    field: str
    """Object that holds our data in every document."""
    segment_seconds: float
    quantization: str
    layout: int
    model: ModelIdentity

    def require_model(self, identity: ModelIdentity) -> None:
        """Refuse vectors of another model.

        Raises:
            ModelMismatch: the message shows both identities.
        """
        identity.require(self.model, where=f"index {self.alias!r}")

    def count(self) -> int:
        """Number of documents."""
        return self.engine.count(self.alias)

    def fingerprints(self) -> Iterator[tuple[str, str | None]]:
        """Id and fingerprint of every document; ``None`` where it has no vectors of ours."""
        name = f"{self.field}.fingerprint"
        for document in self.engine.scan(self.name, source=[name]):
            yield document.id, (document.source.get(self.field) or {}).get("fingerprint")

    def read(self, id: str) -> Document | None:
        """One document in real time, ``None`` where absent."""
        return self.engine.get(self.name, id)

    def write(
        self, id: str, source: Json, *, expect: Revision | Literal["absent"] | None
    ) -> Revision:
        """One whole document, in one request.

        Raises:
            VersionConflict: the stored revision is not the expected one.
            MappingConflict: a host field does not fit the mapping.
        """
        return self.engine.put(self.name, id, source, expect=expect)

    def remove(self, id: str, *, expect: Revision | None = None) -> bool:
        """One document; ``False`` where it was absent."""
        return self.engine.delete(self.name, id, expect=expect)


def create_videos_index(engine: Engine, settings: IndexSettings, identity: ModelIdentity) -> str:
    """Create ``<name>-000001`` with the alias ``<name>``, and the registry where it is absent.

    Where a registry alone was lost, it alone is created, empty: the index keeps its vectors.

    Returns:
        The name of the concrete index, or of the registry where only that was missing.

    Raises:
        MappingConflict: an index or alias of that name exists already, or is not ours.
        ModelMismatch: the registry was lost, but the index holds vectors of another model.
        ConfigError: see :func:`videos_index_body`.
    """
    existing = engine.indices_of(settings.name)
    has_registry = bool(engine.indices_of(settings.registry))
    if existing and has_registry:
        raise MappingConflict(
            f"{settings.name!r} exists already ({', '.join(existing)}); "
            "use it as it is, or drop it first with `vidsearch index drop`"
        )
    if existing:
        open_videos_index(engine, settings).require_model(identity)
    # Made first: where the preset is refused, nothing was created.
    body = None if existing else videos_index_body(engine, settings, identity)
    if not has_registry:
        engine.create_index(
            settings.registry,
            registry_index(engine.kind, shards=settings.shards, replicas=settings.replicas),
        )
    if body is None:
        return settings.registry
    name = f"{settings.name}-000001"
    # With the alias in the same request: there is never an index without it.
    engine.create_index(name, {**body, "aliases": {settings.name: {}}})
    return name


def videos_index_body(engine: Engine, settings: IndexSettings, identity: ModelIdentity) -> Json:
    """What :func:`create_videos_index` sends to the engine, but for the alias.

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
            ),
            quantization=preset,
            shards=settings.shards,
            replicas=settings.replicas,
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


def open_videos_index(engine: Engine, settings: IndexSettings) -> VideosIndex:
    """Read what stands behind the alias.

    Raises:
        IndexMissing: nothing does.
        MappingConflict: it is not an index of ours, or holds our data under another field.
    """
    names = engine.indices_of(settings.name)
    if not names:
        raise IndexMissing(
            f"there is no index {settings.name!r}; create it with `vidsearch index create`"
        )
    if len(names) > 1:
        raise MappingConflict(f"alias {settings.name!r} stands for {', '.join(names)}, not for one")
    try:
        meta = read_meta(engine.mapping(names[0]))
        model = ModelIdentity.from_meta(meta.model)
    except (MetaError, KeyError) as error:
        raise MappingConflict(
            f"index {names[0]!r} was not made by vidsearch: {error}. "
            "Choose another name (setting index.name)"
        ) from error
    if meta.field != settings.field:
        raise MappingConflict(
            f"index {names[0]!r} keeps our data under {meta.field!r}, "
            f"but the setting index.field is {settings.field!r}"
        )
    return VideosIndex(
        engine=engine,
        alias=settings.name,
        name=names[0],
        field=meta.field,
        segment_seconds=meta.segment_seconds,
        quantization=meta.quantization,
        layout=meta.layout,
        model=model,
    )


def show_videos_index(engine: Engine, settings: IndexSettings) -> dict[str, Any]:
    """What stands behind the alias, for people and their scripts.

    Raises:
        IndexMissing, MappingConflict: see :func:`open_videos_index`.
    """
    index = open_videos_index(engine, settings)
    registry = engine.indices_of(settings.registry)
    return {
        "alias": index.alias,
        "index": index.name,
        "engine": str(engine.info()),
        "videos": index.count(),
        "registered": engine.count(settings.registry) if registry else None,
        "field": index.field,
        "layout": index.layout,
        "quantization": index.quantization,
        "segment_seconds": index.segment_seconds,
        "model": index.model.to_meta(),
    }


def drop_videos_index(engine: Engine, settings: IndexSettings) -> tuple[str, ...]:
    """Drop every index behind the alias, and the registry. Returns the names.

    Raises:
        IndexMissing: there is nothing to drop.
        MappingConflict: what stands there is not ours.
    """
    names = engine.indices_of(settings.name)
    if names:
        open_videos_index(engine, settings)
    names += engine.indices_of(settings.registry)
    if not names:
        raise IndexMissing(f"there is no index {settings.name!r}")
    # The registry first: where this breaks off, what is left can still be shown, and dropped.
    for name in reversed(names):
        engine.delete_index(name)
    return names
