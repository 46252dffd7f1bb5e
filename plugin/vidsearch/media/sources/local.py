"""Files of this machine: inside the configured roots, regular, not too large.

What the roots hold against: ``..``, symbolic links anywhere in the path, and links that are swapped
while the path is checked (the opened file's own place is checked, not the name's). What they do not
hold against: hard links, and a user who may write to a root and swaps a file between the check
and the decoder's own opening, which is by path. A swap or change that is still there at the end is
noticed and the video is tried again.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    SourceForbiddenError,
    SourceNotFoundError,
    SourceRootMissingError,
    SourceUnavailableError,
    VideoError,
    VideoOpenError,
    VideoTooLargeError,
)
from vidsearch.media.sources.sidecars import SIDECAR_BYTES, Sidecar, choose_sidecars

__all__ = ["file_validator", "has_changed", "local_sidecars", "opened_file", "recorded_device"]

_log = logging.getLogger(__name__)

# Without waiting: a pipe put there at the last moment must not block the worker.
_OPEN = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_FRESH = 2.0
"""Seconds: the clock of FAT ticks every second one."""
_OWN_DESCRIPTORS = Path("/proc/self/fd")
_VALIDATOR = re.compile(r"([0-9a-f]+)-[0-9a-f]+ \d+ \d+")


@contextmanager
def opened_file(
    path: Path,
    *,
    roots: Sequence[Path] = (),
    limit: int | None = None,
    where: str | None = None,
) -> Iterator[tuple[Path, os.stat_result]]:
    """Check a file and keep it open, so that it can be told at the end whether it is the same.

    Args:
        path: as given.
        roots: folders that it must lie in; none for anywhere.
        limit: most bytes.
        where: what messages call it; its path by default.

    Yields:
        Its path without links and ``..``, and its status.

    Raises:
        SourceNotFoundError: no such file.
        VideoOpenError: a folder, a pipe, a device, or a file that may not be read.
        VideoTooLargeError: more than ``limit`` bytes.
        SourceForbiddenError: outside of ``roots``, whether or not it is there.
        SourceUnavailableError: the disk or share failed, or the file changed while it was read; or
            the folder of ``roots`` that it would lie in is empty.
        SourceRootMissingError: there is no such folder on this machine.
    """
    is_shown, where = where is None, where or str(path)
    real = _within(path, roots, where)
    try:
        descriptor = _open(real, where)
    except SourceNotFoundError:
        _require_root(real, roots, where, is_shown=is_shown)
        raise
    try:
        status = os.fstat(descriptor)
        _require_regular(where, status.st_mode)
        _require_still_within(where, real, descriptor, roots)
        if limit is not None and status.st_size > limit:
            raise VideoTooLargeError(
                f"{where} has {status.st_size} bytes, and sources.max_bytes allows {limit}"
            )
        yield real, status
        _require_unchanged(where, real, status, os.fstat(descriptor))
    finally:
        os.close(descriptor)


def file_validator(status: os.stat_result) -> str | None:
    """Device, inode, size and time of the last change; ``None`` where that is too fresh to tell
    another change, within one tick of the file system's clock, from this one."""
    if status.st_mtime > time.time() - _FRESH:
        return None
    return f"{status.st_dev:x}-{status.st_ino:x} {status.st_size} {status.st_mtime_ns}"


def has_changed(validator: str, status: os.stat_result) -> bool:
    """Whether a file has another size or time than when it had the validator. Device and inode say
    nothing here: a restart may number them anew."""
    return validator.split(" ")[1:] != [str(status.st_size), str(status.st_mtime_ns)]


def recorded_device(validator: object) -> int | None:
    """The device of a file's validator; ``None`` for what is none."""
    found = _VALIDATOR.fullmatch(validator) if isinstance(validator, str) else None
    return int(found[1], 16) if found else None


