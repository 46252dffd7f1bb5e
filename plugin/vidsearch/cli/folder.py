"""The video files of a folder, and what is passed over in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import click

from vidsearch.file_names import composed, printable
from vidsearch.media.suffixes import VIDEO_SUFFIXES

__all__ = ["PassedOver", "Reason", "Selection", "is_utf8", "videos_below"]

_SUBTITLES = frozenset({".srt", ".vtt"})
"""They come along with the video that they stand beside."""
_LEFTOVERS = frozenset(
    {"@eadir", "@recently-snapshot", "@recycle", "@tmp", "#recycle", "#snapshot"}  # of a NAS
    | {"$recycle.bin", "recycler", "system volume information"}
    | {"__macosx", "network trash folder", "temporary items", "lost+found"}
)
_UNFINISHED = frozenset(
    {".!qb", ".!ut", ".aria2", ".bc!", ".crdownload", ".download", ".filepart", ".opdownload"}
    | {".part", ".partial", ".ytdl"}
)
_FIRST = 10
_SHOWN = 3


class Reason(Enum):
    """Why something is passed over."""

    SUFFIX = "without the suffix of a video format"
    LEFTOVER = "hidden, or left by the system"
    UNFINISHED = "of a download that is not finished"
    EXCLUDED = "left out by --glob, --exclude or --depth"
    LINKED_FOLDER = "linked folders, which are not followed: use --folder for each"
    NAME = "with a name that is not UTF-8: rename them"
    UNREADABLE = "folders that cannot be read: check their rights"
    LINK = "links that lead nowhere"
    SPECIAL = "neither file nor folder"

    @property
    def is_error(self) -> bool:
        """Whether a video may be missing that the user asked for."""
        return self in {Reason.NAME, Reason.UNREADABLE, Reason.LINK, Reason.SPECIAL}


@dataclass(slots=True)
class _Group:
    count: int = 0
    first: dict[str, str] = field(default_factory=dict)
    """Names in printable form; where the suffix is the reason, one of each suffix."""


class PassedOver:
    """How much was passed over, by reason, and the first names."""

    def __init__(self) -> None:
        self._groups: dict[Reason, _Group] = {}

    @property
    def is_error(self) -> bool:
        """Whether a video may be missing that the user asked for."""
        return any(reason.is_error for reason in self._groups)

    def add(self, reason: Reason, name: str) -> None:
        """Count something."""
        group = self._groups.setdefault(reason, _Group())
        group.count += 1
        if len(group.first) < _FIRST:
            key = _suffix(PurePath(name).name) if reason is Reason.SUFFIX else name
            group.first.setdefault(key, printable(name))

    def lines(self) -> Iterator[str]:
        """One message per reason."""
        for reason, group in self._ordered():
            names = list(group.first.values())[:_SHOWN]
            more = ", …" if group.count > len(names) else ""
            kind = "error: not registered" if reason.is_error else "passed over"
            yield f"{kind}: {group.count} {reason.value} ({', '.join(names)}{more})"

    def to_json(self) -> list[dict[str, Any]]:
        """One object per reason, with a ``state`` as records have it."""
        return [
            {
                "state": "passed over",
                "reason": reason.value,
                "is_error": reason.is_error,
                "count": group.count,
                "first": list(group.first.values()),
            }
            for reason, group in self._ordered()
        ]

    def _ordered(self) -> Iterator[tuple[Reason, _Group]]:
        return ((reason, self._groups[reason]) for reason in Reason if reason in self._groups)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files and folders below a folder are looked at; all by default.

    A pattern without a slash is for the name, at any depth; one with a slash for the path below the
    folder, in which ``**`` stands for any number of folders.
    """

    globs: Sequence[str] = ()
    """Patterns of which a file must match one."""
    excludes: Sequence[str] = ()
    """Patterns of files and folders to leave out."""
    depth: int | None = None
    """Levels to look into; 1 for the folder alone."""

    def takes_file(self, path: str) -> bool:
        """Whether a file is looked at whose folders all are."""
        return (not self.globs or _matches(path, self.globs)) and not _matches(path, self.excludes)

    def takes_folder(self, path: str) -> bool:
        """Whether a folder is looked into, if the one above is."""
        deep = self.depth is not None and path.count("/") + 2 > self.depth
        return not deep and not _matches(path, self.excludes)

    def takes(self, path: str) -> bool:
        """Whether a file would be looked at, by its path alone."""
        folders = [str(each) for each in PurePosixPath(path).parents][:-1]
        return self.takes_file(path) and all(map(self.takes_folder, folders))


