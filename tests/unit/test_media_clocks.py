"""The table "Clocks" of docs/media.md: what time stamps mean, the same for both decoders."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidsearch.media import open_decoder
from vidsearch.media.frames import Sampling
from vidsearch.testing.clips import counter_frame, read_counter
from vidsearch.testing.notebook import notebook_frames

av = pytest.importorskip("av")
pytest.importorskip("cv2")

_RATE = 10
_STEREO = 44_100
_TENTHS = [Fraction(i, _RATE) for i in range(30)]
_THREE_SECONDS = ([0, 10, 20], [0.0, 1.0, 2.0], 3.0)

Reading = tuple[list[int], list[float], float | None]


def write(
    path: Path,
    times: Sequence[Fraction | float],
    *,
    codec: str = "libx264",
    first: int = 0,
    sound: Sequence[tuple[float, float]] = (),
    rate: Fraction | int = _RATE,
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
        options: of the codec; by default a GOP of a second with B-frames.
    """
    with av.open(str(path), "w") as container:
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
        numbers += [read_counter(frame) for frame in batch.data]
        times += [round(float(time), 3) for time in batch.pts_seconds]
    assert frames.summary.damaged == 0
    return numbers, times, frames.summary.end_seconds


def assert_both_give(path: Path, expected: Reading, **settings: Any) -> None:
    for name in ("pyav", "opencv"):
        numbers, times, end = read(name, path, **settings)
        assert numbers == expected[0], name
        np.testing.assert_allclose(times, expected[1], atol=2e-3, err_msg=name)
        assert end == pytest.approx(expected[2], abs=2e-3), name


BROADCAST = [
    ("c.ts", "libx264", {}),
    ("c.ts", "libx264", {"bf": "0"}),
    ("c.ts", "libx264", {"x264-params": "open-gop=1"}),
    ("c.ts", "libx265", {"x265-params": "log-level=none:pools=1:bframes=0"}),
    ("c.ts", "mpeg2video", {}),
    ("c.ts", "mpeg4", {}),
    ("c.mpg", "mpeg2video", {}),
    ("c.mpg", "mpeg1video", {}),
    ("c.vob", "mpeg2video", {}),
]


class TestBroadcast:
    """Transport and program streams, whose clock may start anew."""

    @pytest.mark.parametrize(("name", "codec", "options"), BROADCAST)
    @pytest.mark.parametrize("start", [20, 600, 40_000, 0, -3])
    def test_joined_recordings_follow_each_other_whatever_their_clocks(
        self, tmp_path: Path, name: str, codec: str, options: dict[str, str], start: int
    ) -> None:
        rate = 25 if codec.startswith("mpeg") else _RATE
        times = [Fraction(i, rate) for i in range(3 * rate)]
        one = write(
            tmp_path / f"1{name}", [t + 5 for t in times], codec=codec, rate=rate, **options
        )
        two = write(
            tmp_path / f"2{name}",
            [t + 5 + start for t in times],
            codec=codec,
            rate=rate,
            first=3 * rate,
            **options,
        )
        expected = [k * rate for k in range(6)], list(range(6)), 6.0
        assert_both_give(joined(tmp_path / name, one, two), expected)

    def test_three_joined_recordings_follow_each_other(self, tmp_path: Path) -> None:
        parts = [
            write(tmp_path / f"{i}.ts", [t + start for t in _TENTHS], first=30 * i)
            for i, start in enumerate((100, 5, 3000))
        ]
        expected = list(range(0, 90, 10)), list(range(9)), 9.0
        assert_both_give(joined(tmp_path / "clip.ts", *parts), expected)

    def test_the_same_recording_twice_follows_itself(self, tmp_path: Path) -> None:
        part = write(tmp_path / "part.ts", _TENTHS)
        expected = [0, 10, 20] * 2, list(range(6)), 6.0
        assert_both_give(joined(tmp_path / "clip.ts", part, part), expected)

    @pytest.mark.parametrize("start", [20, 600, -2])
    def test_joined_recordings_with_sound_follow_each_other(
        self, tmp_path: Path, start: int
    ) -> None:
        parts = [
            write(
                tmp_path / f"{first}.ts",
                [t + begin for t in _TENTHS],
                first=first,
                sound=[(begin, begin + 4)],  # it goes on for a second after the picture
            )
            for first, begin in ((0, 5), (30, 5 + start))
        ]
        expected = list(range(0, 60, 10)), list(range(6)), 6.0
        assert_both_give(joined(tmp_path / "clip.ts", *parts), expected)

    @pytest.mark.parametrize(("name", "frames"), [("clip.ts", 50), ("clip.mpg", 52)])
    def test_a_picture_that_stands_still_while_the_sound_goes_on_is_held(
        self, tmp_path: Path, name: str, frames: int
    ) -> None:
        """A program stream times whole packets, and so two frames that follow a gap too early."""
        rate, last = 25, frames - 1
        times = [Fraction(i, rate) + (20 if i >= 50 else 0) for i in range(100)]
        path = write(tmp_path / name, times, codec="mpeg2video", rate=rate, sound=[(0, 24)], bf="0")
        expected = [0, 25, *[last] * 20, 50, 75], [0, 1, *[last / 25] * 20, 22, 23], 24.0
        if frames == 52:
            expected[0][2], expected[0][22], expected[1][2], expected[1][22] = (
                50,
                last,
                2,
                last / 25,
            )
        assert_both_give(path, expected)

    def test_a_gap_of_up_to_ten_seconds_is_held(self, tmp_path: Path) -> None:
        times = [t + (7 if t >= 2 else 0) for t in _TENTHS]
        expected = [0, 10, *[19] * 7, 20], [0, 1, *[1.9] * 7, 9], 10.0
        assert_both_give(write(tmp_path / "clip.ts", times, bf="0"), expected)

    @pytest.mark.parametrize("seconds", [Fraction(1), Fraction(5, 2)])
    def test_a_clock_that_runs_over_counts_on(self, tmp_path: Path, seconds: Fraction) -> None:
        start = Fraction(2**33, 90_000) - seconds - Fraction(7, 5)
        path = write(tmp_path / "clip.ts", [t + start for t in _TENTHS])
        assert_both_give(path, _THREE_SECONDS)


