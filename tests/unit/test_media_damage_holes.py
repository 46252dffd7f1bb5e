"""Holes in streams whose frames bear no numbers, held frames, which are none, and parts that read
as zeros.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from tests.damage_clips import (
    NUMBERLESS,
    POINTS,
    SECONDS,
    WRONG,
    Clip,
    assert_costs,
    difference,
    everything,
    gop_of,
    intact,
    read,
)
from tests.remuxing import dropped

from vidsearch.media.pyav import trusted_frames
from vidsearch.media.pyav.matroska import breaks_of_matroska
from vidsearch.testing.clips import write_clip

FRAMES = [Fraction(number, 10) for number in range(80)]


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["vp8", "vp9", "mpeg4-mkv", "h264-mkv", "hevc-mkv"])
def test_bytes_that_are_missing_in_matroska_cost_the_rest_of_their_gop(
    tmp_path: Path, name: str, decoder: str
) -> None:
    clip, whole, _ = intact(name, tmp_path)
    content = whole.read_bytes()
    first, last = (len(content) * share // 100 for share in (41, 55))
    path = tmp_path / clip.name
    path.write_bytes(content[:first] + content[last:])
    clean = everything(whole)
    pictures, summary = read(path, decoder)
    assert summary.points == SECONDS * POINTS
    assert summary.damaged == summary.points - len(pictures) >= 5
    assert max(pictures) == pytest.approx(SECONDS - 1 / POINTS)
    assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


@pytest.mark.parametrize("name", ["vp8", "vp9"])
def test_what_looks_like_a_block_longer_than_the_file_is_a_break(tmp_path: Path, name: str) -> None:
    clip, whole, keys = intact(name, tmp_path)
    with av.open(str(whole)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    content = bytearray(whole.read_bytes())
    at = content.rindex(b"\xa3", 0, places[keys[1] + 2])
    content[at : at + 9] = b"\xa3\x01\0\0\0\x7f\xff\xff\xff"
    path = tmp_path / clip.name
    path.write_bytes(content)
    ((before, _),) = breaks_of_matroska(path)
    assert before < places[keys[1] + 1] < at
    clean = everything(whole)
    for decoder in ("pyav", "opencv"):
        pictures, summary = read(path, decoder)
        assert summary.damaged > 0
        assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


def _assert_left_out(path: Path, whole: Path, begin: float, end: float) -> None:
    """Points between two times are left out, by both decoders, and nothing wrong is given."""
    clean = everything(whole)
    for decoder in ("pyav", "opencv"):
        pictures, summary = read(path, decoder)
        assert summary.damaged == summary.points - len(pictures) > 0
        kept = [k / POINTS for k in range(summary.points) if not begin <= k / POINTS < end]
        assert set(kept) <= set(pictures)
        assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


@pytest.mark.parametrize("name", NUMBERLESS)
def test_packets_missing_in_the_last_gop_cost_its_rest(tmp_path: Path, name: str) -> None:
    clip, whole, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, dropped(keys[-1] + 3, keys[-1] + 4))
    _assert_left_out(path, whole, 7.0, SECONDS)


@pytest.mark.parametrize("name", NUMBERLESS)
def test_packets_missing_around_a_key_frame_cost_two_gops(tmp_path: Path, name: str) -> None:
    clip, whole, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, dropped(*range(keys[3] + 2, keys[3] + 14)))
    # B-frames before the first that is missing refer to it.
    _assert_left_out(path, whole, gop_of(whole, 3)[0] - 2 / 10, gop_of(whole, 4)[1])


@pytest.mark.parametrize("name", ["hevc-mp4", "hevc-ts", "vp8", "vp9", "vp9-mp4"])
def test_a_key_frame_of_which_a_part_is_zeros_costs_its_gop(tmp_path: Path, name: str) -> None:
    clip, whole, keys = intact(name, tmp_path)

    def zeroed(number: int, data: bytes) -> bytes:
        begin, end = len(data) // 3, 2 * len(data) // 3
        return data[:begin] + bytes(end - begin) + data[end:] if number == keys[3] else data

    path = clip.write(tmp_path, zeroed)
    for decoder in ("pyav", "opencv"):
        assert_costs(path, whole, gop_of(whole, 3), decoder=decoder)


@pytest.mark.parametrize("bf", ["0", "2"])
def test_zeros_in_an_avi_file_with_empty_chunks_are_counted(tmp_path: Path, bf: str) -> None:
    clip = Clip("c.avi", "mpeg4", {"b": "600k", "bf": bf})
    whole = clip.write(tmp_path).rename(tmp_path / "intact.avi")
    content = bytearray(whole.read_bytes())
    begin, end = content.index(b"movi"), content.index(b"idx1")
    first, last = (begin + (end - begin) * share // 100 for share in (31, 37))
    content[first:last] = bytes(last - first)
    path = tmp_path / "zeros.avi"
    path.write_bytes(content)
    _assert_left_out(path, whole, 2.0, 4.0)


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("name", ["h264-ts", "hevc-ts", "mpeg2-ts"])
def test_a_transport_stream_that_is_cut_off_ends_before_that_frame(
    tmp_path: Path, name: str, cut: float
) -> None:
    clip, whole, keys = intact(name, tmp_path)
    with av.open(str(whole)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    begin, end = places[keys[6]], places[keys[6] + 1]
    path = tmp_path / clip.name
    path.write_bytes(whole.read_bytes()[: begin + int((end - begin) * cut) | 1])
    clean = everything(whole)
    results = [read(path, decoder) for decoder in ("pyav", "opencv")]
    assert results[0][1] == results[1][1]
    for pictures, summary in results:
        assert summary.damaged == 0
        # B-frames before it in the order of presentation come after it in that of decoding.
        assert summary.end_seconds == pytest.approx(gop_of(whole, 6)[0] - 0.1, abs=0.11)
        assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


@pytest.mark.parametrize("codec", ["mpeg4", "libvpx", "libvpx-vp9"])
@pytest.mark.parametrize(
    "times",
    [
        [time for time in FRAMES if not 3 <= time < 4],
        [time for time in FRAMES if time < 3 or int(10 * time) % 2 == 0],
        [time for time in FRAMES if int(10 * time) % 7 or time < 1],
        [time for time in FRAMES if not 3 <= time < 4 and not 7.2 <= time < 7.5],
        [*FRAMES[:-5], FRAMES[-1]],
    ],
    ids=["pause", "half-the-rate", "dropped", "pauses-to-the-end", "last-frame-late"],
)
def test_frames_that_are_held_are_no_damage(
    tmp_path: Path, times: list[Fraction], codec: str
) -> None:
    is_mpeg4 = codec == "mpeg4"
    path = write_clip(
        tmp_path / ("held.mkv" if is_mpeg4 else "held.webm"),
        times,
        codec=codec,
        rate=10,
        time_base=Fraction(1, 10),
        options={"g": "10"} if is_mpeg4 else {"g": "10", "deadline": "realtime", "cpu-used": "8"},
    )
    _, summary = read(path)
    assert summary.damaged == 0


@pytest.mark.parametrize("name", ["vp8", "vp9", "vp9-mp4", "hevc-mp4", "hevc-mkv", "hevc-ts"])
class TestOnlyMissingFramesShowDamage:
    def test_an_intact_clip_is_decoded_by_opencv_alone(
        self, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _, whole, _ = intact(name, tmp_path)

        def decodes(*_: object, **__: object) -> None:
            raise AssertionError("PyAV decodes, too")

        monkeypatch.setattr(trusted_frames, "planned_frames", decodes)
        monkeypatch.setattr(trusted_frames, "FrontToBack", decodes)
        pictures, summary = read(whole, "opencv")
        assert (len(pictures), summary.damaged, summary.points) == (40, 0, 40)

    @pytest.mark.parametrize("broken", [0, 2, 9])
    def test_a_packet_that_does_not_decode_costs_the_rest_of_its_gop(
        self, tmp_path: Path, name: str, broken: int
    ) -> None:
        clip, whole, keys = intact(name, tmp_path)
        path = clip.write(
            tmp_path,
            lambda number, data: b"\xff\x00\xff" * 4 if number == keys[3] + broken else data,
        )
        clean = everything(whole)
        results = [read(path, decoder) for decoder in ("pyav", "opencv")]
        (pictures, summary), (others, their) = results
        assert summary == their
        assert summary.damaged == summary.points - len(pictures)
        assert list(pictures) == list(others)
        assert all(difference(others[time], clean[time]) < WRONG for time in others)
        if broken == 0 or (broken == 2 and not name.startswith("hevc")):  # there, none refers to it
            assert summary.damaged > 0
