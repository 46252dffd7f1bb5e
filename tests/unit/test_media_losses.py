"""Files that lack a part: both decoders give the same frames at their true times, and count what is
missing.
"""

from __future__ import annotations

import io
import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from tests.clock_clips import joined, remuxed, write
from tests.programs import ffmpeg

from vidsearch.errors import VideoOpenError
from vidsearch.media import open_decoder
from vidsearch.media.joined_files import joined_form
from vidsearch.media.mp4_boxes import missing_fragments
from vidsearch.media.pyav.avi import lost_bytes
from vidsearch.media.pyav.container import opened
from vidsearch.media.pyav.demuxing import packets_of
from vidsearch.testing.clips import counter_frame, moving_frame, read_counter, write_clip

TIMES = [Fraction(number, 10) for number in range(100)]
RATE = 5.0
POINTS = 50


def read(name: str, path: Path) -> tuple[list[float], list[int], float | None, int, int]:
    decoder = open_decoder(name, max_damaged=0.9)
    times, numbers = [], []
    with decoder.frames(path, rate=RATE) as frames:
        for batch in frames:
            times += [round(float(time), 3) for time in batch.pts_seconds]
            numbers += [read_counter(frame) for _, frame in batch.frames()]
    summary = frames.summary
    end = None if summary.end_seconds is None else round(summary.end_seconds, 3)
    return times, numbers, end, summary.damaged, summary.points


def read_by_both(path: Path) -> tuple[list[float], list[int], float | None, int, int]:
    result = read("pyav", path)
    assert read("opencv", path) == result
    return result


def without(source: Path, path: Path, begin: float, end: float, *, index: bool = True) -> Path:
    """An AVI file that lacks a part of its packets, given as shares, or its index too."""
    content = source.read_bytes()
    first, last = content.index(b"movi"), content.index(b"idx1")
    at, until = (first + int((last - first) * share) for share in (begin, end))
    rest = content[until:] if index else content[until:last]
    path.write_bytes(content[:at] + rest)
    return path


