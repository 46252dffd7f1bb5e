"""Clips with several tracks, odd pixels and odd headers; written with PyAV."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.testing.clips import counter_frame

__all__ = ["Track", "cover", "damaged_copies", "patched", "write_tracks"]

_RATE = 10
# It prints to stderr, and with B-frames a clip of a few frames now and then gets no time stamps.
_X265 = {"x265-params": "log-level=none:bframes=0"}


@dataclass(frozen=True)
class Track:
    """One video track; its frame ``i`` comes on display at ``start + i / 10`` seconds."""

    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    frames: int = 30
    start: Fraction = Fraction(0)
    picture: Callable[[int], NDArray[np.uint8]] = counter_frame
    """RGB or RGBA picture of frame ``i``; all are of one size."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of the encoder."""
    tags: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of the codec context, for example ``colorspace`` and ``sample_aspect_ratio``.
    Matrix and range of the pixels follow them."""
    prepare: Callable[[Any], None] | None = None
    """Called with the stream before its first packet is written."""


def cover(colour: tuple[int, int, int] = (10, 200, 10)) -> Track:
    """Cover art: one large JPEG that players show instead of nothing."""
    return Track(
        codec="mjpeg",
        pixel_format="yuvj420p",
        frames=1,
        picture=lambda _: np.full((480, 640, 3), colour, dtype=np.uint8),
        prepare=lambda stream: setattr(stream, "disposition", 0x400),
    )


def write_tracks(
    path: Path,
    *tracks: Track,
    options: Mapping[str, str] | None = None,
    form: str | None = None,
    seconds_of_sound: int = 0,
) -> Path:
    """Encode the tracks into one file.

    Args:
        path: the suffix chooses the container.
        tracks: in their order in the file; one plain track where there is none, but for sound.
        options: of the container.
        form: name of the container, where the suffix does not say.
        seconds_of_sound: length of an AAC track that comes last.

    Returns:
        ``path``.
    """
    import av

    with av.open(str(path), "w", format=form, options=dict(options or {})) as container:
        streams = [_stream(container, track) for track in tracks]
        sound: Any = container.add_stream("aac", rate=44_100) if seconds_of_sound else None
        for track, stream in zip(tracks, streams, strict=True):
            for frame in _frames(track, stream):
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        if sound is not None:
            for frame in _silence(seconds_of_sound):
                container.mux(sound.encode(frame))
            container.mux(sound.encode())
    return path


def patched(source: Path, target: Path, changes: Sequence[tuple[int, bytes]]) -> Path:
    """A copy with bytes overwritten at the given places."""
    content = bytearray(source.read_bytes())
    for place, new in changes:
        content[place : place + len(new)] = new
    target.write_bytes(content)
    return target


def damaged_copies(content: bytes, *, count: int, seed: int) -> Iterator[bytes]:
    """Copies of a file with flipped bytes, zeroed runs or the end cut off; the same every time."""
    dice = random.Random(seed)
    for _ in range(count):
        copy = bytearray(content)
        kind = dice.random()
        if kind < 0.2:
            del copy[dice.randrange(len(copy)) :]
        elif kind < 0.3:
            begin = dice.randrange(len(copy))
            copy[begin : begin + 64] = bytes(len(copy[begin : begin + 64]))
        else:
            for _ in range(dice.choice((1, 3, 30))):
                copy[dice.randrange(len(copy))] = dice.randrange(256)
        yield bytes(copy)


def _stream(container: Any, track: Track) -> Any:
    options = {**(_X265 if track.codec == "libx265" else {}), **track.options}
    stream = container.add_stream(track.codec, rate=_RATE, options=options)
    stream.height, stream.width = track.picture(0).shape[:2]
    stream.pix_fmt = track.pixel_format
    for name, value in track.tags.items():
        setattr(stream.codec_context, name, value)
    if track.prepare is not None:
        track.prepare(stream)
    return stream


def _frames(track: Track, stream: Any) -> Iterator[Any]:
    import av

    for number in range(track.frames):
        pixels = track.picture(number)
        if track.pixel_format == "pal8":
            frame = _in_greys(pixels)
        else:
            layout = "rgba" if pixels.shape[2] == 4 else "rgb24"
            frame = av.VideoFrame.from_ndarray(pixels, format=layout).reformat(
                format=track.pixel_format,
                dst_colorspace=track.tags.get("colorspace"),
                dst_color_range=track.tags.get("color_range"),
            )
        frame.time_base = Fraction(1, 100 * _RATE)
        frame.pts = round((track.start + Fraction(number, _RATE)) / frame.time_base)
        yield frame


def _in_greys(pixels: NDArray[np.uint8]) -> Any:
    """A frame whose pixels are places in a palette, from white to black; swscale makes none."""
    import av

    palette = np.full((256, 4), 255, dtype=np.uint8)
    palette[:, 1:] = np.arange(255, -1, -1, dtype=np.uint8)[:, None]
    both: Any = np.ascontiguousarray(255 - pixels[:, :, 0]), palette
    return av.VideoFrame.from_ndarray(both, format="pal8")


def _silence(seconds: int) -> Iterator[Any]:
    import av

    for number in range(seconds * 44_100 // 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), dtype=np.int16), layout="stereo")
        frame.sample_rate = 44_100
        frame.pts = number * 1024
        yield frame