class TestTimetables:
    """Other containers, whose gaps are as long as they say."""

    @pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv", "clip.flv"])
    @pytest.mark.parametrize("bf", ["0", "2"])
    @pytest.mark.parametrize("hold", [20, 600, 7201])
    def test_a_frame_is_held_for_as_long_as_it_says(
        self, tmp_path: Path, name: str, bf: str, hold: int
    ) -> None:
        if name == "clip.flv" and bf == "2" and hold > 3600:
            pytest.skip("FFmpeg does not read how far FLV puts a B-frame off by hours")
        times = [t + (hold if t >= 2 else 0) for t in _TENTHS]
        path = write(tmp_path / name, times, bf=bf)
        every = 1 if hold < 60 else hold // 10
        numbers = [min(10 * k, 19) if k < hold + 2 else 20 for k in range(0, hold + 3, every)]
        expected = numbers, [float(times[n]) for n in numbers], hold + 3
        assert_both_give(path, expected, rate=1 / every)

    def test_a_fragmented_file_holds_a_frame_for_as_long_as_it_says(self, tmp_path: Path) -> None:
        whole = write(tmp_path / "clip.mp4", [t + (20 if t >= 2 else 0) for t in _TENTHS])
        movflags = "empty_moov+frag_keyframe+default_base_moof"
        path = remuxed(whole, tmp_path / "fragmented.mp4", movflags=movflags)
        assert read("pyav", path) == read("pyav", whole)
        assert read("opencv", path) == read("opencv", whole)

    @pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
    @pytest.mark.parametrize("hold", [20, 7200])
    def test_the_last_frame_is_held_for_its_duration(
        self, tmp_path: Path, name: str, hold: int
    ) -> None:
        path = remuxed(
            write(tmp_path / "whole.mp4", _TENTHS, bf="0"),
            tmp_path / name,
            lambda number, packet: setattr(
                packet, "duration", round((hold if number == 29 else 0.1) / packet.time_base)
            ),
        )
        every = 1 if hold < 60 else 100
        numbers = [min(10 * k, 29) for k in range(0, hold + 3, every)]
        assert_both_give(path, (numbers, [n / 10 for n in numbers], hold + 2.9), rate=1 / every)

    @pytest.mark.parametrize(
        ("name", "codec", "options"),
        [("c.mkv", "libx264", {}), ("c.webm", "libvpx", {"deadline": "realtime"})],
    )
    def test_joined_files_follow_each_other(
        self, tmp_path: Path, name: str, codec: str, options: dict[str, str]
    ) -> None:
        parts = [
            write(tmp_path / f"{first}{name}", _TENTHS, codec=codec, first=first, **options)
            for first in (0, 30)
        ]
        expected = list(range(0, 60, 10)), list(range(6)), 6.0
        assert_both_give(joined(tmp_path / name, *parts), expected)

    def test_a_gap_of_avi_is_held(self, tmp_path: Path) -> None:
        """Empty chunks stand for frames that were left out."""
        times = [t + (5 if t >= 2 else 0) for t in _TENTHS]
        path = write(tmp_path / "clip.avi", times, codec="mpeg4", bf="0")
        expected = [0, 10, *[19] * 5, 20], [0, 1, *[1.9] * 5, 7], 8.0
        assert_both_give(path, expected)

    @pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
    def test_frames_of_one_time_take_no_time(self, tmp_path: Path, name: str) -> None:
        """The last of them is on display; what is sparse elsewhere does not lengthen the pair."""
        times = [0.0, 0.5, 0.5, 30, 30.5, 30.5, 61]
        whole = write(tmp_path / "whole.mkv", range(len(times)), bf="0", g="1")

        def retime(number: int, packet: Any) -> None:
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = round(1000 * times[number])
            if name == "clip.mp4" and number in {1, 4}:
                packet.dts -= 1  # decoding times have to ascend

        path = remuxed(whole, tmp_path / name, retime)
        for decoder in ("pyav", "opencv"):
            numbers, seconds, end = read(decoder, path)
            assert numbers[:62] == [0, *[2] * 29, 3, *[5] * 30, 6]
            np.testing.assert_allclose(seconds[:62], [times[n] for n in numbers[:62]], atol=2e-3)
            assert end is not None
            assert end < 93

    @pytest.mark.parametrize("name", ["clip.mkv", "clip.flv"])
    def test_a_clock_that_leaps_ahead_and_returns_is_taken_for_wrong(
        self, tmp_path: Path, name: str
    ) -> None:
        """The time stamps from 2 to 3 s are a minute off; those that follow are right again."""
        whole = write(tmp_path / "whole.mkv", [Fraction(i, 10) for i in range(50)], bf="0")
        clusters = {"cluster_time_limit": "900"} if name == "clip.mkv" else {}
        path = remuxed(whole, tmp_path / name, **clusters)
        content = bytearray(path.read_bytes())
        if name == "clip.flv":
            at = 13
            while at + 15 < len(content):
                size, time = (int.from_bytes(content[at + n : at + n + 3], "big") for n in (1, 4))
                if content[at] == 9 and 2000 <= time < 3000:
                    content[at + 4 : at + 7] = (time + 60_000).to_bytes(3, "big")
                at += 15 + size
        else:
            cluster = content.index(b"\xe7\x82" + (2000).to_bytes(2, "big"))
            content[cluster + 2 : cluster + 4] = (62_000).to_bytes(2, "big")
        path.write_bytes(content)
        assert_both_give(path, (list(range(0, 50, 10)), list(range(5)), 5.0))


