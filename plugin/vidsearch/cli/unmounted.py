"""Telling a file that was deleted from one whose file system is not mounted now."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Device", "Missing", "deleted_among", "folder_device"]

Device = int
"""The number of a file system (``st_dev``)."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that is not there, and what is known of the file system that it was on."""

    path: str
    device: Device | None = None
    """That of its folder when this process saw the file last. A link, or a layer of an overlay, may
    have a file elsewhere than its folder."""
    recorded: Device | None = None
    """Its number as the worker recorded it that embedded the video. On another machine, or before a
    restart, it may have been another one than now."""


@dataclass(frozen=True, slots=True)
class _Found:
    """The innermost part of a path that is there."""

    path: str
    device: Device = 0
    why: str | None = None
    """Why no file below it is taken for deleted."""


def deleted_among(
    missing: Iterable[Missing], root: str, *, known: Mapping[Device, Collection[Device]]
) -> tuple[set[str], list[str]]:
    """The paths of files that are certainly deleted, and a sentence for each place of others.

    A file counts as deleted where the innermost folder of its path that is there holds something
    else, and is on the file system that the file was on. Without a mount, the place of it is empty,
    or gone itself, or shows what lies beneath; and a link into it leads nowhere.

    Args:
        missing: files that are not there, below ``root``.
        root: the folder that is looked at.
        known: for the recorded number of a file system, those of the folders of files that are
            there.
    """
    found: dict[str, _Found] = {}
    deleted, unsure = set[str](), list[tuple[Missing, str]]()
    others = Counter[tuple[str, str]]()
    unlike: dict[str, _Found] = {}
    for one in missing:
        folder = _innermost(one.path, root, found)
        if folder.why is not None:
            others[folder.path, folder.why] += 1
            continue
        lost = _lost_part(one.path, folder.path)
        if (same := _is_same(one, folder, known)) is True:
            deleted.add(one.path)
            continue
        if same is False:
            unlike[lost] = folder
        unsure.append((one, lost))
    for one, lost in unsure:  # a video that was never embedded tells nothing by itself
        if lost in unlike:
            others[lost, _unlike(lost, unlike[lost])] += 1
        else:
            deleted.add(one.path)
    return deleted, [_told(place, why, count) for (place, why), count in sorted(others.items())]


def folder_device(path: str, seen: dict[str, Device | None]) -> Device | None:
    """The file system of the folder that a file is in. ``seen`` keeps what was looked at."""
    folder = path.rpartition("/")[0] or "/"
    if folder not in seen:
        try:
            seen[folder] = os.stat(folder).st_dev  # noqa: PTH116  (paths of libraries are many)
        except OSError:
            seen[folder] = None
    return seen[folder]


def _is_same(
    one: Missing, folder: _Found, known: Mapping[Device, Collection[Device]]
) -> bool | None:
    """Whether a folder is on the file system that a file was on; ``None``: not known."""
    if one.device is not None:
        return one.device == folder.device
    if one.recorded is None:
        return None
    return one.recorded == folder.device or folder.device in known.get(one.recorded, ())


def _lost_part(path: str, folder: str) -> str:
    """The outermost folder of a path that is gone; the folder that is there, where none is."""
    first, *deeper = path[len(folder) :].strip("/").split("/")
    return f"{folder.rstrip('/')}/{first}" if deeper else folder


def _unlike(lost: str, folder: _Found) -> str:
    where = f"is not there, and was on another file system than {folder.path}"
    if lost == folder.path:
        where = "is on another file system than it was"
    return (
        f"{where}: is it mounted? Where the files are deleted for good, `vidsearch videos delete "
        "ID…` deletes the videos"
    )


def _told(place: str, why: str, count: int) -> str:
    videos = "1 video is" if count == 1 else f"{count} videos are"
    return f"error: {videos} not taken for gone: {place} {why}"


def _innermost(path: str, root: str, found: dict[str, _Found]) -> _Found:
    here = path
    while (one := found.get(here) or _look(here)) is None:
        if len(here) <= len(root.rstrip("/")):
            one = _Found(here, why="is not there: is it mounted?")
            break
        here = here.rpartition("/")[0] or "/"
    if here != path:  # as other files are below it
        found[here] = one
    return one


def _look(path: str) -> _Found | None:
    """A folder, or a link that leads nowhere; ``None`` for all else."""
    try:
        device = os.stat(path).st_dev  # noqa: PTH116  (paths of libraries are many)
        with os.scandir(path) as entries:
            is_empty = next(entries, None) is None
    except NotADirectoryError:
        return None
    except FileNotFoundError:
        if not os.path.islink(path):  # noqa: PTH114
            return None
        return _Found(
            path,
            why="is a link that leads nowhere: is that mounted? Where its files are deleted for "
            "good, delete the link as well",
        )
    except OSError as error:
        return _Found(path, why=f"cannot be read ({error.strerror})")
    if not is_empty:
        return _Found(path, device)
    return _Found(
        path,
        why="is empty: is it mounted? Where its files are deleted for good, delete the folder as "
        "well",
    )