def local_sidecars(
    path: Path,
    settings: SourceSettings,
    *,
    languages: Sequence[str] = (),
    where: str | None = None,
    away: Callable[[SourceUnavailableError], object] = lambda error: None,
) -> tuple[Sidecar, ...]:
    """Subtitle files beside the video's given name; those that may not be read are left out.

    Args:
        path: of the video.
        settings: what may be read.
        languages: preferred ones, best first.
        where: what the log calls the video, where its path is not to be shown.
        away: told where there may be more of them later, as the disk or share failed.
    """
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except OSError as error:
        _log.debug("no subtitles beside %s: %s", where or path, error.strerror)
        # As a rule it is denied: the folder may be entered, but not listed.
        if not isinstance(error, (PermissionError, FileNotFoundError, NotADirectoryError)):
            away(
                SourceUnavailableError(
                    f"subtitles beside {where or path} cannot be listed: {error.strerror}"
                )
            )
        return ()
    found = []
    for sidecar in choose_sidecars(path.name, names, languages=languages):
        beside = path.parent / sidecar.path
        name = where and f"a subtitle file of {where}"
        try:
            with opened_file(beside, roots=settings.roots, limit=SIDECAR_BYTES, where=name) as (
                real,
                _,
            ):
                found.append(replace(sidecar, path=real))
        except (VideoError, SourceUnavailableError) as error:
            _log.warning("subtitles left alone: %s", error)
            if isinstance(error, SourceUnavailableError):
                away(error)
    return tuple(found)


def _within(path: Path, roots: Sequence[Path], where: str) -> Path:
    try:
        real = Path(os.path.realpath(path))
    except ValueError as error:  # a character that no name can have
        raise SourceNotFoundError(f"no such file: {where}") from error
    if not _is_within(real, roots):
        raise _forbidden(where)
    return real


def _is_within(real: Path, roots: Sequence[Path]) -> bool:
    return not roots or any(real.is_relative_to(os.path.realpath(root)) for root in roots)


def _forbidden(where: str) -> SourceForbiddenError:
    # Where a link leads is not said: the reader of the message may not be allowed to know.
    return SourceForbiddenError(
        f"{where} may not be read: it lies, or leads, outside of sources.roots; move it there or "
        "add its folder"
    )


def _require_root(real: Path, roots: Sequence[Path], where: str, *, is_shown: bool) -> None:
    """Tell a file that is gone from a share that this machine has not mounted: else its worker
    would fail all videos of the share, one after the other."""
    empty: Path | None = None
    missing: Path | None = None
    for root in roots:
        if not _is_within(real, [root]):
            continue
        try:
            with os.scandir(root) as entries:
                if next(entries, None) is not None:
                    return
            empty = root
        except FileNotFoundError:
            missing = root
        except OSError:  # it is there
            return
    lacking, state = (empty, "is empty") if empty else (missing, "is not there")
    if lacking is None:
        return
    folder = f"{lacking}, a folder of sources.roots," if is_shown else "its folder of sources.roots"
    message = f"{where} cannot be read, as {folder} {state} on this machine: is it mounted?"
    raise SourceUnavailableError(message) if empty else SourceRootMissingError(message)


def _open(real: Path, where: str) -> int:
    try:
        _require_regular(where, real.stat().st_mode)  # opening a device may do something
        return os.open(real, _OPEN)
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise SourceNotFoundError(f"no such file: {where}") from error
    except PermissionError as error:
        raise VideoOpenError(f"{where} cannot be read: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise SourceNotFoundError(f"no such file (name too long): {where[:80]}…") from error
        if error.errno == errno.ELOOP:
            raise SourceNotFoundError(f"no such file (links in a circle): {where}") from error
        raise SourceUnavailableError(f"{where} cannot be read: {error.strerror}") from error


def _require_regular(where: str, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise VideoOpenError(f"{where} is a folder, not a video")
    if not stat.S_ISREG(mode):
        raise VideoOpenError(f"{where} is not a regular file")


def _require_still_within(where: str, real: Path, descriptor: int, roots: Sequence[Path]) -> None:
    """A folder of the path may have become a link since it was resolved."""
    try:
        opened = (_OWN_DESCRIPTORS / str(descriptor)).readlink()
    except OSError:  # no /proc on this system: ask the name once more
        opened = Path(os.path.realpath(real))
    if not _is_within(opened, roots):
        raise _forbidden(where)


def _require_unchanged(
    where: str, real: Path, before: os.stat_result, after: os.stat_result
) -> None:
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    try:
        named = real.stat()
    except OSError:  # moved away meanwhile, as an inbox is emptied: what was read is whole
        named = after
    if not same or (named.st_dev, named.st_ino) != (before.st_dev, before.st_ino):
        raise SourceUnavailableError(f"{where} changed while it was read; it is read again later")
