"""The opened videos index, managed or attached: reads and writes of its documents."""

from __future__ import annotations

from dataclasses import dataclass

from vidsearch.compare_and_set import until_unchanged
from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Document, Engine, Json, Revision
from vidsearch.errors import DocumentNotFoundError, MappingConflictError, VersionConflictError
from vidsearch.index.description import IndexDescription, describe_index

__all__ = ["VideosIndex", "open_videos_index"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideosIndex(IndexDescription):
    """The index behind the alias, opened on an engine."""

    engine: Engine

    def require_model(self, identity: ModelIdentity) -> None:
        """Refuse vectors of another model.

        Raises:
            ModelMismatchError: the message shows both identities.
        """
        identity.require(self.identity, where=f"index {self.alias!r}")

    def count(self) -> int:
        """Number of videos; in an attached index, of the documents that have vectors."""
        done = {"exists": {"field": f"{self.field}.fingerprint"}} if self.attached else None
        return self.engine.count(self.name, done)

    def read(self, id: str, *, routing: str | None = None) -> Document | None:
        """One document in real time, ``None`` where absent."""
        return self.engine.get(self.name, id, routing=routing)

    def fingerprint_of(self, id: str, *, routing: str | None = None) -> str | None:
        """The fingerprint in a document, in real time: empty where it has none, ``None`` where
        there is no document."""
        found = self.engine.mget(
            self.name,
            [id],
            routing={} if routing is None else {id: routing},
            source=[f"{self.field}.fingerprint"],
        )
        if id not in found:
            return None
        return (found[id].source.get(self.field) or {}).get("fingerprint") or ""

    def merge(self, video: Json, *, into: Document) -> Revision:
        """Put the whole vidsearch object into the user's document, and touch nothing else in it.

        Raises:
            DocumentNotFoundError: the application deleted it meanwhile.
            VersionConflictError: the application wrote it meanwhile.
        """
        stored = self._unchanged(into.id, expect=into.revision, routing=into.routing)
        if stored is None:
            raise self.gone(into.id)
        before: Json = stored.source.get(self.field) or {}
        whole = {**dict.fromkeys(before), **video}
        return self._rewrite(stored, {**stored.source, self.field: whole})

    def remove(
        self, id: str, *, expect: Revision | None = None, routing: str | None = None
    ) -> bool:
        """Delete a document, or, in an attached index, only the vidsearch object in it.

        ``expect`` is the revision that must be stored; ``None``: whoever wrote it last. Returns
        ``False`` where there was nothing to remove.

        Raises:
            VersionConflictError: another revision is stored, or it keeps changing.
        """
        if not self.attached:
            return self.engine.delete(self.name, id, expect=expect)

        def remove() -> bool:
            document = self._unchanged(id, expect=expect, routing=routing)
            if document is None or self.field not in document.source:
                return False
            rest = {name: value for name, value in document.source.items() if name != self.field}
            self._rewrite(document, rest)
            return True

        return until_unchanged(remove, of=self.called(id)) if expect is None else remove()

    def _unchanged(
        self, id: str, *, expect: Revision | None, routing: str | None
    ) -> Document | None:
        """The document as it is now. Raises VersionConflictError where it is another revision."""
        document = self.read(id, routing=routing)
        if document is not None and expect not in {None, document.revision}:
            raise VersionConflictError(f"{self.called(id)} changed meanwhile")
        return document

    def _rewrite(self, document: Document, source: Json) -> Revision:
        """Write a document of the user that was just read, and keep its version number.

        The application may count versions itself (``version_type=external``), and an update would
        take its next number. With the number kept, its next write is taken and ends what is written
        here; any write of it since the document was read makes a greater number, so that this one
        is refused. One that repeats the same number within that moment is not seen, as the engines
        compare either numbers or revisions: of the application the next scan finds what it took
        away, and writers of vidsearch look once more (``ingest.settle``). The document goes back
        whole, past the ingest pipeline that it has seen already.
        """
        return self.engine.put(
            self.name,
            document.id,
            source,
            version=document.version,
            routing=document.routing,
            pipeline=False,
        )

    def gone(self, id: str) -> DocumentNotFoundError:
        """The error for a document of the user that is not there."""
        return DocumentNotFoundError(
            f"index {self.name!r} has no document {id!r}: your application deleted it, or never "
            "wrote it"
        )

    def called(self, id: str) -> str:
        """A document, as messages call it."""
        return f"document {id!r} of index {self.name!r}"


def open_videos_index(
    engine: Engine, settings: IndexSettings, *, replacement: bool = False
) -> VideosIndex:
    """Open the index behind the alias.

    ``replacement``: also one that took the place of an attached index, and has no vidsearch object.

    Raises:
        IndexNotFoundError, MappingConflictError: see :func:`describe_index`.
        MappingConflictError: its object has another name than the setting ``index.field``.
    """
    found = engine.run(describe_index(engine.calls, settings.name, registry=settings.registry))
    if found.why_unfit is not None:
        raise found.why_unfit
    if found.missing_object and not replacement:
        raise MappingConflictError(found.missing_object)
    if found.field != settings.field:
        raise MappingConflictError(
            f"index {found.name!r} keeps its vectors in the object {found.field!r}, but the "
            f"setting index.field is {settings.field!r}: set it to {found.field!r}"
        )
    return VideosIndex(**found.values(), engine=engine)
