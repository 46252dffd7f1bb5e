"""Registered videos of a folder whose file is gone."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import TYPE_CHECKING
from urllib.parse import quote

from vidsearch.cli import output
from vidsearch.cli.folder import Selection
from vidsearch.cli.unmounted import (
    Device,
    FolderId,
    Missing,
    Spared,
    deleted_among,
    folder_id,
    is_gone,
)
from vidsearch.file_names import printable

if TYPE_CHECKING:
    from vidsearch.registry import Registry, VideoRecord
    from vidsearch_tasks import Services

__all__ = ["Gone", "delete_gone", "gone_line", "videos_gone"]


@dataclass(frozen=True, slots=True)
class Gone:
    """Videos whose file is gone."""

    videos: Sequence[tuple[VideoRecord, str]]
    """Each with the path of its file."""
    spared: Sequence[Spared] = ()
    """Videos whose file is not there, but may only not be mounted."""

    @property
    def problems(self) -> list[str]:
        """A sentence for each place of ``spared``."""
        return [str(one) for one in self.spared]


def videos_gone(
    registry: Registry, folder: Path, selection: Selection, *, without: Collection[str] = ()
) -> Gone:
    """Registered videos whose file was below the folder.

    What the selection leaves out counts as not of the folder; and files of ``without`` are not
    looked for.
    """
    from vidsearch.media.sources.local import recorded_device
    from vidsearch.media.sources.uris import file_path

    root = os.path.join(folder.resolve(), "")  # noqa: PTH118  (the slash at the end)
    lacking: list[tuple[VideoRecord, str, Device | None]] = []
    known: dict[Device, set[Device]] = {}
    folders: dict[str, FolderId | None] = {}
    has_new = False
    for prefix in (root, f"file://{quote(root)}", f"file://localhost{quote(root)}"):
        for record in registry.below(prefix):
            path = record.uri if prefix is root else file_path(record.uri)
            if not selection.takes(path[len(root) :]):
                continue
            validator = record.source.get("validator") or ""
            recorded = recorded_device(validator)
            within = folder_id(path, folders)
            if is_gone(path):
                if path not in without:
                    lacking.append((record, path, recorded))
            elif recorded is None:
                has_new = True
            elif within is not None and _is_the_recorded(path, validator):
                known.setdefault(recorded, set()).add(within[0])
    missing = (Missing(path, record.id, recorded=recorded) for record, path, recorded in lacking)
    deleted, spared = deleted_among(missing, root, known=known, has_new=has_new)
    return Gone([(record, path) for record, path, _ in lacking if path in deleted], spared)


def _is_the_recorded(path: str, validator: str) -> bool:
    """Whether a file is the one that was embedded: neither one that lies beneath a mount that is
    lacking, nor a link, whose file may be on another file system than its folder."""
    from vidsearch.media.sources.local import has_changed

    try:
        status = os.lstat(path)
    except OSError:
        return False
    return S_ISREG(status.st_mode) and not has_changed(validator, status)


def gone_line(record: VideoRecord, path: str) -> str:
    """What is said of a video whose file is gone."""
    return f"gone: {printable(path)} (video {record.id!r}, {record.state})"


def delete_gone(services: Services, folder: Path, gone: Gone, *, yes: bool) -> list[VideoRecord]:
    """List the videos, ask, and delete them; returns what is left of them in the registry."""
    from vidsearch_tasks import delete_video

    for line in gone.problems:
        output.talk(line)
    for record, path in gone.videos:
        output.talk(gone_line(record, path))
    if not gone.videos:
        if not gone.problems:
            output.talk(f"every registered video of {folder} has its file")
        return []
    if not yes:
        output.confirm(f"Delete these {len(gone.videos)} videos from the index?")
    deleted: list[VideoRecord] = []
    for record, path in gone.videos:
        now = services.registry.find(record.id)  # somebody may have taken minutes to say yes
        if now is None or now.uri != record.uri:
            other = f"it is {printable(now.uri)} now" if now else "it is not registered any more"
            output.talk(f"kept: video {record.id!r}, as {other}")
        elif not is_gone(path):
            output.talk(f"kept, as its file is back: {printable(path)}")
        else:
            deleted.append(delete_video(record.id, services=services))
    output.talk(f"{len(deleted)} deleted")
    return deleted
