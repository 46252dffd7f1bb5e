"""What a video's document in another index is to become, by its record and the document to go by.

See :mod:`vidsearch.ingest.mirror` for the whole argument. Nothing in here reads or writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from vidsearch.engines import Document, Json
from vidsearch.index.targets import are_alike
from vidsearch.index.videos_index import VideosIndex
from vidsearch.ingest.document import fields_of, with_fields
from vidsearch.registry.field_change import FieldChange
from vidsearch.registry.known_file import can_be_made
from vidsearch_mappings.registry import IN_PROGRESS, State, VideoRecord

__all__ = ["MirrorRule", "Wish"]


class Wish(Enum):
    """What is to become of a document, where it is not written."""

    STAY = "stay"
    GO = "go"
    FILL = "fill"


@dataclass(slots=True)
class MirrorRule:
    """Of documents of ``target``, by those of ``source``."""

    source: VideosIndex
    target: VideosIndex
    alike: bool = field(init=False)
    """Whether documents can be copied."""

    def __post_init__(self) -> None:
        self.alike = are_alike(self.source, self.target)

    def wish(
        self,
        record: VideoRecord | None,
        given: Document | None,
        there: Document | None,
        *,
        source_is_gone: bool = False,
    ) -> Wish | Json:
        """What the document is to be; see the fourth point of the argument.

        Args:
            record: of the video.
            given: its document in the source; with its fingerprint alone where documents cannot be
                copied, unless :meth:`goes_by_fields` is true.
            there: its document in the target.
            source_is_gone: it was dropped under a writer that had opened it.
        """
        target = self.target
        if target.attached and there is None:
            return Wish.STAY  # documents of the application are not ours to make
        has, had = _has_video(given, self.source), _has_video(there, target)
        if record is not None and record.state is State.DELETED:
            return Wish.GO
        if record is not None and record.state is State.INDEXED:
            return self._of_indexed(record, given, there, source_is_gone=source_is_gone)
        if not has and had and (record is None or record.state not in IN_PROGRESS):
            return Wish.GO
        if has and not had and self.alike:
            assert given is not None
            return self._with_video_of(given, there)
        if record is not None and self._is_to_be_made(record, given, there):
            return Wish.FILL
        if record is not None and self.goes_by_fields(record, given, there):
            return self._with_updated_fields(record, given, there)
        return Wish.STAY

    def goes_by_fields(
        self, record: VideoRecord | None, given: Document | None, there: Document | None
    ) -> bool:
        """Whether the document may lack fields that were changed in the one of the source, while
        the video is not indexed."""
        if record is None or record.state in {State.INDEXED, State.DELETED}:
            return False
        has, had = _has_video(given, self.source), _has_video(there, self.target)
        return has and had and not self.target.attached

    def is_so(self, wish: Wish | Json, there: Document | None) -> bool:
        """Whether the document is so already, vectors compared by what they were made of."""
        field = self.target.field
        if isinstance(wish, Wish):
            return not _has_video(there, self.target)
        if there is None:
            return False
        if wish is there.source or wish == there.source:
            return True
        return _without_vectors(wish, field) == _without_vectors(there.source, field)

    def _of_indexed(
        self,
        record: VideoRecord,
        given: Document | None,
        there: Document | None,
        *,
        source_is_gone: bool,
    ) -> Wish | Json:
        source, target = self.source, self.target
        if there is not None and _is_current(record, there, target):
            newest = there.source
            if self.alike and given is not None and _is_current(record, given, source):
                newest = max(newest, self._with_video_of(given, there), key=self._embedded_at)
            return with_fields(record, newest, index=target)
        if not self.alike:
            return Wish.FILL
        if given is None and source_is_gone:
            return Wish.FILL
        if given is None or not given.source.get(source.field):
            return Wish.STAY
        return with_fields(record, self._with_video_of(given, there), index=target)

    def _is_to_be_made(
        self, record: VideoRecord, given: Document | None, there: Document | None
    ) -> bool:
        """Whether the document of a video that is not indexed now has to be made anew, of what was
        indexed last: searches show that, and may for days, where a worker waits for its place."""
        if self.alike or given is None or not can_be_made(record):
            return False
        is_there = there is not None and _is_current(record, there, self.target)
        return _is_current(record, given, self.source) and not is_there

    def _with_updated_fields(
        self, record: VideoRecord, given: Document | None, there: Document | None
    ) -> Json:
        """Fields that were changed in a document whose video is not indexed now: those that the
        record has as well. It may wait with others, for another file."""
        assert given is not None
        assert there is not None
        own, field = fields_of(given.source, self.source), self.target.field
        updated = FieldChange(own, removed=None)
        fields = updated.applied(record.fields, fields_of(there.source, self.target))
        return {**fields, field: there.source[field]}

    def _with_video_of(self, given: Document, there: Document | None) -> Json:
        if not self.target.attached:
            return given.source
        assert there is not None
        return {**there.source, self.target.field: given.source[self.source.field]}

    def _embedded_at(self, source: Json) -> str:
        return source[self.target.field].get("embedded_at") or ""


def _has_video(document: Document | None, index: VideosIndex) -> bool:
    """Whether there is something of vidsearch."""
    return document is not None and (not index.attached or bool(document.source.get(index.field)))


def _is_current(record: VideoRecord, document: Document, index: VideosIndex) -> bool:
    video = document.source.get(index.field) or {}
    return record.is_current(video.get("fingerprint"), index=index.name)


def _without_vectors(source: Json, field: str) -> Json:
    """A document without its vectors, which are the same where all else is."""
    video = source.get(field)
    if not isinstance(video, dict):
        return source
    segments = [
        {key: value for key, value in each.items() if key != "vector"}
        for each in video.get("segments") or ()
    ]
    about = {key: value for key, value in video.items() if key != "vector"}
    return {**source, field: {**about, "segments": segments, "vector": "vector" in video}}
