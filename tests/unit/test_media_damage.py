"""Damaged and missing frames are counted and left out; what is given shows what it should."""

from __future__ import annotations

import functools
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.remuxing import Change, dropped, evenly_timed, remuxed

from vidsearch.embeddings import SegmentPolicy, VideoEmbedding, embed_video
from vidsearch.errors import NoFramesError, VideoDamagedError
from vidsearch.media import open_decoder
from vidsearch.media.direct_reader import DirectReader
from vidsearch.media.frames import DEFAULT_LIMITS, FrameSummary
from vidsearch.testing.clips import moving_frame, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder

av = pytest.importorskip("av")

_RATE = 10
_SECONDS = 8
_GOP = 10
_STEP = 1 / _RATE
_POINTS = 5.0
"""Sampling points per second."""
_WRONG = 2.0
"""Mean levels of 255 by which a picture may differ from the undamaged one."""


@dataclass(frozen=True)
class Clip:
    """How a clip is encoded, and the container that its packets are then put into.

    The key frames of most clips are packets 0, 10, 20, …
    """

    name: str
    codec: str = "libx264"
    options: Mapping[str, str] = field(default_factory=dict)

    def write(self, folder: Path, change: Change = lambda _, data: data) -> Path:
        """Encode it, and copy its packets with changes."""
        suffix = {"libvpx": ".webm"}.get(self.codec, ".ts" if self.name.endswith(".ts") else ".mp4")
        whole = folder / f"whole{suffix}"
        if not whole.exists():
            times = [Fraction(i, _RATE) for i in range(_RATE * _SECONDS)]
            unit = Fraction(1, _RATE if self.codec in {"mpeg4", "mpeg2video"} else 90_000)
            options = {"g": str(_GOP), **self.options}
            write_clip(
                whole,
                times,
                picture=_picture,
                codec=self.codec,
                rate=_RATE,
                time_base=unit,
                options=options,
            )
        return remuxed(whole, folder / self.name, change)


def _x264(**options: str) -> dict[str, str]:
    return {"preset": "veryfast", "bf": "2", "sc_threshold": "0", **options}


_X265 = {
    "preset": "ultrafast",
    "x265-params": "log-level=none:pools=1:keyint=10:min-keyint=10:bframes=2:open-gop=0",
}
_MPEG = {"bf": "2", "b": "600k"}
H264 = {
    "h264-mp4": Clip("c.mp4", options=_x264()),
    "h264-mkv": Clip("c.mkv", options=_x264()),
    "h264-ts": Clip("c.ts", options=_x264()),
    "h264-flv": Clip("c.flv", options=_x264()),
    "h264-slices": Clip("c.mp4", options=_x264(coder="0", slices="4")),
    "h264-open-gop": Clip("c.mkv", options=_x264(**{"x264-params": "open-gop=1"})),
    "h264-pyramid": Clip("c.mp4", options=_x264(bf="5", **{"b-pyramid": "normal"})),
}
MPEG2 = {
    "mpeg2-ts": Clip("c.ts", "mpeg2video", _MPEG),
    "mpeg2-mkv": Clip("c.mkv", "mpeg2video", _MPEG),
}
MPEG4 = {
    "mpeg4-mp4": Clip("c.mp4", "mpeg4", _MPEG),
    "mpeg4-avi": Clip("c.avi", "mpeg4", {"b": "600k"}),
}
HEVC = {
    "hevc-mp4": Clip("c.mp4", "libx265", _X265),
    "hevc-mkv": Clip("c.mkv", "libx265", _X265),
    "hevc-ts": Clip("c.ts", "libx265", _X265),
    "hevc-open-gop": Clip(
        "c.mp4",
        "libx265",
        {**_X265, "x265-params": _X265["x265-params"].replace("open-gop=0", "open-gop=1")},
    ),
}
VP8 = {"vp8": Clip("c.webm", "libvpx", {"deadline": "realtime", "cpu-used": "8"})}


@functools.cache
def _picture(number: int) -> NDArray[np.uint8]:
    return moving_frame(number)


def scribbled(*numbers: int) -> Change:
    """Overwrite a third of the packets."""

    def change(number: int, data: bytes) -> bytes:
        if number not in numbers:
            return data
        begin, end = len(data) // 3, 2 * len(data) // 3
        return data[:begin] + random.Random(number).randbytes(end - begin) + data[end:]

    return change


