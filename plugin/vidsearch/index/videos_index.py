"""The videos index, managed or attached: open, show, read and write; create and drop ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines.base import Document, Engine, Json, Revision
from vidsearch.errors import (
    ConfigError,
    DocumentNotFoundError,
    IndexNotFoundError,
    MappingConflictError,
    VersionConflictError,
)
from vidsearch.index.copy_note import note_of, what_became_of
from vidsearch.registry.index import create_registry_index, registry_layout
from vidsearch_mappings import MetaError, index_meta, read_meta, videos_index
from vidsearch_mappings.vectors import presets_of

__all__ = [
    "VideosIndex",
    "create_videos_index",
    "drop_videos_index",
    "gone",
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
    uri_field: str | None = None
    """The host's field with a video's URI, where the index is the host's; ``None``: it is ours."""

    @property
    def attached(self) -> bool:
        """Whether the documents are the host's, and only our object in them is ours."""
        return self.uri_field is not None

    def require_model(self, identity: ModelIdentity) -> None:
        """Refuse vectors of another model.

        Raises:
            ModelMismatchError: the message shows both identities.
        """
        identity.require(self.model, where=f"index {self.alias!r}")

    def count(self) -> int:
        """Number of videos; in an attached index, of the documents that have our vectors."""
        done = {"exists": {"field": f"{self.field}.fingerprint"}} if self.attached else None
        return self.engine.count(self.name, done)

    def fingerprints(self) -> Iterator[tuple[str, str | None]]:
        """Id and fingerprint of every document; ``None`` where it has no vectors of ours."""
        name = f"{self.field}.fingerprint"
        for document in self.engine.scan(self.name, source=[name]):
            yield document.id, (document.source.get(self.field) or {}).get("fingerprint")

    def read(self, id: str, *, routing: str | None = None) -> Document | None:
        """One document in real time, ``None`` where absent."""
        return self.engine.get(self.name, id, routing=routing)

    def write(
        self, id: str, source: Json, *, expect: Revision | Literal["absent"] | None
    ) -> Revision:
        """One whole document of an index of ours, in one request.

        Raises:
            VersionConflictError: the stored revision is not the expected one.
            MappingConflictError: a host field does not fit the mapping.
        """
        return self.engine.put(self.name, id, source, expect=expect)

    def merge(self, ours: Json, *, into: Document) -> Revision:
        """Our object into a document of the host, of which nothing else is touched.

        Args:
            ours: the whole object; what else it held is cleared.
            into: the document as it was read.

        Raises:
            DocumentNotFoundError: the host deleted it meanwhile.
            VersionConflictError: the host wrote it meanwhile.
        """
        before: Json = into.source.get(self.field) or {}
        partial = {self.field: {**dict.fromkeys(before), **ours}}
        written = self.engine.update(
            self.name, into.id, partial, expect=into.revision, routing=into.routing
        )
        if written is None:
            raise gone(self, into.id)
        return written

    def remove(
        self, id: str, *, expect: Revision | None = None, routing: str | None = None
    ) -> bool:
        """One document, or, where it is the host's, our object in it; ``False`` where absent.

        Raises:
            VersionConflictError: the stored revision is not the expected one.
        """
        if not self.attached:
            return self.engine.delete(self.name, id, expect=expect)
        document = self.read(id, routing=routing)
        if document is None or self.field not in document.source:
            return False
        if expect is not None and document.revision != expect:
            raise VersionConflictError(f"document {id!r} of {self.name!r} changed meanwhile")
        self.take_out(document)
        return True

    def take_out(self, document: Document) -> None:
        """Our object out of a document of the host, which is then as it was before.

        Read and written back whole, as a partial update cannot remove a field. The host's ingest
        pipeline is passed by: it has seen the document already.

        Raises:
            VersionConflictError: the host wrote or deleted it meanwhile.
        """
        rest = {name: value for name, value in document.source.items() if name != self.field}
        self.engine.put(
            self.name,
            document.id,
            rest,
            expect=document.revision,
            routing=document.routing,
            pipeline=False,
        )


def gone(index: VideosIndex, id: str) -> DocumentNotFoundError:
    """The error for a document of the host that is not there."""
    return DocumentNotFoundError(
        f"index {index.name!r} has no document {id!r}: the host deleted it, or never wrote it"
    )


def create_videos_index(engine: Engine, settings: IndexSettings, identity: ModelIdentity) -> str:
    """Create ``<name>-000001`` with the alias ``<name>``, and the registry where it is absent.

    Where a registry alone was lost, it alone is created, empty: the index keeps its vectors.

    Returns:
        The name of the concrete index, or of the registry where only that was missing.

    Raises:
        MappingConflictError: an index or alias of that name exists already, or is not ours.
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
        IndexNotFoundError: nothing does.
        MappingConflictError: it is not an index of ours, holds our data under another field, or is
            being
            copied, or was when ``vidsearch index attach`` broke off; the message says what to do.
    """
    names = engine.indices_of(settings.name)
    if not names:
        raise IndexNotFoundError(
            f"there is no index {settings.name!r}; create it with `vidsearch index create`"
        )
    if len(names) > 1:
        raise MappingConflictError(
            f"alias {settings.name!r} stands for {', '.join(names)}, not for one"
        )
    mapping = engine.mapping(names[0])
    try:
        meta = read_meta(mapping)
        model = ModelIdentity.from_meta(meta.model)
    except (MetaError, KeyError) as error:
        if note := note_of(mapping):
            raise MappingConflictError(what_became_of(engine, names[0], note)) from error
        raise MappingConflictError(
            f"index {names[0]!r} was not made by vidsearch: {error}. "
            "Choose another name (setting index.name), or add our object to it with "
            "`vidsearch index attach`"
        ) from error
    if meta.field != settings.field:
        raise MappingConflictError(
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
        uri_field=meta.uri_field,
    )


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
        "model": index.model.to_meta(),
    }


def drop_videos_index(engine: Engine, settings: IndexSettings) -> tuple[str, ...]:
    """Drop every index behind the alias, and the registry. Returns the names.

    Raises:
        IndexNotFoundError: there is nothing to drop.
        MappingConflictError: what stands there is not ours.
    """
    names = engine.indices_of(settings.name)
    if names and open_videos_index(engine, settings).attached:
        raise MappingConflictError(
            f"index {names[0]!r} is the host's, we are only attached to it: "
            "use `vidsearch index detach`"
        )
    names += engine.indices_of(settings.registry)
    if not names:
        raise IndexNotFoundError(f"there is no index {settings.name!r}")
    # The registry first: where this breaks off, what is left can still be shown, and dropped.
    for name in reversed(names):
        engine.delete_index(name)
    return names
