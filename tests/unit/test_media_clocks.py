"""The table "Clocks" of docs/media.md: what time stamps mean, the same for both decoders."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.clock_clips import (
    RATE,
    TENTHS,
    as_track_of_avi,
    assert_both_give,
    edited,
    joined,
    packed,
    read,
    remuxed,
    write,
)

from vidsearch.media import open_decoder
from vidsearch.testing.clips import read_counter
from vidsearch.testing.frame_range_contract import assert_ranges_add_up
from vidsearch.testing.notebook import notebook_frames

av = pytest.importorskip("av")
pytest.importorskip("cv2")

_THREE_SECONDS = ([0, 10, 20], [0.0, 1.0, 2.0], 3.0)


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
        rate = 25 if codec.startswith("mpeg") else RATE
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
        path = joined(tmp_path / name, one, two)
        assert_both_give(path, expected)
        for decoder in ("pyav", "opencv"):
            assert open_decoder(decoder).probe(path).duration == pytest.approx(6.0, abs=2e-3)

    def test_three_joined_recordings_follow_each_other(self, tmp_path: Path) -> None:
        parts = [
            write(tmp_path / f"{i}.ts", [t + start for t in TENTHS], first=30 * i)
            for i, start in enumerate((100, 5, 3000))
        ]
        expected = list(range(0, 90, 10)), list(range(9)), 9.0
        assert_both_give(joined(tmp_path / "clip.ts", *parts), expected)

    def test_the_same_recording_twice_follows_itself(self, tmp_path: Path) -> None:
        part = write(tmp_path / "part.ts", TENTHS)
        expected = [0, 10, 20] * 2, list(range(6)), 6.0
        assert_both_give(joined(tmp_path / "clip.ts", part, part), expected)

    @pytest.mark.parametrize("start", [20, 600, -2])
    def test_joined_recordings_with_sound_follow_each_other(
        self, tmp_path: Path, start: int
    ) -> None:
        parts = [
            write(
                tmp_path / f"{first}.ts",
                [t + begin for t in TENTHS],
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
        times = [t + (7 if t >= 2 else 0) for t in TENTHS]
        expected = [0, 10, *[19] * 7, 20], [0, 1, *[1.9] * 7, 9], 10.0
        assert_both_give(write(tmp_path / "clip.ts", times, bf="0"), expected)

    @pytest.mark.parametrize("seconds", [Fraction(1), Fraction(5, 2)])
    def test_a_clock_that_runs_over_counts_on(self, tmp_path: Path, seconds: Fraction) -> None:
        start = Fraction(2**33, 90_000) - seconds - Fraction(7, 5)
        path = write(tmp_path / "clip.ts", [t + start for t in TENTHS])
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
        times = [t + (hold if t >= 2 else 0) for t in TENTHS]
        path = write(tmp_path / name, times, bf=bf)
        every = 1 if hold < 60 else hold // 10
        numbers = [min(10 * k, 19) if k < hold + 2 else 20 for k in range(0, hold + 3, every)]
        expected = numbers, [float(times[n]) for n in numbers], hold + 3
        assert_both_give(path, expected, rate=1 / every)

    def test_a_fragmented_file_holds_a_frame_for_as_long_as_it_says(self, tmp_path: Path) -> None:
        whole = write(tmp_path / "clip.mp4", [t + (20 if t >= 2 else 0) for t in TENTHS])
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
            write(tmp_path / "whole.mp4", TENTHS, bf="0"),
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
            write(tmp_path / f"{first}{name}", TENTHS, codec=codec, first=first, **options)
            for first in (0, 30)
        ]
        expected = list(range(0, 60, 10)), list(range(6)), 6.0
        assert_both_give(joined(tmp_path / name, *parts), expected)

    @pytest.mark.parametrize("bf", ["0", "2"])
    @pytest.mark.parametrize(
        ("edits", "numbers"),
        [
            ([(1.5, 1.25)], range(13, 28)),
            ([(1, 0), (1, 2)], [*range(10), *range(20, 30)]),
            ([(1, 0), (1, 0)], [*range(10), *range(10)]),
            ([(5, None), (2, 1)], range(10, 30)),
        ],
    )
    def test_an_edit_list_takes_what_it_names(
        self,
        tmp_path: Path,
        bf: str,
        edits: list[tuple[float, float | None]],
        numbers: Sequence[int],
    ) -> None:
        """Each edit is seconds long, from a time of the stream on; without one, it is empty."""
        whole = write(tmp_path / "whole.mp4", [Fraction(i, 10) for i in range(40)], bf=bf)
        path = edited(whole, tmp_path / "clip.mp4", edits, delay=0.2 if bf == "2" else 0)
        times = [k / 10 for k in range(len(numbers))]
        assert_both_give(path, (list(numbers), times, len(numbers) / 10), rate=10)

    @pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
    @pytest.mark.parametrize("held", [0, 19])
    def test_a_gap_of_avi_is_held(self, tmp_path: Path, held: int, codec: str) -> None:
        """Empty chunks stand for frames that were left out."""
        times = [t + (5 if number > held else 0) for number, t in enumerate(TENTHS)]
        path = write(tmp_path / "clip.avi", times, codec=codec, bf="0")
        numbers = [max(n for n, t in enumerate(times) if t <= k) for k in range(8)]
        assert_both_give(path, (numbers, [float(times[n]) for n in numbers], 8.0))

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
def test_a_picture_that_starts_after_the_sound_comes_at_the_time_of_the_player(
    tmp_path: Path, name: str, start: int
) -> None:
    is_old = name in {"clip.mpg", "clip.avi"}
    codec, rate = ("mpeg2video", 25) if is_old else ("libx264", RATE)
    times = [start + Fraction(i, rate) for i in range(3 * rate)]
    path = write(tmp_path / name, times, codec=codec, rate=rate, bf="0", sound=[(0, start + 3)])
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        first = min(p.pts * p.time_base for p in container.demux(stream) if p.size)
        begin = float(first) - container.start_time / av.time_base
    if name == "clip.avi":  # it times the decoding
        begin -= 1 / rate
    assert begin == pytest.approx(start, abs=0.03)  # an encoder of sound needs a run-up
    points = range(ceil(begin - 1e-6), ceil(begin + 3 - 1e-3))
    numbers = [floor((k - begin) * rate + 1e-6) for k in points]
    times = [begin + number / rate for number in numbers]
    assert_both_give(path, (numbers, times, begin + 3))


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
    path = as_track_of_avi(avi, tmp_path / "clip.mkv", code=code)
    numbers = list(range(0, 125, round(25 / rate)))
    assert_both_give(path, (numbers, [n / 25 for n in numbers], 5.0), rate=rate)


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
@pytest.mark.parametrize("rate", [1.0, 25.0])
def test_packets_timed_in_the_order_of_decoding_give_frames_in_the_order_of_presentation(
    tmp_path: Path, name: str, rate: float
) -> None:
    times = [Fraction(i, 25) for i in range(125)]
    avi = write(tmp_path / "clip.avi", times, codec="mpeg4", rate=25)

    def timed_by_number(number: int, packet: Any) -> None:
        packet.time_base = Fraction(1, 25)
        packet.pts = packet.dts = number

    path = remuxed(avi, tmp_path / name, timed_by_number)
    numbers = list(range(0, 125, round(25 / rate)))
    assert_both_give(path, (numbers, [n / 25 for n in numbers], 5.0), rate=rate)


@pytest.mark.parametrize("name", ["packed.avi", "packed.mkv", "packed.mp4"])
@pytest.mark.parametrize("rate", [1.0, 2.3, 25.0])
def test_packed_frames_come_at_their_own_times(tmp_path: Path, name: str, rate: float) -> None:
    times = [Fraction(i, 25) for i in range(125)]
    plain = write(tmp_path / "plain.avi", times, codec="mpeg4", rate=25, bf="1", g="200")
    path = packed(plain, tmp_path / name)
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
        frames = np.array([frame for batch in batches for _, frame in batch.frames()])
        if int(cv2.__version__.split(".")[0]) >= 5:
            fps = int(cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS))
            assert [read_counter(frame) for frame in frames] == list(range(0, len(times), fps))
    assert notebook_frames(path)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("kind", ["joined", "twice", "held", "equal", "reordered", "late"])
def test_ranges_of_a_stream_with_an_odd_clock_add_up(
    tmp_path: Path, kind: str, decoder: str
) -> None:
    def paired(number: int, packet: Any) -> None:
        packet.pts = packet.dts = packet.dts - 100 * (number % 2)

    part = write(tmp_path / "part.ts", TENTHS)
    path = {
        "joined": lambda: joined(
            tmp_path / "c.ts", part, write(tmp_path / "2.ts", [t + 600 for t in TENTHS])
        ),
        "twice": lambda: joined(tmp_path / "c.ts", part, part),
        "held": lambda: write(tmp_path / "c.mp4", [t + (40 if t >= 2 else 0) for t in TENTHS]),
        "equal": lambda: remuxed(
            write(tmp_path / "whole.mkv", TENTHS, bf="0"),
            tmp_path / "c.mkv",
            paired,
        ),
        "reordered": lambda: write(tmp_path / "c.avi", TENTHS, codec="mpeg4"),
        "late": lambda: write(tmp_path / "c.mkv", [t + 10 for t in TENTHS], sound=[(0, 13)]),
    }[kind]()
    for settings in ({}, {"rate": 3.7}, {"rate": 2.0, "sampling": "notebook"}):
        assert_ranges_add_up(open_decoder(decoder), path, **settings)
