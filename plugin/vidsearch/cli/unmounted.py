"""Telling a file that was deleted from one whose file system is not mounted now."""

from __future__ import annotations

import os
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vidsearch.file_names import printable

__all__ = ["Device", "FolderId", "Missing", "Spared", "deleted_among", "folder_id", "is_gone"]

Device = int
"""The number of a file system (``st_dev``)."""
FolderId = tuple[Device, int]
"""The numbers of a file system, and of a folder in it (``st_ino``)."""

_IDS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Missing:
    """A file that is not there, and what is known of the file system that it was on."""

    path: str
    id: str
    """Of its video."""
    folder: FolderId | None = None
    """That of its folder when this process saw the file last. A link, or a layer of an overlay, may
    have a file elsewhere than its folder."""
    recorded: Device | None = None
    """Its number as the worker recorded it that embedded the video. On another machine, or before a
    restart, it may have been another one than now."""


@dataclass(frozen=True, slots=True)
class Spared:
    """Videos whose file is not there, but may only not be mounted."""

    place: str
    why: str
    """What of the place speaks against it that the files are deleted."""
    advice: str | None
    """What to do where they are."""
    ids: Sequence[str]

    def __str__(self) -> str:
        videos = "1 video is" if len(self.ids) == 1 else f"{len(self.ids)} videos are"
        told = f"error: {videos} not taken for gone: {printable(self.place)} {self.why}"
        if self.advice is None:
            return told
        more = " …" if len(self.ids) > _IDS_SHOWN else ""
        advice = self.advice.replace("ID…", shlex.join(self.ids[:_IDS_SHOWN]) + more)
        return f"{told} Where the files are deleted for good, {advice}"

    def to_json(self) -> dict[str, Any]:
        """With a ``state`` as records have it, and without an ``id``: none is to be deleted."""
        return {
            "state": "not taken for gone",
            "place": printable(self.place),
            "reason": self.why,
            "ids": [*self.ids],
        }


@dataclass(frozen=True, slots=True)
class _Found:
    """The innermost part of a path that is there."""

    path: str
    id: FolderId | None = None
    why: str | None = None
    """Why no file below it is taken for deleted."""
    advice: str | None = None


def deleted_among(
    missing: Iterable[Missing],
    root: str,
    *,
    known: Mapping[Device, Collection[Device]] | None = None,
    has_new: bool = False,
) -> tuple[set[str], list[Spared]]:
    """The paths of files that are certainly deleted, and by place the videos of others.

    A file counts as deleted where the innermost folder of its path that is there holds something
    else, and is on the file system that the file was on. Without a mount, the place of it is empty,
    or gone itself, or shows what lies beneath; and a link into it leads nowhere.

    Args:
        missing: files that were not there a moment ago, below ``root``.
        root: the folder that is looked at.
        known: for the recorded number of a file system, those of the folders of files that are
            there.
        has_new: files are there of which it is not recorded yet, so ``known`` may lack some.
    """
    found: dict[str, _Found] = {}
    deleted, unsure = set[str](), list[tuple[Missing, _Found, str]]()
    spared: dict[tuple[str, str, str | None], list[str]] = {}
    like, unlike, suspects = set[str](), dict[str, str](), set[str]()
    for one in missing:
        folder = _innermost(one.path, root, found)
        if not is_gone(one.path):  # asked after the folder, which may have been mounted just now
            continue
        if folder.why is not None and not _is_emptied(one, folder):
            advice = folder.advice and (_DELETE if _is_unsure(one) else folder.advice)
            spared.setdefault((folder.path, folder.why, advice), []).append(one.id)
            continue
        lost = _lost_part(one.path, folder.path)
        same = _is_same(one, folder, known or {})
        if same is None:
            unsure.append((one, folder, lost))
        elif same:
            like.add(lost)
            deleted.add(one.path)
        else:
            suspects.add(folder.path)
            unlike[lost] = _unlike(lost, folder, has_new=has_new and one.folder is None)
            spared.setdefault((lost, unlike[lost], _DELETE), []).append(one.id)
    changed = tuple(f"{path}/" for path in suspects & unlike.keys())
    for one, folder, lost in unsure:  # a video that was never embedded tells nothing by itself
        if lost in unlike:
            spared.setdefault((lost, unlike[lost], _DELETE), []).append(one.id)
        elif (
            folder.path in suspects
            or folder.path.startswith(changed)
            or (lost != folder.path and lost not in like)
        ):
            why = _maybe_unlike(lost, folder)
            spared.setdefault((lost, why, _DELETE), []).append(one.id)
        else:
            deleted.add(one.path)
    return deleted, [Spared(*place, sorted(ids)) for place, ids in sorted(spared.items(), key=str)]


