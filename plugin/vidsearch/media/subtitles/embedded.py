"""Subtitles of a track in the video's own file."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vidsearch.media.frames import Cue
from vidsearch.media.languages import language_rank
from vidsearch.media.pyav.container import Video, opened
from vidsearch.media.pyav.demuxing import packets_of
from vidsearch.media.pyav.sound import first_seconds
from vidsearch.media.pyav.stamps import REORDERED
from vidsearch.media.subtitles.lines import MOST_LINES, Line, cues_of

__all__ = ["embedded_cues"]

_log = logging.getLogger(__name__)

_MOST_TRACKS = 8
_MOST_BYTES_IN_A_LINE = 8192
_UNKNOWN_SECONDS = 5.0
"""How long a line is shown where the container does not say."""


def embedded_cues(path: Path, *, languages: Sequence[str] | None = None) -> tuple[Cue, ...]:
    """Lines of the file's text track, timed as the pictures are; empty where it has none.

    Of several tracks the one that the container marks as default is taken, then the first; tracks
    for the deaf come after plain ones, those of forced lines only and of commentary last, and one
    without a line is passed over. Tracks of pictures (DVD, Blu-ray, DVB) are never taken. Lines
    that do not decode are left out.

    Args:
        path: of the file.
        languages: only whole tracks of one of these, best first; ``None`` takes any.

    Raises:
        SourceNotFoundError: no file there.
        VideoOpenError: not a readable video.
        MissingExtraError: PyAV is not installed.
    """
    with opened(path) as video:
        if not _text_tracks(video, languages):
            return ()
        begin = _beginning(video)
    # Once more from the start, as not every format can go back to it.
    with opened(path) as video:
        tracks = {track.index: list[Line]() for track in _text_tracks(video, languages)}
        for index, (start, end, text) in _lines(video, set(tracks)):
            if len(tracks[index]) < MOST_LINES:
                tracks[index].append((start - begin, end - begin, text))
    return next((cues for cues in map(cues_of, tracks.values()) if cues), ())


def _text_tracks(video: Video, languages: Sequence[str] | None) -> list[Any]:
    """The best first."""
    ranked = []
    for stream in video.container.streams.subtitles:
        if stream.codec_context is None or not stream.codec_context.codec.text_sub:
            continue
        place, distance = language_rank(stream.language or "", languages or ())
        if languages is not None and place >= len(languages):
            continue
        is_last = _is_marked(stream, "forced"), _is_marked(stream, "comment", "commentary")
        if languages is not None and any(is_last):
            continue
        is_for_the_deaf = _is_marked(stream, "hearing_impaired", "sdh")
        # Without a wanted language, plain tracks and those for the deaf may be of different ones.
        rank = (place, distance, is_for_the_deaf) if languages else ()
        is_default = bool(stream.disposition & type(stream.disposition).default)
        ranked.append((is_last, rank, not is_default, is_for_the_deaf, stream.index, stream))
    return [stream for *_, stream in sorted(ranked, key=lambda each: each[:-1])][:_MOST_TRACKS]


def _is_marked(stream: Any, mark: str, word: str = "") -> bool:
    """By its disposition, or by its title, where many programs write it alone."""
    title = str(stream.metadata.get("title", "")).lower()
    flag = getattr(type(stream.disposition), mark)
    return bool(stream.disposition & flag) or (word or mark) in re.findall(r"\w+", title)


def _beginning(video: Video) -> float:
    """The time stamp in seconds at which the clock of the pictures is 0."""
    import av

    stamps: list[int] = []
    with suppress(av.FFmpegError):
        for packet in packets_of(video):
            if packet.pts is not None and not packet.is_discard:
                stamps.append(packet.pts)
            if len(stamps) == REORDERED:
                break
    first = first_seconds(video, stamps)
    return 0.0 if first is None else first - video.late_by(first)


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
