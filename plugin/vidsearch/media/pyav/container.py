"""A video file opened through PyAV: guarded, with the right stream, and reasons for refusals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vidsearch.errors import MissingExtraError, SourceNotFoundError, VideoOpenError
from vidsearch.media.diagnosis import ENCRYPTED, why_no_stream, why_not_a_video, why_refused
from vidsearch.media.display import EPSILON
from vidsearch.media.ffmpeg_allowlist import AV_OPTIONS, LATE_PICTURE_OPTIONS
from vidsearch.media.frames import VideoInfo
from vidsearch.media.mp4_boxes import is_fragmented
from vidsearch.media.pyav.picture import Pictures, displayed_size, is_quarter, turn_of
from vidsearch.media.raw_mjpeg import is_raw_mjpeg
from vidsearch.media.streams import has_encryption_key, is_picture, select_stream
from vidsearch.media.transport_packets import streams_beside

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.video.stream import VideoStream

__all__ = ["Video", "opened"]

_SANE_FPS = 1000
_BROADCAST = frozenset({"mpegts", "mpeg"})
_USUAL_FPS = 25
_LONGEST_LATE = 6 * 3600.0
"""Seconds by which a picture starts after the sound; time stamps that are further apart are of two
clocks."""
_MOST_PACKETS_BEFORE_A_FRAME = 500
_DESCRIBED = frozenset({"mov", "mp4", "matroska", "webm"})
"""Formats whose header describes the streams."""
_NAME_TURNS = frozenset({"h264", "hevc"})
"""Codecs whose key frames may say how the picture is turned."""
_ASF = frozenset({"asf", "asf_o"})
_END_BY_TIME_STAMP = frozenset({"matroska", "webm", "nut"})
"""Formats for which FFmpeg gives the last time stamp as the duration of the file."""
_AT_A_GLANCE = {"probesize": "32", "analyzeduration": "1"}
"""FFmpeg decodes up to 20 frames to get to know a stream, where it is not told otherwise."""


@dataclass(frozen=True, slots=True)
class Video:
    """An open file and the stream of it that is read; see :func:`opened`."""

    path: Path
    container: InputContainer
    stream: VideoStream
    late_picture: bool = False
    """Its first picture comes seconds after its beginning, see ``LATE_PICTURE_OPTIONS``."""

    @property
    def name(self) -> str:
        """The file's name, for messages."""
        return self.path.name

    @property
    def pixel_aspect(self) -> Fraction | None:
        """Width of a coded pixel divided by its height; ``None`` where unknown or square."""
        return self.stream.sample_aspect_ratio or None

    @property
    def duration(self) -> float | None:
        """Where the picture ends, in seconds from the file's beginning, by the header."""
        stream, first = self.stream, self._start_of(self.stream)
        if stream.duration and stream.time_base:
            end = float(stream.duration * stream.time_base)
            return end - self._clock_before(end) + self.late_by(first)
        if not self.container.duration:
            return None
        end = self.container.duration / 1e6
        is_time_stamp = not _END_BY_TIME_STAMP.isdisjoint(self.container.format.name.split(","))
        return end - (first or 0) + self.late_by(first) if is_time_stamp else end

    def _clock_before(self, end: float) -> float:
        """How many seconds a clock showed when the stream began, of those that FFmpeg gives as its
        duration: it is a time stamp in ASF, and in the MP4 fragments of who records live video.

        Args:
            end: that duration.
        """
        stream, names = self.stream, self.container.format.name.split(",")
        begin = 0.0
        if not _ASF.isdisjoint(names):
            begin = self._start_of(stream) or 0.0
        elif "mp4" in names and len(stream.index_entries) and is_fragmented(self.path):
            first, last = (
                float(stream.index_entries[at].timestamp * (stream.time_base or 0))
                for at in (0, len(stream.index_entries) - 1)
            )
            # Of decoding, as the duration is. What an edit list puts before the first picture is on
            # the clock of the entries, and not in the duration, unless the file has an index.
            begin = min(first, max(self._start_of(stream) or 0.0, 0.0)) if last < end else 0.0
        return begin if 0 < begin < end else 0.0

    def late_by(self, first: float | None) -> float:
        """How many seconds a picture comes after the file's beginning: the earliest start of its
        pictures and sounds, as players count. Less than the time of a frame counts as none.

        Args:
            first: time stamp of the first picture of :attr:`stream`, in seconds.
        """
        others = (
            self._start_of(each)
            for each in self._same_clock(self.container.streams)
            if each.type == "audio" or (each.type == "video" and not is_picture(each))
            if each.index != self.stream.index
        )
        # What is before 0 is not heard: encoders of sound need a beginning to work up to.
        starts = [max(start, 0.0) for start in others if start is not None]
        if first is None or not starts:
            return 0.0
        late, frame = first - min(starts), min(1 / (self.fps or _USUAL_FPS), 1.0)
        return late if frame - EPSILON <= late <= _LONGEST_LATE else 0.0

    @property
    def sounds(self) -> list[Any]:
        """The streams of sound that belong to it."""
        return self._same_clock(self.container.streams.audio)

    def _same_clock(self, streams: Iterable[Any]) -> list[Any]:
        """Those of the streams that are not of another program of a broadcast."""
        is_transport = self.container.format.name == "mpegts"
        own = streams_beside(self.path, self.stream.id) if is_transport else None
        return [each for each in streams if own is None or each.id in own]

    def _start_of(self, stream: Any) -> float | None:
        known = stream.start_time is not None and stream.time_base
        return float(stream.start_time * stream.time_base) if known else None

    @property
    def is_broadcast(self) -> bool:
        """Whether it is a transport or program stream, whose clock may be set anew anywhere."""
        return self.container.format.name in _BROADCAST

    @property
    def promised(self) -> float | None:
        """The duration where the file itself tells it. For transport and program streams FFmpeg
        takes it from the first and last time stamp, which in joined ones are a day apart.
        """
        return None if self.is_broadcast else self.duration

    @property
    def fps(self) -> float | None:
        """Average frames per second from the header; ``None`` where unknown or senseless."""
        rate = self.stream.average_rate or self.stream.guessed_rate
        return float(rate) if rate and 0 < rate <= _SANE_FPS else None

    @property
    def coded_size(self) -> tuple[int, int]:
        """Width and height of a decoded frame."""
        return self.stream.codec_context.width, self.stream.codec_context.height

    def first_frame(self) -> av.VideoFrame | None:
        """The first frame that decodes, read apart from :attr:`container`; ``None`` without one."""
        names = self.container.format.name.split(",")
        if not _DESCRIBED.isdisjoint(names):
            quickly = _first_frame(self.path, self.stream.index, _AT_A_GLANCE)
            if quickly is not None:
                return quickly
        more = LATE_PICTURE_OPTIONS if self.late_picture else {}
        return _first_frame(self.path, self.stream.index, more)

    @contextmanager
    def reopened(self) -> Iterator[Video]:
        """The same stream, read anew from its beginning."""
        with opened(self.path) as again:
            stream: Any = again.container.streams[self.stream.index]
            yield replace(again, stream=stream)

    def pictures(self, *, stretched: bool = True) -> Pictures:
        """A converter for the frames of the stream.

        Args:
            stretched: to square pixels, as players do.
        """
        aspect = self.pixel_aspect if stretched else None
        if self.stream.codec_context.name not in _NAME_TURNS:
            return Pictures(pixel_aspect=aspect)
        return Pictures(pixel_aspect=aspect, first_frame=self.first_frame)

    def info(self) -> VideoInfo:
        """What the header says; whether the picture is turned is read off the first frame."""
        width, height = self.coded_size
        first = self.first_frame()
        width, height = displayed_size(
            width,
            height,
            pixel_aspect=self.pixel_aspect,
            quarter_turned=first is not None and is_quarter(turn_of(first)),
        )
        return VideoInfo(width=width, height=height, duration=self.duration, fps=self.fps)


