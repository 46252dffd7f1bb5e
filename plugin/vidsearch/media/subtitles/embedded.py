"""Subtitles of a track in the video's own file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vidsearch.media.frames import Cue
from vidsearch.media.pyav.container import Video, opened
from vidsearch.media.subtitles.lines import MOST_LINES, Line, cues_of

__all__ = ["embedded_cues"]

_log = logging.getLogger(__name__)

_MOST_TRACKS = 8
_MOST_BYTES_IN_A_LINE = 8192
_UNKNOWN_SECONDS = 5.0
"""How long a line is shown where the container does not say."""


def embedded_cues(path: Path) -> tuple[Cue, ...]:
    """Lines of the file's text track, timed from the first frame; empty where it has none.

    Of several tracks the one that the container marks as default is taken, then the first; tracks
    of forced lines only and of commentary come last, and one without a line is passed over. Tracks
    of pictures (DVD, Blu-ray, DVB) are never taken. Lines that do not decode are left out.

    Raises:
        SourceNotFoundError: no file there.
        VideoOpenError: not a readable video.
        MissingExtraError: PyAV is not installed.
    """
    with opened(path) as video:
        if not _text_tracks(video):
            return ()
        begin = _first_frame_seconds(video)
    # Once more from the start, as not every format can go back to it.
    with opened(path) as video:
        tracks = {track.index: list[Line]() for track in _text_tracks(video)}
        for index, (start, end, text) in _lines(video, set(tracks)):
            if len(tracks[index]) < MOST_LINES:
                tracks[index].append((start - begin, end - begin, text))
    return next((cues for cues in map(cues_of, tracks.values()) if cues), ())


def _text_tracks(video: Video) -> list[Any]:
    """The best first."""
    tracks = sorted(
        (
            stream
            for stream in video.container.streams.subtitles
            if stream.codec_context is not None and stream.codec_context.codec.text_sub
        ),
        key=lambda stream: (
            bool(stream.disposition & type(stream.disposition).forced),
            bool(stream.disposition & type(stream.disposition).comment),
            not stream.disposition & type(stream.disposition).default,
            stream.index,
        ),
    )
    return tracks[:_MOST_TRACKS]


def _first_frame_seconds(video: Video) -> float:
    import av

    for packet in video.container.demux(video.stream):
        try:
            for frame in packet.decode():
                return frame.time or 0.0
        except av.FFmpegError:
            continue
    return 0.0


def _lines(video: Video, wanted: set[int]) -> Iterator[tuple[int, Line]]:
    """Index of the track, and a line of it with the file's own times."""
    import av

    if discard := getattr(av.stream, "Discard", None):  # PyAV 17.1; some formats then skip bytes
        for stream in video.container.streams:
            if stream.index not in wanted:
                stream.discard = discard.all
    undecoded = 0
    try:
        for packet in video.container.demux(list(wanted)):
            if packet.pts is None:
                continue
            try:
                rects: list[Any] = packet.decode()
            except av.FFmpegError:
                undecoded += 1
                continue
            start = float(packet.pts * packet.time_base)
            shown = float(packet.duration * packet.time_base) if packet.duration else 0.0
            for rect in rects:
                text = rect.dialogue[:_MOST_BYTES_IN_A_LINE].decode(errors="replace")
                yield packet.stream.index, (start, start + (shown or _UNKNOWN_SECONDS), text)
    except av.FFmpegError as error:
        _log.warning("%s: its subtitles end early (%s)", video.name, error.strerror)
    if undecoded:
        _log.warning("%s: %d of its subtitles do not decode", video.name, undecoded)