def shortened(*numbers: int) -> Change:
    return lambda number, data: data[: len(data) // 2] if number in numbers else data


def read(
    path: Path, decoder: str = "pyav", **settings: Any
) -> tuple[dict[float, NDArray[np.uint8]], FrameSummary]:
    frames = open_decoder(decoder, max_damaged=1.0).frames(path, rate=_POINTS, **settings)
    pictures = {
        round(float(time), 1): picture
        for batch in frames
        for picture, time in zip(batch.data, batch.pts_seconds, strict=True)
    }
    return pictures, frames.summary


def assert_costs(
    path: Path, whole: Path, gop: tuple[float, float], *, decoder: str = "pyav"
) -> None:
    """All points are given but those of a GOP, and show what they should.

    Its first frame may be missing, so that the one before stays on display. B-frames before it
    depend on it.
    """
    clean = everything(whole)
    begin, end = gop
    points = [k / _POINTS for k in range(int(_SECONDS * _POINTS))]
    pictures, summary = read(path, decoder)
    assert summary.points == len(points)
    assert summary.damaged == summary.points - len(pictures)
    for point in points:
        if begin + _STEP <= point < end:
            assert point not in pictures
        elif not begin - 3 * _STEP < point < end:
            assert point in pictures
    for time, picture in pictures.items():
        assert difference(picture, clean[time]) < _WRONG, time


def everything(path: Path) -> dict[float, NDArray[np.uint8]]:
    """All frames of an intact clip by their times."""
    (batch,) = open_decoder("pyav").frames(path, rate=_RATE, batch_size=_RATE * _SECONDS)
    times = np.round(batch.pts_seconds, 1).tolist()
    return dict(zip(times, batch.data, strict=True))


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


INTRA = {"h264-intra-ts": Clip("c.ts", options={**_x264(), "g": "1"})}
CLIPS = H264 | INTRA | MPEG2 | MPEG4 | HEVC | VP8


def intact(name: str, folder: Path) -> tuple[Clip, Path, list[int]]:
    """A clip, its file, and which packets are key frames."""
    clip = CLIPS[name]
    path = clip.write(folder).rename(folder / f"intact-{clip.name}")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return clip, path, [number for number, packet in enumerate(packets) if packet.is_keyframe]


def gop_of(path: Path, number: int) -> tuple[float, float]:
    """When a GOP begins and ends, in seconds from the first frame."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    first = min(packet.pts for packet in packets)
    times = [float((p.pts - first) * p.time_base) for p in packets if p.is_keyframe]
    return round(times[number], 1), round(times[number + 1], 1)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", CLIPS)
def test_an_intact_clip_has_no_damage(tmp_path: Path, name: str, decoder: str) -> None:
    _, path, _ = intact(name, tmp_path)
    pictures, summary = read(path, decoder)
    assert (len(pictures), summary.damaged, summary.points) == (40, 0, 40)


@pytest.mark.parametrize("name", [*H264, *MPEG2, *MPEG4])
def test_a_damaged_key_frame_costs_its_gop(tmp_path: Path, name: str) -> None:
    clip, whole, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, scribbled(keys[3]))
    assert_costs(path, whole, gop_of(whole, 3))


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", [*H264, *MPEG2, *HEVC])
def test_a_missing_key_frame_costs_its_gop(tmp_path: Path, name: str, decoder: str) -> None:
    clip, whole, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, dropped(keys[3]))
    assert_costs(path, whole, gop_of(whole, 3), decoder=decoder)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", [*H264, *MPEG2, *HEVC])
def test_missing_packets_cost_the_rest_of_their_gop(
    tmp_path: Path, name: str, decoder: str
) -> None:
    clip, whole, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, dropped(*range(keys[3] + 1, keys[3] + 5)))
    begin, end = gop_of(whole, 3)
    clean = everything(whole)
    pictures, summary = read(path, decoder)
    assert summary.damaged == summary.points - len(pictures)
    assert 2 <= summary.damaged <= 6
    assert all(begin - 3 * _STEP < time < end for time in _left_out(pictures))
    assert all(difference(each, clean[time]) < _WRONG for time, each in pictures.items())


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["h264-mp4", "h264-mkv", "mpeg2-ts", "hevc-mp4", "hevc-mkv"])
def test_missing_packets_are_counted_though_time_stamps_are_even(
    tmp_path: Path, name: str, decoder: str
) -> None:
    clip, whole, keys = intact(name, tmp_path)
    holed = clip.write(tmp_path, dropped(*range(keys[3] + 1, keys[3] + 5)))
    path = evenly_timed(holed, tmp_path / f"even-{clip.name}", rate=_RATE)
    clean = list(everything(whole).values())
    pictures, summary = read(path, decoder)
    assert summary.damaged == summary.points - len(pictures)
    assert 1 <= summary.damaged <= 5
    # A frame after the hole comes earlier than in the whole clip.
    for picture in pictures.values():
        assert min(difference(picture, each) for each in clean) < _WRONG


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("lost", [1, 3])
@pytest.mark.parametrize("name", ["h264-ts", "h264-intra-ts", "hevc-ts", "mpeg2-ts"])
def test_a_key_frame_that_lacks_transport_packets_costs_its_gop(
    tmp_path: Path, name: str, lost: int, decoder: str
) -> None:
    clip, whole, keys = intact(name, tmp_path)
    packets = _transport_packets(whole)
    starts = [n for n, each in enumerate(packets) if _stream(each) == 256 and each[1] & 0x40]
    first = starts[keys[4]] + 2
    path = tmp_path / clip.name
    path.write_bytes(b"".join(packets[:first] + packets[first + lost :]))
    assert_costs(path, whole, gop_of(whole, 4), decoder=decoder)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["h264-ts", "h264-intra-ts", "hevc-ts", "mpeg2-ts"])
def test_transport_streams_that_are_joined_have_no_damage(
    tmp_path: Path, name: str, decoder: str
) -> None:
    clip, whole, keys = intact(name, tmp_path)
    path = tmp_path / clip.name
    path.write_bytes(2 * whole.read_bytes())
    assert read(path, decoder)[1].damaged == 0
    # Its counter begins anew at a key frame, as in the parts of a stream that is cut for HLS.
    packets = _transport_packets(whole)
    starts = [n for n, each in enumerate(packets) if _stream(each) == 256 and each[1] & 0x40]
    for number in range(starts[keys[4]], len(packets)):
        if _stream(packet := bytearray(packets[number])) == 256:
            packet[3] = packet[3] & 0xF0 | (packet[3] + 5) & 15
            packets[number] = bytes(packet)
    path.write_bytes(b"".join(packets))
    pictures, summary = read(path, decoder)
    assert (len(pictures), summary.damaged) == (40, 0)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_a_video_whose_only_key_frame_is_missing_is_refused(
    tmp_path: Path, container: str, decoder: str
) -> None:
    clip = Clip(f"c.{container}", "mpeg4", {**_MPEG, "g": "300", "sc_threshold": "1000000000"})
    path = clip.write(tmp_path, dropped(0))
    with pytest.raises(VideoDamagedError, match="damaged or missing"):
        list(open_decoder(decoder).frames(path, rate=_POINTS))


def test_a_slice_after_much_other_data_is_found(tmp_path: Path) -> None:
    clip, whole, keys = intact("h264-ts", tmp_path)
    delimiter = b"\0\0\0\1\x09\xf0"
    message = b"\0\0\1\6\5" + b"\xff" * 20 + b"\0" + b"\xaa" * 5100 + b"\x80"

    def change(number: int, data: bytes) -> bytes | None:
        if number == keys[3]:
            return None
        if number < keys[5] or number % 4:
            return data
        assert data.startswith(delimiter)
        return delimiter + message + data[len(delimiter) :]

    assert_costs(clip.write(tmp_path, change), whole, gop_of(whole, 3))


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", [name for name in CLIPS if name != "mpeg4-avi"])
def test_a_missing_first_key_frame_costs_its_gop(tmp_path: Path, name: str, decoder: str) -> None:
    clip, whole, _ = intact(name, tmp_path)
    path = clip.write(tmp_path, dropped(0))
    clean = everything(whole)
    _, end = gop_of(whole, 0)
    pictures, summary = read(path, decoder)
    assert summary.damaged == summary.points - len(pictures)
    assert 4 <= summary.damaged <= 6
    # A stream that lacks its first frame begins with the second, a step later or at its time.
    shift = min(
        (_STEP * n for n in range(4)),
        key=lambda shift: difference(pictures[6.0], clean[round(6.0 + shift, 1)]),
    )
    for time, picture in pictures.items():
        assert time + shift > end - _STEP
        assert difference(picture, clean[round(time + shift, 1)]) < _WRONG, time


def test_a_damaged_frame_that_none_refers_to_costs_itself(tmp_path: Path) -> None:
    clip, whole, keys = intact("h264-mp4", tmp_path)
    with av.open(str(whole)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    first = packets[0].pts
    number = next(
        n
        for n, packet in enumerate(packets)
        if n > keys[3]
        and not bytes(packet)[4] & 0x60
        and (packet.pts - first) * packet.time_base % Fraction(1, 5) == 0
    )
    path = clip.write(tmp_path, scribbled(number))
    time = float((packets[number].pts - first) * packets[number].time_base)
    pictures, summary = read(path)
    assert summary.damaged == 1
    assert _left_out(pictures) == [time]


class TestIntraRefresh:
    CLIP = Clip("c.ts", options=_x264(bf="0", **{"x264-params": "intra-refresh=1"}))

    @pytest.mark.parametrize("decoder", ["pyav", "opencv"])
    def test_it_has_no_damage_from_its_beginning_or_from_amid(
        self, tmp_path: Path, decoder: str
    ) -> None:
        whole = self.CLIP.write(tmp_path).rename(tmp_path / "intact.ts")
        assert read(whole, decoder)[1].damaged == 0
        amid = self.CLIP.write(tmp_path, dropped(*range(15)))
        pictures, summary = read(amid, decoder)
        assert summary.damaged == 0
        assert len(pictures) > 20

    def test_damage_ends_at_the_second_recovery_point(self, tmp_path: Path) -> None:
        whole = self.CLIP.write(tmp_path).rename(tmp_path / "intact.ts")
        clean = everything(whole)
        for change in (shortened(32), dropped(32, 33)):
            pictures, summary = read(self.CLIP.write(tmp_path, change))
            assert 5 <= summary.damaged <= 14
            assert all(3.0 < time < 6.0 for time in _left_out(pictures))
            assert all(difference(each, clean[time]) < _WRONG for time, each in pictures.items())


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["h264-open-gop", "mpeg2-ts"])
def test_a_stream_that_begins_with_leading_pictures_has_no_damage(
    tmp_path: Path, name: str, decoder: str
) -> None:
    clip, _, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, dropped(*range(keys[2])))
    pictures, summary = read(path, decoder)
    assert summary.damaged == 0
    assert len(pictures) > 25


def test_a_video_is_embedded_without_its_damage(tmp_path: Path) -> None:
    clip, whole, keys = intact("h264-mkv", tmp_path)
    path = clip.write(tmp_path, dropped(keys[3]))

    def embedded(path: Path) -> VideoEmbedding:
        reader = DirectReader("pyav", limits=DEFAULT_LIMITS)
        policy = SegmentPolicy(length=2.0)
        return embed_video(
            path, reader=reader, encoder=FakeEncoder(), segments=policy, rate=_POINTS
        )

    whole_video, video = embedded(whole), embedded(path)
    assert (whole_video.frames, whole_video.damaged) == (40, 0)
    assert (video.frames, video.damaged) == (35, 5)
    assert [segment.start for segment in video.segments] == [0, 2, 4, 6]
    for number in (0, 2, 3):
        np.testing.assert_array_equal(
            video.segments[number].vector, whole_video.segments[number].vector
        )


def test_a_video_of_which_nothing_is_whole_is_refused(tmp_path: Path) -> None:
    clip, _, keys = intact("mpeg4-avi", tmp_path)
    path = clip.write(tmp_path, scribbled(*keys))
    with pytest.raises(VideoDamagedError, match=r"c\.avi: 40 of 40 frames.*damaged or missing"):
        list(open_decoder("pyav").frames(path, rate=_POINTS))
    with pytest.raises(NoFramesError, match=r"c\.avi: none of the 40 frames"):
        read(path)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_a_point_that_is_cut_off_is_counted_once(tmp_path: Path, decoder: str) -> None:
    flags = "+frag_keyframe+empty_moov+default_base_moof+global_sidx"
    whole = Clip("c.mp4", options=_x264()).write(tmp_path)
    path = tmp_path / "fragments.mp4"
    with av.open(str(whole)) as given, av.open(str(path), "w", options={"movflags": flags}) as made:
        stream = made.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.size:
                packet.stream = stream
                made.mux(packet)
    content = path.read_bytes()
    moofs = [at for at in range(len(content)) if content.startswith(b"moof", at)]
    # After the fourth fragment, and amid the first frame of the fifth.
    for cut in (moofs[4] - 4, moofs[4] + 400):
        path.write_bytes(content[:cut])
        for rate in (1.0, _POINTS):
            frames = open_decoder(decoder, max_damaged=0.5).frames(path, rate=rate)
            given_points = sum(len(batch) for batch in frames)
            assert frames.summary.points == _SECONDS * rate
            assert frames.summary.damaged == _SECONDS * rate - given_points
            assert given_points == 4 * rate


def _left_out(pictures: dict[float, NDArray[np.uint8]]) -> list[float]:
    points = [k / _POINTS for k in range(int(_SECONDS * _POINTS))]
    return [point for point in points if point not in pictures]


def _transport_packets(path: Path) -> list[bytes]:
    data = path.read_bytes()
    return [data[at : at + 188] for at in range(0, len(data), 188)]


def _stream(packet: bytes | bytearray) -> int:
    return (packet[1] & 31) << 8 | packet[2]
