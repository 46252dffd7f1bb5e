"""The opened videos index, managed or attached: reads and writes of its documents."""

from __future__ import annotations

from dataclasses import dataclass

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Document, Engine, Json, Revision
from vidsearch.errors import DocumentNotFoundError, MappingConflictError, VersionConflictError
from vidsearch.index.description import IndexDescription, describe_index

__all__ = ["VideosIndex", "open_videos_index"]

_TRIES = 8


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

    def merge(self, video: Json, *, into: Document) -> Revision:
        """Put the whole vidsearch object into the user's document, and touch nothing else in it.

        Raises:
            DocumentNotFoundError: the application deleted it meanwhile.
            VersionConflictError: the application wrote it meanwhile.
        """
        before: Json = into.source.get(self.field) or {}
        partial = {self.field: {**dict.fromkeys(before), **video}}
        written = self.engine.update(
            self.name, into.id, partial, expect=into.revision, routing=into.routing
        )
        if written is None:
            raise self.gone(into.id)
        return written

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
        for _ in range(_TRIES):
            document = self.read(id, routing=routing)
            if document is None or self.field not in document.source:
                return False
            if expect not in {None, document.revision}:
                raise VersionConflictError(f"document {id!r} of {self.name!r} changed meanwhile")
            # Written back whole, as a partial update cannot remove a field. The ingest pipeline is
            # skipped: it has seen the document already.
            rest = {name: value for name, value in document.source.items() if name != self.field}
            try:
                self.engine.put(
                    self.name,
                    id,
                    rest,
                    expect=document.revision,
                    routing=document.routing,
                    pipeline=False,
                )
                return True
            except VersionConflictError:
                if expect is not None:
                    raise
        raise self.keeps_changing(id)

    def gone(self, id: str) -> DocumentNotFoundError:
        """The error for a document of the user that is not there."""
        return DocumentNotFoundError(
            f"index {self.name!r} has no document {id!r}: your application deleted it, or never "
            "wrote it"
        )

    def keeps_changing(self, id: str) -> VersionConflictError:
        """The error for a document that others write again and again."""
        return VersionConflictError(
            f"document {id!r} of index {self.name!r} keeps changing while vidsearch is to change "
            "it: try again later"
        )


def open_videos_index(engine: Engine, settings: IndexSettings) -> VideosIndex:
    """Open the index behind the alias.

    Raises:
        IndexNotFoundError, MappingConflictError: see :func:`describe_index`.
        MappingConflictError: its object has another name than the setting ``index.field``.
    """
    found = engine.run(describe_index(engine.calls, settings.name))
    if found.field != settings.field:
        raise MappingConflictError(
            f"index {found.name!r} keeps its vectors in the object {found.field!r}, but the "
            f"setting index.field is {settings.field!r}: set it to {found.field!r}"
        )
    return VideosIndex(**found.values(), engine=engine)