def _matches(path: str, patterns: Sequence[str]) -> bool:
    parts = composed(path).split("/")
    return any(_matches_parts(parts, _pattern_parts(pattern)) for pattern in patterns)


def _pattern_parts(pattern: str) -> Sequence[str]:
    parts = composed(pattern).strip("/").split("/")
    return parts if "/" in pattern.rstrip("/") else ["**", *parts]


def _matches_parts(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches_parts(parts[n:], pattern[1:]) for n in range(len(parts) + 1))
    return (
        bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches_parts(parts[1:], pattern[1:])
    )


def videos_below(
    folder: Path, passed: PassedOver, selection: Selection = Selection()
) -> list[Path]:
    """Every video file in a folder and below, known by its suffix, sorted by path.

    Links to files are followed, links to folders are not. Nothing that is found stops the search.

    Args:
        folder: where to look.
        passed: gets what is passed over, with names relative to the folder.
        selection: which of it to look at.

    Raises:
        click.UsageError: the folder itself cannot be read, or its path is not UTF-8.
    """
    root = os.path.join(folder.resolve(), "")  # noqa: PTH118  (paths of libraries are many)
    if not is_utf8(root):
        raise click.UsageError(f"the path {printable(root[:-1])} is not UTF-8: rename the folder")
    videos: list[str] = []
    pending = [root]
    while pending:
        here = pending.pop()
        try:
            with os.scandir(here) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            if here == root:
                raise click.UsageError(f"{folder} cannot be read: {error.strerror}") from error
            passed.add(Reason.UNREADABLE, here[len(root) :])
            continue
        unfinished = {PurePath(each.name).stem for each in entries if _is_unfinished(each.name)}
        folders: list[str] = []
        for entry in entries:
            is_video = _suffix(entry.name) in VIDEO_SUFFIXES
            reason = _reason(entry, is_video=is_video)
            if is_video and entry.name in unfinished:
                reason = Reason.UNFINISHED
            path, found = entry.path[len(root) :], None
            if reason in {None, Reason.NAME}:
                if entry.is_dir(follow_symlinks=False):
                    found, takes = folders, selection.takes_folder
                elif is_video:
                    found, takes = videos, selection.takes_file
                if found is not None and not takes(path):
                    reason = Reason.EXCLUDED
            if reason is not None:
                passed.add(reason, path)
            elif found is not None:
                found.append(entry.path)
        pending += reversed(folders)
    return sorted(map(Path, videos))


def is_utf8(name: str) -> bool:
    """Whether a document can hold the name. Python reads other bytes as halves of surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(entry: os.DirEntry[str], *, is_video: bool) -> Reason | None:
    """Why the entry is passed over; ``None`` for folders, videos and subtitles."""
    if entry.name.startswith(".") or entry.name.lower() in _LEFTOVERS:
        return Reason.LEFTOVER
    if _is_unfinished(entry.name):
        return Reason.UNFINISHED
    suffix = _suffix(entry.name)
    try:
        if entry.is_dir():
            if entry.is_symlink():
                return Reason.LINKED_FOLDER
            return None if is_utf8(entry.name) else Reason.NAME
        if not is_video and suffix:
            return None if suffix in _SUBTITLES else Reason.SUFFIX
        if entry.is_symlink():
            entry.stat()
        if not is_video:
            return Reason.SUFFIX
        if not entry.is_file():
            return Reason.SPECIAL
    except OSError:
        return Reason.LINK
    return None if is_utf8(entry.name) else Reason.NAME


def _is_unfinished(name: str) -> bool:
    suffix = _suffix(name)
    return suffix in _UNFINISHED or suffix.startswith(".part-frag")


def _suffix(name: str) -> str:
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""