class TestAvi:
    @pytest.mark.parametrize("index", [True, False], ids=["idx1", "no-idx1"])
    @pytest.mark.parametrize(("codec", "bf"), [("mpeg4", "0"), ("mpeg4", "2"), ("libx264", "0")])
    def test_frames_after_a_hole_come_at_their_times(
        self, tmp_path: Path, codec: str, bf: str, index: bool
    ) -> None:
        whole = write(tmp_path / "whole.avi", TIMES, codec=codec, bf=bf)
        path = without(whole, tmp_path / "hole.avi", 0.41, 0.57, index=index)
        times, numbers, end, damaged, points = read_by_both(path)
        late = [(time, number) for time, number in zip(times, numbers, strict=True) if time > 7]
        assert late
        assert all(number == round(10 * time) for time, number in late)
        assert end == pytest.approx(10.0)
        assert damaged > 0
        assert damaged + len(times) == points == POINTS

    def test_frames_after_a_part_of_zeros_come_at_their_times(self, tmp_path: Path) -> None:
        content = bytearray(write(tmp_path / "whole.avi", TIMES, codec="mpeg4").read_bytes())
        first, last = content.index(b"movi"), content.index(b"idx1")
        at, until = (first + int((last - first) * share) for share in (0.4, 0.55))
        content[at:until] = bytes(until - at)
        path = tmp_path / "zeros.avi"
        path.write_bytes(content)
        times, numbers, _, damaged, points = read_by_both(path)
        assert (times[-1], numbers[-1], points) == (9.8, 98, POINTS)
        assert damaged == POINTS - len(times)

    def test_frames_that_the_decoder_leaves_out_do_not_shift_later_ones(
        self, tmp_path: Path
    ) -> None:
        whole = write(tmp_path / "whole.avi", TIMES, bf="0")
        with av.open(str(whole)) as source, av.open(str(tmp_path / "gap.avi"), "w") as target:
            stream = target.add_stream_from_template(source.streams.video[0])
            packets = [p for p in source.demux(source.streams.video[0]) if p.size]
            for number, packet in enumerate(packets):
                if number not in {2, 8, 20, 39, 40}:
                    packet.stream = stream
                    target.mux(packet)
        times, numbers, *_ = read_by_both(tmp_path / "gap.avi")
        assert (times[-1], numbers[-1]) == (9.8, 98)


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".flv", ".webm"])
def test_points_that_are_cut_off_are_counted(tmp_path: Path, suffix: str) -> None:
    codec = {".webm": "libvpx", ".avi": "mpeg4"}.get(suffix, "libx264")
    content = write(tmp_path / f"whole{suffix}", TIMES, codec=codec, bf="0").read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(content[: len(content) * 7 // 10])
    times, numbers, end, damaged, points = read_by_both(path)
    assert numbers == [round(10 * time) for time in times]
    assert end is not None
    assert end < 9
    assert points == POINTS
    assert damaged == POINTS - len(times) > 0


HALVES: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
    (name, codec, options, form)
    for codec, options in [
        ("libx264", {"bf": "0"}),
        ("libx265", {"x265-params": "log-level=none:pools=1:bframes=0:keyint=10"}),
        ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
        ("mpeg4", {"bf": "0"}),
    ]
    for name, form in [
        ("index-first.mp4", {"movflags": "faststart"}),
        ("fragments.mp4", {"movflags": "empty_moov+frag_keyframe+default_base_moof"}),
    ]
] + [("live.flv", "flv", {}, {"flvflags": "no_duration_filesize"}), ("c.avi", "mpeg4", {}, {})]


@pytest.mark.parametrize(("name", "codec", "options", "form"), HALVES)
def test_half_of_a_frame_that_a_file_is_cut_off_in_is_not_shown(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], form: dict[str, str]
) -> None:
    first = tmp_path / ("first.flv" if codec == "flv" else "first.mkv")
    write_clip(first, TIMES, picture=moving_frame, codec=codec, rate=10, time_base=Fraction(1, 10),
               options={"g": "10", **options})  # fmt: skip
    whole = remuxed(first, tmp_path / f"whole-{name}", **form)
    with av.open(str(whole)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size and p.pos]
    place, size = packets[50]
    path = tmp_path / name
    path.write_bytes(whole.read_bytes()[: place + size // 2])
    readings = []
    for decoder in ("pyav", "opencv"):
        frames = open_decoder(decoder, max_damaged=1.0).frames(path, rate=5.0)
        readings.append(([(t, p.copy()) for batch in frames for t, p in batch.frames()], frames))
    (ours, mine), (theirs, other) = readings
    assert mine.summary == other.summary
    assert [time for time, _ in ours] == pytest.approx([k / 5 for k in range(25)], abs=2e-3)
    clean = {
        round(time, 1): picture
        for batch in open_decoder("pyav").frames(whole, rate=5.0)
        for time, picture in batch.frames()
    }
    for (time, one), (_, another) in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, another)
        np.testing.assert_array_equal(one, clean[round(time, 1)])


def test_the_frame_before_a_damaged_part_counts_though_the_container_ends_there(
    tmp_path: Path,
) -> None:
    path = write(tmp_path / "clip.nut", TIMES[:40], codec="mpeg4", bf="0")
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    begin = places[30]
    assert begin is not None
    content[begin:] = bytes(len(content) - begin)
    path.write_bytes(content)
    given, ours = [], []
    with av.open(str(path)) as container, pytest.raises(av.FFmpegError):
        given.extend(packet.size for packet in container.demux(video=0))
    with opened(path) as video, pytest.raises(av.FFmpegError):
        ours.extend(packet.size for packet in packets_of(video))
    assert ours == given
    assert len(ours) >= 30


class _Pipe(io.RawIOBase):
    """Cannot go back, as a live recording cannot."""

    def __init__(self) -> None:
        self.content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.content += bytes(data)  # type: ignore[call-overload]
        return len(data)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("suffix", "form"), [(".avi", "avi"), (".mkv", "matroska"), (".flv", "flv")]
)
def test_a_live_recording_lacks_nothing(tmp_path: Path, suffix: str, form: str) -> None:
    pipe = _Pipe()
    whole = write(tmp_path / f"whole{suffix}", TIMES, bf="0")
    with av.open(str(whole)) as source, av.open(pipe, "w", format=form) as target:  # type: ignore[arg-type]
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    path = tmp_path / f"live{suffix}"
    path.write_bytes(pipe.content)
    _, numbers, end, damaged, _ = read_by_both(path)
    assert (len(numbers), end, damaged) == (POINTS, 10.0, 0)


