"""The video files of a folder, and what is passed over in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path, PurePath
from typing import Any

import click

from vidsearch.media.suffixes import VIDEO_SUFFIXES

__all__ = ["PassedOver", "Reason", "is_utf8", "videos_below"]

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

    def add(self, reason: Reason, name: str | PurePath) -> None:
        """Count something, with its name as it is shown."""
        group = self._groups.setdefault(reason, _Group())
        group.count += 1
        key = PurePath(name).suffix.lower() if reason is Reason.SUFFIX else str(name)
        if len(group.first) < _FIRST:
            group.first.setdefault(key, _printable(name))

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


def videos_below(folder: Path, passed: PassedOver) -> list[Path]:
    """Every video file in a folder and below, known by its suffix, sorted by path.

    Links to files are followed, links to folders are not. Nothing that is found stops the search.

    Args:
        folder: where to look.
        passed: gets what is passed over, with names relative to the folder.

    Raises:
        click.UsageError: the folder itself cannot be read, or its path is not UTF-8.
    """
    root = folder.resolve()
    if not is_utf8(str(root)):
        raise click.UsageError(f"the path {_printable(root)} is not UTF-8: rename the folder")
    videos, pending = [], [root]
    while pending:
        here = pending.pop()
        try:
            with os.scandir(here) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            if here == root:
                raise click.UsageError(f"{folder} cannot be read: {error.strerror}") from error
            passed.add(Reason.UNREADABLE, here.relative_to(root))
            continue
        unfinished = {_stem(entry.name) for entry in entries if _is_unfinished(entry.name)}
        for entry in entries:
            path = here / entry.name
            reason = _reason(entry)
            if reason is None and entry.name in unfinished:
                reason = Reason.UNFINISHED
            if reason is not None:
                passed.add(reason, path.relative_to(root))
            elif entry.is_dir(follow_symlinks=False):
                pending.append(path)
            elif path.suffix.lower() in VIDEO_SUFFIXES:
                videos.append(path)
    return sorted(videos)


def is_utf8(name: str) -> bool:
    """Whether a document can hold the name. Python reads other bytes as halves of surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(entry: os.DirEntry[str]) -> Reason | None:
    """Why the entry is passed over; ``None`` for folders, videos and subtitles."""
    if entry.name.startswith(".") or entry.name.lower() in _LEFTOVERS:
        return Reason.LEFTOVER
    if _is_unfinished(entry.name):
        return Reason.UNFINISHED
    suffix = PurePath(entry.name).suffix.lower()
    may_be_video = suffix in VIDEO_SUFFIXES
    try:
        if entry.is_dir():
            if entry.is_symlink():
                return Reason.LINKED_FOLDER
            return None if is_utf8(entry.name) else Reason.NAME
        if not may_be_video and suffix:
            return None if suffix in _SUBTITLES else Reason.SUFFIX
        entry.stat()
        if not may_be_video:
            return Reason.SUFFIX
        if not entry.is_file():
            return Reason.SPECIAL
    except OSError:
        return Reason.LINK
    return None if is_utf8(entry.name) else Reason.NAME


def _is_unfinished(name: str) -> bool:
    suffix = PurePath(name).suffix.lower()
    return suffix in _UNFINISHED or suffix.startswith(".part-frag")


def _stem(name: str) -> str:
    return PurePath(name).stem


def _printable(name: str | PurePath) -> str:
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
