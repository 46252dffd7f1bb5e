"""The video files of a folder, found by the names that a data set gives them."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from vidsearch.config import SourceSettings
from vidsearch.errors import EvaluationError, VideoError
from vidsearch.evaluation.pairs import LeftOut, ListedVideo
from vidsearch.file_names import composed
from vidsearch.media import content_hash, fetch
from vidsearch.media.suffixes import VIDEO_SUFFIXES

__all__ = ["Progress", "VideoFiles", "read_each"]

Progress = Callable[[int, int], None]
"""Told how many videos of how many are done."""

_Table = defaultdict[str, list[tuple[str, Path]]]


class VideoFiles:
    """What lies in a folder and below; links to folders are not followed.

    A name is looked for as a path below the folder, with the suffix and without, then as the name
    of a file anywhere below, with the suffix and without. Where no file has it exactly, those count
    whose names differ in this alone: a Mac writes letters and accents apart.

    Raises:
        EvaluationError: the folder cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Of each, by the composed name, with the name itself.
        self._tables: list[_Table] = [defaultdict(list) for _ in range(4)]
        paths, stems, names, name_stems = self._tables
        for root, _, files in os.walk(folder, onerror=self._refuse):
            for name in files:
                path = Path(root, name)
                below = PurePosixPath(path.relative_to(folder))
                _add(paths, str(below), path)
                if below.suffix.lower() in VIDEO_SUFFIXES:
                    _add(stems, str(below.with_suffix("")), path)
                    _add(names, below.name, path)
                    _add(name_stems, below.stem, path)

    def find(self, video: ListedVideo) -> Path | str:
        """The file of a video, or the reason why there is none."""
        asked = [
            str(PurePosixPath(name)) for name in video.names
        ]  # without a dot and a slash first
        for exactly in (True, False):
            for name in asked:
                for table in self._tables:
                    alike = table.get(composed(name), [])
                    found = [path for its, path in alike if its == name or not exactly]
                    if len(found) == 1:
                        return found[0]
                    if found:
                        shown = ", ".join(str(each.relative_to(self.folder)) for each in found[:3])
                        return f"{len(found)} files may be it: {shown}"
        if Path(video.names[0]).is_absolute() and Path(video.names[0]).is_file():
            return Path(video.names[0])
        return f"no such file in {self.folder}"

    @staticmethod
    def _refuse(error: OSError) -> None:
        raise EvaluationError(f"{error.filename} cannot be read: {error.strerror}") from error


def _add(table: _Table, name: str, path: Path) -> None:
    table[composed(name)].append((name, path))


def read_each(
    videos: Sequence[ListedVideo],
    files: VideoFiles,
    read: Callable[[ListedVideo, Path, Path, str], None],
    *,
    sources: SourceSettings,
    progress: Progress,
) -> list[LeftOut]:
    """Read the file of each video; those that have none, or one that cannot be read, are left out.

    Args:
        videos: what to read, in this order.
        files: where they are.
        read: called with the video, its file, the copy of it to read, and the hash of its content.
        sources: where files may be read from.
        progress: told before each video, and at the end.

    Raises:
        SourceUnavailableError: a disk did not answer, or is full; and what ``read`` raises but
            :class:`~vidsearch.errors.VideoError`.
    """
    left_out: list[LeftOut] = []
    for number, video in enumerate(videos):
        progress(number, len(videos))
        path = files.find(video)
        if isinstance(path, str):
            left_out.append(LeftOut(video.key, path))
            continue
        try:
            with fetch(str(path.absolute()), settings=sources) as file:
                read(video, path, file.path, content_hash(file.path))
        except VideoError as error:
            left_out.append(LeftOut(video.key, f"{type(error).__name__}: {error}"))
    progress(len(videos), len(videos))
    return left_out