@pytest.mark.parametrize(
    ("name", "codec", "form", "options"),
    [
        ("c.flv", "libx264", "FLV", {}),
        ("live.flv", "libx264", "FLV", {"flvflags": "no_duration_filesize"}),
        ("c.avi", "mpeg4", "AVI", {}),
        ("c.mp4", "libx264", "MP4 or MOV", {}),
        ("first.mov", "libx264", "MP4 or MOV", {"movflags": "faststart"}),
        ("c.wmv", "wmv2", "ASF or WMV", {}),
        ("c.mxf", "mpeg2video", "MXF", {}),
        ("c.nut", "libx264", "NUT", {}),
        ("c.ivf", "libvpx", "IVF", {}),
    ],
)
def test_joined_files_of_which_ffmpeg_reads_the_first_are_refused(
    tmp_path: Path, name: str, codec: str, form: str, options: dict[str, str]
) -> None:
    suffix = {"mpeg4": "avi", "wmv2": "asf"}.get(codec, "mkv")
    rate = 25 if form == "MXF" else 10
    times = [Fraction(number, rate) for number in range(30)]
    whole = write(tmp_path / f"whole.{suffix}", times, codec=codec, rate=rate, bf="0")
    part = remuxed(whole, tmp_path / f"part-{name}", **options)
    path = joined(tmp_path / name, part, part)
    for decoder in ("pyav", "opencv"):
        assert read(decoder, part)[1] == list(range(0, 30, rate // 5))
        with pytest.raises(VideoOpenError, match=f"several {form} files one after the other"):
            list(open_decoder(decoder).frames(path))


@pytest.mark.parametrize(("parts", "form"), [(3, "AVI"), (20_000, None)])
def test_of_an_avi_file_only_so_many_parts_are_looked_at(
    tmp_path: Path, parts: int, form: str | None
) -> None:
    """Nobody can make the search endless by parts that hold nothing."""
    path = tmp_path / "clip.avi"
    header = b"RIFF\4\0\0\0AVI "
    path.write_bytes(header + b"RIFF\4\0\0\0AVIX" * parts + header)
    assert joined_form(path) == form


def test_a_part_of_an_avi_file_of_an_odd_length_is_filled_up(tmp_path: Path) -> None:
    """For what follows it, and for what is missing behind it."""
    odd, even = b"RIFF\5\0\0\0AVI 1", b"RIFF\4\0\0\0AVIX"
    path = tmp_path / "clip.avi"
    path.write_bytes(odd + b"\0" + odd)
    assert joined_form(path) == "AVI"
    path.write_bytes(odd + b"\0" + even)
    assert joined_form(path) is None
    assert lost_bytes(path) == 0
    path.write_bytes(odd + b"\0" + even[:-3])
    assert lost_bytes(path) == 3


def test_a_second_nut_file_is_found_wherever_it_begins(tmp_path: Path) -> None:
    """And is not taken for one where its name alone is in the data."""
    name = b"nut/multimedia container\0"
    begin = name + bytes.fromhex("4e4d7a561f5f04ad")
    path = tmp_path / "clip.nut"
    for length in range((1 << 20) - 1 - len(begin), (1 << 20) + 2):
        path.write_bytes(begin.ljust(length, b"-") + begin)
        assert joined_form(path) == "NUT", length
    path.write_bytes(begin + name)
    assert joined_form(path) is None


def test_an_flv_file_that_says_any_size_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "clip.flv", TIMES[:10], bf="0")
    content = path.read_bytes()
    at = content.index(b"filesize") + len(b"filesize") + 1
    path.write_bytes(content[:at] + struct.pack(">d", 2.0**61) + content[at + 8 :])
    assert joined_form(path) is None


def test_h264_whose_encoder_was_set_anew_has_no_damage(tmp_path: Path) -> None:
    """The number of a frame then has more bits, which FLV says between two packets."""
    one = write(tmp_path / "1.flv", TIMES[:30], bf="0", g="10")
    two = write(tmp_path / "2.flv", TIMES[30:60], bf="0", g="250", first=30)
    content, tags, at = two.read_bytes(), b"", 13
    while at < len(content):
        end = at + 11 + int.from_bytes(content[at + 1 : at + 4], "big") + 4
        tags += content[at:end] if content[at] == 9 else b""
        at = end
    path = tmp_path / "clip.flv"
    path.write_bytes(one.read_bytes() + tags)
    _, numbers, _, damaged, _ = read_by_both(path)
    assert (numbers, damaged) == (list(range(0, 60, 2)), 0)


@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9"])
def test_missing_fragments_are_counted(tmp_path: Path, codec: str) -> None:
    """As where a segment of a stream was not downloaded."""
    options = {"deadline": "realtime", "cpu-used": "8"} if codec == "libvpx-vp9" else {}
    options = options or {"sc_threshold": "0"}
    first = write(tmp_path / "first.mkv", TIMES, codec=codec, bf="0", **options)
    whole = remuxed(
        first, tmp_path / "whole.mp4", movflags="empty_moov+frag_keyframe+default_base_moof"
    )
    content = whole.read_bytes()
    begins = [at.start() - 4 for at in re.finditer(b"moof", content)]
    path = tmp_path / "holed.mp4"
    path.write_bytes(content[: begins[3]] + content[begins[5] :])
    times, numbers, _, damaged, points = read_by_both(path)
    assert (damaged, points) == (10, POINTS)
    assert numbers == [round(10 * time) for time in times]
    assert [time for time in times if 3 <= time < 5] == []


def test_fragments_are_found_missing_late_in_a_long_recording(tmp_path: Path) -> None:
    fragment = struct.Struct(">I4sI4s4xI I4s")  # moof with mfhd, and an empty mdat
    path = tmp_path / "long.mp4"
    numbers = [number for number in range(20_000) if number != 15_000]
    path.write_bytes(
        b"".join(fragment.pack(24, b"moof", 16, b"mfhd", each, 8, b"mdat") for each in numbers)
    )
    assert missing_fragments(path) == [15_000 * fragment.size + 8]


def test_both_decoders_leave_out_points_whose_packets_were_dropped(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mp4", TIMES)
    gone = {7, 14, 16, 17, 18, 19, 32}
    with av.open(str(whole)) as source, av.open(str(tmp_path / "gap.mp4"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(p for p in source.demux(source.streams.video[0]) if p.size):
            if number not in gone:
                packet.stream = stream
                target.mux(packet)
    times, numbers, *_ = read_by_both(tmp_path / "gap.mp4")
    np.testing.assert_allclose(times, [number / 10 for number in numbers], atol=1e-3)


def test_a_cut_fragmented_file_ends_alike(tmp_path: Path) -> None:
    whole = remuxed(
        write(tmp_path / "whole.mp4", TIMES),
        tmp_path / "fragmented.mp4",
        movflags="frag_keyframe+empty_moov",
    )
    content = whole.read_bytes()
    for share in (50, 63, 77, 90):
        path = tmp_path / f"cut{share}.mp4"
        path.write_bytes(content[: len(content) * share // 100])
        read_by_both(path)


class TestRawMjpeg:
    def test_a_row_of_pictures_is_a_video(self, tmp_path: Path) -> None:
        path = self._write(tmp_path / "clip.mjpeg", 50)
        times, numbers, *_ = read_by_both(path)
        assert (times[:3], numbers[:3]) == ([0.0, 0.2, 0.4], [0, 5, 10])

    def test_one_picture_is_refused(self, tmp_path: Path) -> None:
        path = self._write(tmp_path / "clip.mjpeg", 1)
        for name in ("pyav", "opencv"):
            with pytest.raises(VideoOpenError, match="is a still picture"):
                list(open_decoder(name).frames(path))

    def _write(self, path: Path, count: int) -> Path:
        with av.open(str(path), "w", format="mjpeg") as target:
            stream = target.add_stream("mjpeg", rate=25)
            stream.width, stream.height, stream.pix_fmt = 128, 96, "yuvj420p"
            for number in range(count):
                frame = av.VideoFrame.from_ndarray(counter_frame(number), format="rgb24")
                target.mux(stream.encode(frame))
            target.mux(stream.encode())
        return path


def test_a_hold_of_a_joined_broadcast_stays_beside_times_of_the_other_part(tmp_path: Path) -> None:
    times = [*TIMES[:30], *(25 + time for time in TIMES[:30])]
    held = write(tmp_path / "held.ts", times, sound=[(0, 28)])
    other = write(tmp_path / "other.ts", [10 + time for time in TIMES[:40]], sound=[(10, 14)])
    for parts in ((held, other), (other, held)):
        path = joined(tmp_path / "joined.ts", *parts)
        *_, end, damaged, _ = read_by_both(path)
        assert end == pytest.approx(28 + 4, abs=0.2)
        assert damaged == 0


def test_chained_ogg_files_are_read_to_the_end(tmp_path: Path) -> None:
    """Each begins with headers, which are no frames; the second is encoded otherwise.

    PyAV does not write Theora.
    """
    whole = write(tmp_path / "whole.mkv", TIMES[:60], bf="0")
    parts = [tmp_path / "1.ogv", tmp_path / "2.ogv"]
    for begin, quality, part in ((0, 8, parts[0]), (3, 6, parts[1])):
        cut = ("-ss", begin, "-i", whole, "-t", 3)
        ffmpeg(*cut, "-c:v", "libtheora", "-q:v", quality, part)
    times, numbers, end, damaged, points = read_by_both(joined(tmp_path / "clip.ogv", *parts))
    assert numbers == list(range(0, 60, 2))
    assert times == [number / 10 for number in numbers]
    assert (end, damaged, points) == (6.0, 0, 30)