def is_gone(path: str) -> bool:
    """Whether there is no such file; not so where it only cannot be looked for."""
    try:
        os.stat(path)  # noqa: PTH116  (paths of libraries are many)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def folder_id(path: str, seen: dict[str, FolderId | None]) -> FolderId | None:
    """That of the folder that a file is in. ``seen`` keeps what was looked at.

    Ask before the file: what is unmounted in between then costs no video.
    """
    folder = path.rpartition("/")[0] or "/"
    if folder not in seen:
        try:
            status = os.stat(folder)  # noqa: PTH116
            seen[folder] = status.st_dev, status.st_ino
        except OSError:
            seen[folder] = None
    return seen[folder]


def _is_unsure(one: Missing) -> bool:
    """Whether it is not known at all which file system a file was on."""
    return one.folder is None and one.recorded is None


def _is_emptied(one: Missing, folder: _Found) -> bool:
    """Whether an empty folder is the one that the file was in. Another disk that is mounted in the
    same place may have the same numbers."""
    same = folder.id is not None and folder.id == one.folder
    return same and not os.path.ismount(folder.path)


def _is_same(
    one: Missing, folder: _Found, known: Mapping[Device, Collection[Device]]
) -> bool | None:
    """Whether a folder is on the file system that a file was on; ``None``: not known."""
    assert folder.id is not None
    device = folder.id[0]
    if one.folder is not None:
        return one.folder[0] == device
    if one.recorded is None:
        return None
    return one.recorded == device or device in known.get(one.recorded, ())


def _lost_part(path: str, folder: str) -> str:
    """The outermost folder of a path that is gone; the folder that is there, where none is."""
    first, *deeper = path[len(folder) :].strip("/").split("/")
    return f"{folder.rstrip('/')}/{first}" if deeper else folder


_DELETE = "`vidsearch videos delete ID…` deletes the videos"


def _unlike(lost: str, folder: _Found, *, has_new: bool) -> str:
    where = f"is not there, and was on another file system than {printable(folder.path)}"
    if lost == folder.path:
        where = "is on another file system than it was"
    again = " Or try again when the new videos are embedded." if has_new else ""
    return f"{where}: is it mounted?{again}"


def _maybe_unlike(lost: str, folder: _Found) -> str:
    where = f"is not there, and may have been on another file system than {printable(folder.path)}"
    if lost == folder.path:
        where = "may be on another file system than it was"
    return f"{where}: is it mounted?"


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
        status = os.stat(path)  # noqa: PTH116
        with os.scandir(path) as entries:
            is_empty = next(entries, None) is None
    except NotADirectoryError:
        return None
    except FileNotFoundError:
        if not os.path.islink(path):  # noqa: PTH114
            return None
        return _Found(
            path,
            why="is a link that leads nowhere: is that mounted?",
            advice="delete the link as well",
        )
    except OSError as error:
        return _Found(path, why=f"cannot be read ({error.strerror})")
    folder = status.st_dev, status.st_ino
    if not is_empty:
        return _Found(path, folder)
    return _Found(path, folder, why="is empty: is it mounted?", advice="delete the folder as well")
