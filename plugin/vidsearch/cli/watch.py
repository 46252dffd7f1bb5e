"""``vidsearch ingest --watch``: look at a folder again and again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.batches import in_batches
from vidsearch.cli import output
from vidsearch.cli.folder import PassedOver, Selection, videos_below
from vidsearch.cli.gone import Gone, delete_gone, gone_line, videos_gone
from vidsearch.cli.registering import Registering
from vidsearch.cli.sources import from_files
from vidsearch.cli.unmounted import (
    FolderId,
    Missing,
    Spared,
    deleted_among,
    folder_id,
    is_gone,
)
from vidsearch.errors import BackendUnavailableError

if TYPE_CHECKING:
    from vidsearch.registration import IdFrom
    from vidsearch.registry import NewVideo, Registration, VideoRecord
    from vidsearch_tasks import Services

__all__ = ["FolderWatch"]

_Signature = tuple[int, int]
"""Size and time of the last change of a file."""


@dataclass(slots=True)
class FolderWatch:
    """Registers the videos of a folder that are new or changed since the look before.

    A file is registered once it has the same size and time in two looks, or in the first one has
    not changed for as long as one look comes after the other.
    """

    services: Services
    folder: Path
    seconds: float
    selection: Selection = field(default_factory=Selection)
    id_from: IdFrom = "uri"
    titles: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict)
    prunes: bool = False
    """Whether videos whose file is gone are deleted, not only told."""
    sleep: Callable[[float], None] = time.sleep
    has_problems: bool = field(default=False, init=False)
    _known: dict[str, tuple[_Signature, str]] = field(default_factory=dict, init=False)
    """By path what was registered: the file's signature and the video's id."""
    _folders: dict[str, FolderId] = field(default_factory=dict, init=False)
    """By path the file's folder when the file that is registered was last there."""
    _unstable: dict[str, _Signature] = field(default_factory=dict, init=False)
    _told: set[str] = field(default_factory=set, init=False)
    _began: bool = field(default=False, init=False)
    _earlier: bool = field(default=True, init=False)
    """Whether files may be gone since before the watch began that are still to be told."""

    def run(self) -> None:
        """Look until Ctrl-C."""
        output.talk(f"watching {self.folder} every {self.seconds:g} s; Ctrl-C ends it")
        try:
            while True:
                try:
                    self.look()
                except BackendUnavailableError as error:
                    self._tell(f"error: {error}")
                self.sleep(self.seconds)
        except KeyboardInterrupt:
            output.talk("\nStopped watching; the workers go on.")

    def look(self) -> None:
        """Register what is new or changed, and tell what is gone."""
        passed = PassedOver()
        try:
            paths = videos_below(self.folder, passed, self.selection)
        except click.UsageError as error:
            if not self._began:
                raise
            self._tell(f"error: {error.message}")
            return
        for line in passed.lines():
            self._tell(line)
        self.has_problems |= passed.is_error
        seen: dict[str, FolderId | None] = {}
        folders = {str(path): folder_id(str(path), seen) for path in paths}
        found = {str(path): status for path in paths if (status := _status(path))}
        ready = {path: status for path, status in found.items() if self._is_ready(path, status)}
        self._unstable = {
            path: _signature(status)
            for path, status in found.items()
            if path not in ready and self._signature_of(path) != _signature(status)
        }
        self._register(ready)
        for path, status in found.items():
            within = folders[path]
            if within is not None and self._signature_of(path) == _signature(status):
                self._folders[path] = within
        if found:
            self._look_for_gone(found.keys())
        else:
            self._tell(f"no video file is below {self.folder}, so none is taken for gone")
        self._began = True

    def _is_ready(self, path: str, status: os.stat_result) -> bool:
        signature = _signature(status)
        if self._signature_of(path) == signature:
            return False
        rested = not self._began and time.time() - status.st_mtime >= self.seconds
        return rested or self._unstable.get(path) == signature

    def _signature_of(self, path: str) -> _Signature | None:
        return self._known[path][0] if path in self._known else None

    def _register(self, ready: Mapping[str, os.stat_result]) -> None:
        from vidsearch.registration import Row

        if not ready:
            return
        videos = from_files(map(Path, ready), id_from=self.id_from, titles=self.titles)
        if self.id_from == "name" and not (videos := [*self._without_taken_ids(videos)]):
            return
        done: list[Registration] = []
        registering = Registering(self.services, fields=self.fields, keep=done.append)
        registering.run((Row(video.uri, video) for video in videos), total=len(videos))
        # What is changed but indexed got other fields alone.
        kept = (one for one in done if not one.changed or _is_indexed(one.record))
        again = [one for one in kept if self._has_changed(one, ready)]
        self._ingest_again(again)
        registering.tell(raises=False)
        self.has_problems |= registering.has_problems
        for one in done:
            record = one.record
            if record and record.uri in ready:
                self._known[record.uri] = _signature(ready[record.uri]), one.id

    def _without_taken_ids(self, videos: Sequence[NewVideo]) -> Iterator[NewVideo]:
        """Those whose id is not that of another file that is there, which they would replace."""
        first: dict[str, str] = {}
        for batch in in_batches(videos):
            records = self.services.registry.find_many([video.id for video in batch])
            for video in batch:
                other = _present_uri(records.get(video.id)) or video.uri
                if other == video.uri:
                    other = first.setdefault(video.id, video.uri)
                if other == video.uri:
                    yield video
                    continue
                self.has_problems = True
                self._tell(
                    f"error: not registered: {video.uri} has the id {video.id!r} of {other}: "
                    "rename one of them, or leave out --id-from name"
                )

    def _has_changed(self, one: Registration, ready: Mapping[str, os.stat_result]) -> bool:
        """Whether the file of a video that is registered alike is another than the worker read."""
        from vidsearch.media.sources.local import has_changed

        assert one.record is not None
        validator = one.record.source.get("validator")
        status = ready[one.record.uri]
        return one.record.uri in self._known or bool(validator and has_changed(validator, status))

    def _ingest_again(self, videos: list[Registration]) -> None:
        """Have changed files read again."""
        from vidsearch_tasks import enqueue_many

        if videos:
            reopened = self.services.registry.reopen_many([one.id for one in videos], replaced=True)
            enqueue_many(reopened, services=self.services)
            output.talk(f"{len(videos)} changed")

    def _look_for_gone(self, present: Collection[str]) -> None:
        from vidsearch_mappings.registry import State

        earlier, registry = Gone(()), self.services.registry
        if self._earlier:
            earlier = videos_gone(registry, self.folder, self.selection, without=self._known)
            self._tell_spared(earlier.spared)
        gone = [*earlier.videos]
        deleted = self._deleted(self._known.keys() - present)
        for path in sorted(deleted):
            record = registry.find(self._known[path][1])
            if record and record.uri == path and record.state is not State.DELETED:
                gone.append((record, path))
                self._told.discard(gone_line(record, path))  # it was back meanwhile
        if gone and self.prunes:
            delete_gone(self.services, self.folder, Gone(gone), yes=True)
        else:
            for record, path in gone:
                self._tell(gone_line(record, path))
        # Only now: where the engine was away until here, the next look finds them again.
        self._earlier = bool(earlier.spared)
        for path in deleted:
            del self._known[path]
            self._folders.pop(path, None)

    def _deleted(self, lacking: Iterable[str]) -> set[str]:
        missing = [
            Missing(path, self._known[path][1], self._folders.get(path))
            for path in lacking
            if is_gone(path)
        ]
        deleted, spared = deleted_among(missing, str(self.folder.resolve()))
        self._tell_spared(spared)
        return deleted

    def _tell_spared(self, spared: Iterable[Spared]) -> None:
        for one in spared:
            self._tell(str(one))
            self.has_problems = True

    def _tell(self, line: str) -> None:
        """Say something that is the same at every look, once."""
        if line not in self._told:
            self._told.add(line)
            output.talk(line)


def _is_indexed(record: VideoRecord | None) -> bool:
    from vidsearch_mappings.registry import State

    return record is not None and record.state is State.INDEXED


def _present_uri(record: VideoRecord | None) -> str | None:
    """The file of a registered video, where it is there."""
    from vidsearch_mappings.registry import State

    if record is None or record.state is State.DELETED:
        return None
    return record.uri if os.path.exists(record.uri) else None  # noqa: PTH110  (takes any text)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:  # it is gone since the folder was listed
        return None


def _signature(status: os.stat_result) -> _Signature:
    return status.st_size, status.st_mtime_ns
