"""Clips whose clocks are odd: joined, held, late, reordered; and what both decoders give."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from vidsearch.media import open_decoder
from vidsearch.media.frames import Sampling
from vidsearch.testing.clips import counter_frame, read_counter

RATE = 10
TENTHS = [Fraction(i, RATE) for i in range(30)]
_STEREO = 44_100

Reading = tuple[list[int], list[float], float | None]


def write(
    path: Path,
    times: Sequence[Fraction | float],
    *,
    codec: str = "libx264",
    first: int = 0,
    sound: Sequence[tuple[float, float]] = (),
    rate: Fraction | int = RATE,
    muxing: Mapping[str, str] | None = None,
    **options: str,
) -> Path:
    """Frame ``i`` shows the number ``first + i`` and has the time stamp ``times[i]``.

    Args:
        path: the suffix chooses the container.
        times: in seconds.
        codec: of the picture.
        first: number of the first frame.
        sound: spans of seconds in which there is sound.
        rate: nominal frames per second.
        muxing: options of the container.
        options: of the codec; by default a GOP of a second with B-frames.
    """
    with av.open(str(path), "w", options=dict(muxing or {})) as container:
        options = {"g": "10", "bf": "2", **options}
        stream: Any = container.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        # Program streams and AVI take the rate of such a codec from its unit of time.
        if codec in {"libx264", "libx265"} and path.suffix not in {".avi", ".vob"}:
            stream.codec_context.time_base = Fraction(1, 90_000)
        unit = stream.codec_context.time_base or 1 / Fraction(rate)
        packets = []
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(counter_frame(first + number), format="rgb24")
            frame.time_base, frame.pts = unit, round(Fraction(time) / unit)
            packets += stream.encode(frame)
        packets += stream.encode()
        if sound:
            audio: Any = container.add_stream("mp3", rate=_STEREO, layout="mono")
            for begin, end in sound:
                for number in range(int((end - begin) * _STEREO / 1152)):
                    samples = np.zeros((1, 1152), dtype=np.float32)
                    block = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
                    block.sample_rate, block.pts = _STEREO, round(begin * _STEREO) + 1152 * number
                    block.time_base = Fraction(1, _STEREO)
                    packets += audio.encode(block)
            packets += audio.encode()
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            container.mux(packet)
    return path


def joined(path: Path, *parts: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def remuxed(
    source: Path,
    path: Path,
    change: Callable[[int, Any], None] = lambda number, packet: None,
    **options: str,
) -> Path:
    """A copy of the packets in another container, each changed by its number."""
    with av.open(str(source)) as container, av.open(str(path), "w", options=options) as target:
        stream = target.add_stream_from_template(container.streams.video[0])
        packets = [p for p in container.demux(container.streams.video[0]) if p.size]
        for number, packet in enumerate(packets):
            change(number, packet)
            packet.stream = stream
            target.mux(packet)
    return path


def read(name: str, path: Path, *, rate: float = 1.0, sampling: Sampling = "played-at") -> Reading:
    frames = open_decoder(name).frames(path, rate=rate, sampling=sampling)
    numbers, times = [], []
    for batch in frames:
        numbers += [read_counter(frame) for _, frame in batch.frames()]
        times += [round(float(time), 3) for time in batch.pts_seconds]
    assert frames.summary.damaged == 0
    return numbers, times, frames.summary.end_seconds


def assert_both_give(path: Path, expected: Reading, **settings: Any) -> None:
    for name in ("pyav", "opencv"):
        numbers, times, end = read(name, path, **settings)
        assert numbers == expected[0], name
        np.testing.assert_allclose(times, expected[1], atol=2e-3, err_msg=name)
        assert end == pytest.approx(expected[2], abs=2e-3), name


def edited(
    source: Path, path: Path, edits: Sequence[tuple[float, float | None]], *, delay: float
) -> Path:
    """An MP4 file with another edit list; ``delay`` is the presentation time of the first frame."""
    with av.open(str(source)) as container:
        scale = container.streams.video[0].time_base.denominator
    content = source.read_bytes()
    entries = [
        struct.pack(
            ">IiI",
            round(1000 * seconds),  # in the unit of the whole file
            -1 if begin is None else round((begin + delay) * scale),
            1 << 16,
        )
        for seconds, begin in edits
    ]
    table = struct.pack(">4sII", b"elst", 0, len(edits)) + b"".join(entries)
    box = struct.pack(">I4sI", 12 + len(table), b"edts", 4 + len(table)) + table
    movie, track = content.index(b"moov") - 4, content.index(b"trak") - 4
    old = content.find(b"edts", track) - 4
    length = int.from_bytes(content[old : old + 4], "big") if old > 0 else 0
    at = old if old > 0 else content.index(b"mdia", track) - 4
    result = bytearray(content[:at] + box + content[at + length :])
    for start in (movie, track):
        size = int.from_bytes(content[start : start + 4], "big") + len(box) - length
        result[start : start + 4] = size.to_bytes(4, "big")
    path.write_bytes(result)
    return path


def packed(source: Path, target: Path) -> Path:
    """The MPEG-4 stream of an AVI file as DivX and Xvid write it: a P-frame and the B-frame after
    it share a packet, and an empty frame follows.
    """
    with av.open(str(source)) as container, av.open(str(target), "w") as out:
        stream = container.streams.video[0]
        copy = out.add_stream_from_template(stream)
        packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
        marked = b"\0\0\1\xb2DivX503b1393p\0"
        chunks: list[bytes] = []
        waiting: bytes | None = None
        for data in packets:
            is_b = data[data.index(b"\0\0\1\xb6") + 4] >> 6 == 2
            if waiting is not None:
                chunks.append(waiting + data if is_b else waiting)
            if is_b:
                chunks.append(b"\0\0\1\xb6\x50\x00\x7f")
            waiting = None if is_b else data
        if waiting is not None:
            chunks.append(waiting)
        assert len(chunks) == len(packets)
        at = chunks[0].index(b"\0\0\1\xb6")
        chunks[0] = chunks[0][:at] + marked + chunks[0][at:]
        for number, data in enumerate(chunks):
            packet = av.Packet(data)
            packet.stream, packet.time_base = copy, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = number == 0
            out.mux(packet)
    return target


def as_track_of_avi(source: Path, path: Path, *, code: bytes) -> Path:
    """An AVI file's stream in Matroska as mkvmerge stores it: with AVI's header ``code``."""
    with av.open(str(source)) as container, av.open(str(path), "w") as target:
        template = container.streams.video[0]
        track: Any = target.add_stream_from_template(template)
        setup = template.codec_context.extradata or b""
        header = struct.pack("<IiiHH4s5I", 40 + len(setup), 128, 96, 1, 24, code, *[0] * 5)
        track.codec_context.extradata = header + setup
        track.codec_context.codec_tag = "\0\0\0\0"
        for number, packet in enumerate(p for p in container.demux(template) if p.size):
            packet.pts = packet.dts = number
            packet.stream = track
            target.mux(packet)
    content = path.read_bytes()
    (name,) = {name for name in (b"V_MPEG4/ISO/ASP", b"V_MPEG4/ISO/AVC") if name in content}
    path.write_bytes(content.replace(name, b"V_MS/VFW/FOURCC"))
    return path
