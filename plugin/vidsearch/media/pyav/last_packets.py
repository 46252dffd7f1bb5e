"""The packets of the file that was read last, for the next range of it."""

from __future__ import annotations

import time

from vidsearch.media.pyav.container import Video
from vidsearch.media.pyav.cut_off import cut_off_at
from vidsearch.media.pyav.packets import PacketIndex, read_packets

__all__ = ["LastPackets", "Packets", "packets_and_end"]

Packets = tuple[PacketIndex, float | None]
"""Those of a stream, and when a file would end that has lost its rest (:func:`cut_off_at`)."""

_FORMATS = frozenset({"mov", "mp4", "matroska", "webm"})
"""Of which nothing else is known only to those who have read the packets."""
_YOUNG_SECONDS = 2.0
"""After a change, within which the clock of a file system may not show another one."""
_MOST = 1_000_000
"""Packets that are kept: 35 MB."""


def packets_and_end(video: Video) -> Packets:
    """Read the packets of a video, which is at its beginning."""
    index = read_packets(video)
    return index, cut_off_at(video, index)


class LastPackets:
    """Reads the packets of files, those of the last one once: a worker embeds one slice of a film
    after the other, and would have to read the whole film for each. Thread-safe.
    """

    def __init__(self) -> None:
        self._last: tuple[tuple[object, ...], Packets] | None = None

    def of(self, video: Video) -> Packets:
        """See :func:`packets_and_end`; the video may be at its beginning still."""
        status = video.path.stat()
        file = (video.path, status.st_ino, status.st_size, status.st_mtime_ns, video.stream.index)
        last = self._last
        if last is not None and last[0] == file:
            return last[1]
        found = packets_and_end(video)
        is_old = time.time() - status.st_mtime >= _YOUNG_SECONDS
        is_usual = not _FORMATS.isdisjoint(video.container.format.name.split(","))
        keeps = is_old and is_usual and len(found[0]) <= _MOST
        self._last = (file, found) if keeps else None
        return found
