"""Clips to measure on: made in the run, harsher than film, in the shapes that people upload.

The picture is a zoom into the Mandelbrot set averaged with a test pattern, plus noise that changes
with every frame: fine detail everywhere, and no cuts at which an encoder would put a key frame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import groupby
from pathlib import Path
from typing import Any

__all__ = ["GOP_2", "GOP_10", "MINUTE", "Clip", "make_clips", "repeated"]

_NOISE = 3
"""Levels; gives about 1.3 Mbit/s at 360p and 5 Mbit/s at 1080p with x264's defaults."""
_X264 = {"preset": "veryfast", "sc_threshold": "0", "bf": "3"}
GOP_2 = {**_X264, "g": "60"}
"""A key frame every two seconds, three B-frames."""
GOP_10 = {**_X264, "g": "300"}
MINUTE = 60 + 1 / 30
"""A minute and a frame: repeated, it has another picture at each second for half an hour. Workers
do not encode a picture again that they have seen a moment ago."""


@dataclass(frozen=True, slots=True)
class Clip:
    """What to encode."""

    name: str
    """Of the file."""
    title: str
    """For people."""
    height: int = 360
    seconds: float = 20
    codec: str = "libx264"
    options: dict[str, str] = field(default_factory=lambda: dict(GOP_2))
    rate: Fraction = Fraction(30)
    uneven: bool = False
    """Leave out about every fifth frame, so that the rate varies."""

    @property
    def frames(self) -> int:
        """Number of pictures that are drawn."""
        return round(self.seconds * self.rate)


def make_clips(folder: Path, clips: Iterable[Clip]) -> dict[str, Path]:
    """Encode what is not yet in ``folder``; clips of one size are drawn once, together.

    Returns:
        Name → path.
    """
    wanted = list(clips)
    missing = [clip for clip in wanted if not (folder / clip.name).exists()]
    for height, group in groupby(sorted(missing, key=_height), key=_height):
        _encode(folder, list(group), height=height)
    return {clip.name: folder / clip.name for clip in wanted}


def repeated(source: Path, target: Path, *, times: int) -> Path:
    """A long video without encoding one: the packets of ``source``, again and again."""
    import av

    with av.open(str(source)) as one, av.open(str(target), "w") as many:
        video: Any = one.streams.video[0]
        stream: Any = many.add_stream_from_template(video)
        packets = [packet for packet in one.demux(video) if packet.size]
        blobs = [(bytes(p), p.pts, p.dts, p.duration, p.is_keyframe) for p in packets]
        length = max(pts + duration for _, pts, _, duration, _ in blobs)
        for turn in range(times):
            for data, pts, dts, duration, key in blobs:
                packet = av.Packet(data)
                packet.pts, packet.dts = pts + turn * length, dts + turn * length
                packet.duration, packet.time_base = duration, video.time_base
                packet.is_keyframe, packet.stream = key, stream
                many.mux(packet)
    return target


def _height(clip: Clip) -> int:
    return clip.height


def _encode(folder: Path, clips: list[Clip], *, height: int) -> None:
    writers = [_Writer(folder, clip) for clip in clips]
    longest = max(clip.frames for clip in clips)
    for number, picture in zip(range(longest), _pictures(height), strict=False):
        for writer in writers:
            writer.write(picture, number)
    for writer in writers:
        writer.close()


def _pictures(height: int) -> Iterator[Any]:
    import av

    width = height * 16 // 9
    graph: Any = av.filter.Graph()
    size = f"size={width}x{height}:rate=30"
    blend, last = graph.add("blend", "all_mode=average"), graph.add("buffersink")
    for number, source in enumerate(("mandelbrot", "testsrc")):
        drawn, rgb = graph.add(source, size), graph.add("format", "gbrp")
        drawn.link_to(rgb)
        rgb.link_to(blend, 0, number)
    graph.link_nodes(
        blend,
        graph.add("format", "yuv420p"),
        graph.add("noise", f"alls={_NOISE}:allf=t"),
        last,
    ).configure()
    while True:
        yield graph.pull()


class _Writer:
    """Encodes into a file that gets its name when it is complete."""

    def __init__(self, folder: Path, clip: Clip) -> None:
        import av

        self._clip = clip
        self._path = folder / clip.name
        self._part = self._path.with_name(f"part-{clip.name}")
        self._container: Any = av.open(str(self._part), "w")
        stream: Any = self._container.add_stream(
            clip.codec, rate=clip.rate, options=dict(clip.options)
        )
        stream.height, stream.width = clip.height, clip.height * 16 // 9
        stream.pix_fmt = "yuv420p"
        self._stream = stream

    def write(self, picture: Any, number: int) -> None:
        left_out = self._clip.uneven and number * 7919 % 11 < 2
        if number >= self._clip.frames or left_out:
            return
        picture.pts, picture.time_base = number, 1 / self._clip.rate
        picture.pict_type = 0  # for the encoder to choose
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()
        self._part.rename(self._path)