@contextmanager
def opened(path: Path) -> Iterator[Video]:
    """Open a file for one pass. Nothing but this file is opened, whatever it says.

    Which of several video streams is taken says :func:`~vidsearch.media.streams.select_stream`.

    Raises:
        SourceNotFoundError: no file there.
        VideoOpenError: not a readable video; the message says why.
        MissingExtraError: PyAV is not installed.
    """
    if not path.exists():
        raise SourceNotFoundError(f"no such file: {path}")
    if not path.is_file():  # FFmpeg would wait for a pipe for ever
        raise VideoOpenError(f"{path.name} {why_not_a_video(path)}")
    try:
        import av
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="decoding video") from error
    try:
        container = _open(path)
        stream, late_picture = select_stream(container), False
        if stream is None and container.streams.video and container.format.name in _BROADCAST:
            container.close()
            container, late_picture = _open(path, LATE_PICTURE_OPTIONS), True
            stream = select_stream(container)
    except (av.FFmpegError, OSError) as error:
        raise VideoOpenError(f"{path.name} {why_not_a_video(path)}") from error
    with container:
        if stream is None:
            raise VideoOpenError(f"{path.name} {why_no_stream(path, container)}")
        refusal = ENCRYPTED if has_encryption_key(stream) else why_refused(path)
        if refusal:
            raise VideoOpenError(f"{path.name} {refusal}")
        yield Video(path, container, stream, late_picture)


def _open(path: Path, more: Mapping[str, str] = MappingProxyType({})) -> InputContainer:
    import av

    form = "mjpeg" if is_raw_mjpeg(path) else None
    # An absolute path, so that a file name can never be read as a protocol ("concat:…").
    return av.open(
        str(path.absolute()),
        format=form,
        options={**AV_OPTIONS, **more},
        metadata_errors="replace",
    )


def _first_frame(path: Path, number: int, more: Mapping[str, str]) -> av.VideoFrame | None:
    # In a container of its own, as not every format can go back to its beginning.
    import av

    try:
        with _open(path, more) as container:
            stream: Any = container.streams[number]
            stream.codec_context.thread_count = 1  # else it starts one per core
            for packet in islice(container.demux(stream), _MOST_PACKETS_BEFORE_A_FRAME):
                with suppress(av.FFmpegError):
                    for frame in packet.decode():
                        if isinstance(frame, av.VideoFrame):
                            return frame
    except (av.FFmpegError, IndexError):  # damaged, or another stream begins, before the first
        return None
    return None