LATE = ["clip.mp4", "clip.mov", "clip.mkv", "clip.ts", "clip.mpg", "clip.flv", "clip.avi"]


@pytest.mark.parametrize("name", LATE)
@pytest.mark.parametrize("start", [1, 10, 30])
def test_a_picture_that_starts_after_the_sound_is_intact(
    tmp_path: Path, name: str, start: int
) -> None:
    is_old = name in {"clip.mpg", "clip.avi"}
    codec, rate = ("mpeg2video", 25) if is_old else ("libx264", _RATE)
    times = [start + Fraction(i, rate) for i in range(3 * rate)]
    path = write(tmp_path / name, times, codec=codec, rate=rate, bf="0", sound=[(0, start + 3)])
    expected = [0, rate, 2 * rate], [0, 1, 2], 3.0
    assert_both_give(path, expected)


REORDERED = [
    ("clip.avi", "mpeg4", "1"),
    ("clip.avi", "mpeg4", "2"),
    ("clip.avi", "libx264", "3"),
    ("clip.avi", "libx264", "0"),
    ("clip.avi", "mpeg2video", "2"),
    ("clip.asf", "mpeg4", "2"),
    ("clip.asf", "libx264", "3"),
    ("clip.wmv", "mpeg4", "2"),
    ("clip.mkv", "mpeg4", "2"),
    ("clip.mp4", "mpeg4", "2"),
    ("clip.flv", "libx264", "3"),
    ("clip.mpg", "mpeg2video", "2"),
    ("clip.vob", "libx264", "3"),
]


