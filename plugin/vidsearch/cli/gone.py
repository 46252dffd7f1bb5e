"""Registered videos of a folder whose file is gone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from vidsearch.cli import output
from vidsearch.cli.folder import Selection

if TYPE_CHECKING:
    from vidsearch.registry import Registry, VideoRecord
    from vidsearch_tasks import Services

__all__ = ["delete_gone", "is_gone", "videos_gone"]


def videos_gone(
    registry: Registry, folder: Path, selection: Selection
) -> Iterator[tuple[VideoRecord, str]]:
    """Registered videos whose file was below the folder, each with its path.

    What the selection leaves out counts as not of the folder.
    """
    from vidsearch.media.sources.uris import file_path

    root = os.path.join(folder.resolve(), "")  # noqa: PTH118  (the slash at the end)
    for prefix in (root, f"file://{quote(root)}", f"file://localhost{quote(root)}"):
        for record in registry.below(prefix):
            path = record.uri if prefix is root else file_path(record.uri)
            if selection.takes(path[len(root) :]) and is_gone(path):
                yield record, path


def is_gone(path: str | Path) -> bool:
    """Whether there is no such file; not so where it only cannot be looked for."""
    try:
        Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def delete_gone(
    services: Services, folder: Path, gone: Iterable[tuple[VideoRecord, str]], *, yes: bool
) -> list[VideoRecord]:
    """List the videos, ask, and delete them; returns what is left of them in the registry."""
    from vidsearch_tasks import delete_video

    ids = []
    for record, path in gone:
        output.talk(f"gone: {path} (video {record.id!r}, {record.state})")
        ids.append(record.id)
    if not ids:
        output.talk(f"every registered video of {folder} has its file")
        return []
    if not yes:
        output.confirm(f"Delete these {len(ids)} videos from the index?")
    deleted = [delete_video(id, services=services) for id in ids]
    output.talk(f"{len(deleted)} deleted")
    return deleted
