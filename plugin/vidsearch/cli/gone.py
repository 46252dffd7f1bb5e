"""Registered videos of a folder whose file is gone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from vidsearch.cli import output
from vidsearch.cli.folder import Selection
from vidsearch.cli.unmounted import Device, Missing, deleted_among, folder_device

if TYPE_CHECKING:
    from vidsearch.registry import Registry, VideoRecord
    from vidsearch_tasks import Services

__all__ = ["Gone", "delete_gone", "is_gone", "videos_gone"]


@dataclass(frozen=True, slots=True)
class Gone:
    """Videos whose file is gone."""

    videos: Sequence[tuple[VideoRecord, str]]
    """Each with the path of its file."""
    problems: Sequence[str] = ()
    """A sentence for each place whose files are not there, but may only not be mounted."""


def videos_gone(registry: Registry, folder: Path, selection: Selection) -> Gone:
    """Registered videos whose file was below the folder.

    What the selection leaves out counts as not of the folder.
    """
    from vidsearch.media.sources.local import recorded_device
    from vidsearch.media.sources.uris import file_path

    root = os.path.join(folder.resolve(), "")  # noqa: PTH118  (the slash at the end)
    lacking: list[tuple[VideoRecord, str, Device | None]] = []
    known: dict[Device, set[Device]] = {}
    folders: dict[str, Device | None] = {}
    for prefix in (root, f"file://{quote(root)}", f"file://localhost{quote(root)}"):
        for record in registry.below(prefix):
            path = record.uri if prefix is root else file_path(record.uri)
            if not selection.takes(path[len(root) :]):
                continue
            recorded = recorded_device(record.source.get("validator"))
            if is_gone(path):
                lacking.append((record, path, recorded))
            elif recorded is not None and (device := folder_device(path, folders)) is not None:
                known.setdefault(recorded, set()).add(device)
    missing = (Missing(path, recorded=recorded) for _, path, recorded in lacking)
    deleted, problems = deleted_among(missing, root, known=known)
    return Gone([(record, path) for record, path, _ in lacking if path in deleted], problems)


def is_gone(path: str) -> bool:
    """Whether there is no such file; not so where it only cannot be looked for."""
    try:
        os.stat(path)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def delete_gone(services: Services, folder: Path, gone: Gone, *, yes: bool) -> list[VideoRecord]:
    """List the videos, ask, and delete them; returns what is left of them in the registry."""
    from vidsearch_tasks import delete_video

    for line in gone.problems:
        output.talk(line)
    for record, path in gone.videos:
        output.talk(f"gone: {path} (video {record.id!r}, {record.state})")
    if not gone.videos:
        if not gone.problems:
            output.talk(f"every registered video of {folder} has its file")
        return []
    if not yes:
        output.confirm(f"Delete these {len(gone.videos)} videos from the index?")
    deleted = [delete_video(record.id, services=services) for record, _ in gone.videos]
    output.talk(f"{len(deleted)} deleted")
    return deleted