@pytest.mark.parametrize(("name", "codec", "bf"), REORDERED)
@pytest.mark.parametrize("rate", [1.0, 2.3, 25.0])
def test_reordered_frames_come_at_their_own_times(
    tmp_path: Path, name: str, codec: str, bf: str, rate: float
) -> None:
    times = [Fraction(i, 25) for i in range(125)]
    path = write(tmp_path / name, times, codec=codec, rate=25, bf=bf, g="50")
    at = np.arange(int(np.ceil(5 * rate - 1e-6))) / rate
    numbers = np.floor(at * 25 + 1e-6).astype(int).tolist()
    assert_both_give(path, (numbers, [n / 25 for n in numbers], 5.0), rate=rate)


@pytest.mark.parametrize(("codec", "code"), [("mpeg4", b"XVID"), ("libx264", b"H264")])
@pytest.mark.parametrize("rate", [1.0, 25.0])
def test_a_track_of_avi_in_matroska_comes_at_its_own_times(
    tmp_path: Path, codec: str, code: bytes, rate: float
) -> None:
    """Its time stamps tell the decoding, as in AVI; mkvmerge writes AVI files so."""
    times = [Fraction(i, 25) for i in range(125)]
    avi = write(tmp_path / "clip.avi", times, codec=codec, rate=25)
    path = tmp_path / "clip.mkv"
    with av.open(str(avi)) as source, av.open(str(path), "w") as target:
        template = source.streams.video[0]
        track: Any = target.add_stream_from_template(template)
        setup = template.codec_context.extradata or b""
        header = struct.pack("<IiiHH4s5I", 40 + len(setup), 128, 96, 1, 24, code, *[0] * 5)
        track.codec_context.extradata = header + setup
        track.codec_context.codec_tag = "\0\0\0\0"
        for number, packet in enumerate(p for p in source.demux(template) if p.size):
            packet.pts = packet.dts = number
            packet.stream = track
            target.mux(packet)
    content, name = path.read_bytes(), b"V_MPEG4/ISO/" + (b"ASP" if codec == "mpeg4" else b"AVC")
    assert content.count(name) == 1
    path.write_bytes(content.replace(name, b"V_MS/VFW/FOURCC"))
    numbers = list(range(0, 125, round(25 / rate)))
    assert_both_give(path, (numbers, [n / 25 for n in numbers], 5.0), rate=rate)


def _packed(source: Path, target: Path) -> Path:
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


@pytest.mark.parametrize("name", ["packed.avi", "packed.mkv", "packed.mp4"])
@pytest.mark.parametrize("rate", [1.0, 2.3, 25.0])
def test_packed_frames_come_at_their_own_times(tmp_path: Path, name: str, rate: float) -> None:
    times = [Fraction(i, 25) for i in range(125)]
    plain = write(tmp_path / "plain.avi", times, codec="mpeg4", rate=25, bf="1", g="200")
    path = _packed(plain, tmp_path / name)
    at = np.arange(int(np.ceil(5 * rate - 1e-6))) / rate
    numbers = np.floor(at * 25 + 1e-6).astype(int).tolist()
    assert_both_give(path, (numbers, [n / 25 for n in numbers], 5.0), rate=rate)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_the_notebook_rate_of_an_uneven_clip_is_that_of_opencv(tmp_path: Path, name: str) -> None:
    import cv2

    times = [Fraction(i, 30) for i in range(150) if i % 10 != 3]
    path = write(tmp_path / name, times, rate=30, bf="0")
    for decoder in ("pyav", "opencv"):
        batches = open_decoder(decoder).frames(path, sampling="notebook")
        frames = np.concatenate([batch.data for batch in batches])
        if int(cv2.__version__.split(".")[0]) >= 5:
            fps = int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS))
            assert [read_counter(frame) for frame in frames] == list(range(0, len(times), fps))
    assert notebook_frames(path)
