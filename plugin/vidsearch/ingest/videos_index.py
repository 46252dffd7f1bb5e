"""The managed videos index: create, open, show, drop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines.base import Document, Engine, Json, Revision
from vidsearch.errors import IndexMissing, MappingConflict
from vidsearch_mappings import MetaError, index_meta, read_meta, registry_index, videos_index

__all__ = [
    "VideosIndex",
    "create_videos_index",
    "drop_videos_index",
    "open_videos_index",
    "show_videos_index",
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
    if not has_registry:
        engine.create_index(
            settings.registry,
            registry_index(engine.kind, shards=settings.shards, replicas=settings.replicas),
        )
    if existing:
        return settings.registry
    name = f"{settings.name}-000001"
    meta = index_meta(
        model=identity.to_meta(),
        quantization=settings.quantization,
        field=settings.field,
        segment_seconds=settings.segment_seconds,
    )
    body = videos_index(
        engine.kind,
        dims=identity.dims,
        field=settings.field,
        meta=meta,
        quantization=settings.quantization,
        shards=settings.shards,
        replicas=settings.replicas,
    )
    # With the alias in the same request: there is never an index without it.
    engine.create_index(name, {**body, "aliases": {settings.name: {}}})
    return name


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
