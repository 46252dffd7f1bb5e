"""Damaged and missing frames are counted and left out; what is given shows what it should."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.damage_clips import (
    CLIPS,
    H264,
    HEVC,
    MPEG,
    MPEG2,
    MPEG4,
    NUMBERLESS,
    POINTS,
    RATE,
    SECONDS,
    STEP,
    WRONG,
    Clip,
    assert_costs,
    difference,
    everything,
    gop_of,
    intact,
    read,
    scribbled,
    shortened,
    x264,
)
from tests.remuxing import Change, dropped, evenly_timed, remuxed

from vidsearch.embeddings import FrameEmbedder, SegmentPolicy, VideoEmbedding, embed_video
from vidsearch.errors import NoFramesError, VideoDamagedError
from vidsearch.media import open_decoder
from vidsearch.media.direct_reader import DirectReader
from vidsearch.media.frames import DEFAULT_LIMITS
from vidsearch.testing.clips import moving_frame, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder

av = pytest.importorskip("av")


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", CLIPS)
def test_an_intact_clip_has_no_damage(tmp_path: Path, name: str, decoder: str) -> None:
    _, path, _ = intact(name, tmp_path)
    pictures, summary = read(path, decoder)
    assert (len(pictures), summary.damaged, summary.points) == (40, 0, 40)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", [*H264, *MPEG2, *MPEG4])
def test_a_damaged_key_frame_costs_its_gop(tmp_path: Path, name: str, decoder: str) -> None:
    clip, whole, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, scribbled(keys[3]))
    assert_costs(path, whole, gop_of(whole, 3), decoder=decoder)


@pytest.mark.parametrize("name", [*H264, *MPEG2, *MPEG4])
def test_the_last_frame_before_a_damaged_key_frame_is_given(tmp_path: Path, name: str) -> None:
    """The codec of H.264 gives it behind a later one."""
    clip, whole, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, scribbled(keys[3], keys[5]))
    clean, given = everything(whole), []
    for decoder in ("pyav", "opencv"):
        frames = open_decoder(decoder, max_damaged=1.0).frames(path, rate=RATE)
        pictures = {
            round(time, 1): each.copy() for batch in frames for time, each in batch.frames()
        }
        assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())
        given.append((list(pictures), frames.summary.damaged))
    assert given[0] == given[1]
    if name in ("h264-mp4", "h264-mkv"):
        assert round(gop_of(whole, 3)[0] - STEP, 1) in given[0][0]


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["h264-mp4", "h264-pyramid", "mpeg2-ts", "mpeg4-mp4"])
def test_several_threads_see_the_same_damage(tmp_path: Path, name: str, decoder: str) -> None:
    clip, _, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, scribbled(keys[1] + 3, keys[3], keys[5] + 1))
    results = []
    for threads in (1, 4):
        frames = open_decoder(decoder, max_damaged=1.0, threads=threads).frames(path, rate=POINTS)
        results.append(([time for batch in frames for time, _ in batch.frames()], frames.summary))
    assert results[0] == results[1]
    assert results[0][1].damaged > 0


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_another_video_that_is_decoded_meanwhile_changes_nothing(
    tmp_path: Path, decoder: str
) -> None:
    clip, _, keys = intact("h264-mp4", tmp_path)
    lost, damage = keys[1] + 2, scribbled(keys[3])  # the one has it decoded from front to back
    path = clip.write(tmp_path, lambda at, data: None if at == lost else damage(at, data))
    decoded = open_decoder(decoder)
    frames = decoded.frames(path, rate=RATE)
    alone = [time for batch in frames for time in batch.pts_seconds], frames.summary
    for paused in range(14, 20):
        frames = decoded.frames(path, rate=RATE, batch_size=1)
        times = [time for _ in range(paused) for time in next(frames).pts_seconds]
        for _ in decoded.frames(path, rate=RATE):
            pass
        times += [time for batch in frames for time in batch.pts_seconds]
        assert (times, frames.summary) == alone


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", [*H264, *MPEG2, *HEVC, *NUMBERLESS])
def test_a_missing_key_frame_costs_its_gop(tmp_path: Path, name: str, decoder: str) -> None:
    clip, whole, keys = intact(name, tmp_path)
    path = clip.write(tmp_path, dropped(keys[3]))
    assert_costs(path, whole, gop_of(whole, 3), decoder=decoder)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", [*H264, *MPEG2, *HEVC, *NUMBERLESS])
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
    assert all(begin - 3 * STEP < time < end for time in _left_out(pictures))
    assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("name", ["h264-mp4", "h264-mkv", "mpeg2-ts", "hevc-mp4", "hevc-mkv"])
def test_missing_packets_are_counted_though_time_stamps_are_even(
    tmp_path: Path, name: str, decoder: str
) -> None:
    clip, whole, keys = intact(name, tmp_path)
    holed = clip.write(tmp_path, dropped(*range(keys[3] + 1, keys[3] + 5)))
    path = evenly_timed(holed, tmp_path / f"even-{clip.name}", rate=RATE)
    clean = list(everything(whole).values())
    pictures, summary = read(path, decoder)
    assert summary.damaged == summary.points - len(pictures)
    assert 1 <= summary.damaged <= 5
    # A frame after the hole comes earlier than in the whole clip.
    for picture in pictures.values():
        assert min(difference(picture, each) for each in clean) < WRONG


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_a_video_whose_only_key_frame_is_missing_is_refused(
    tmp_path: Path, container: str, decoder: str
) -> None:
    clip = Clip(f"c.{container}", "mpeg4", {**MPEG, "g": "300", "sc_threshold": "1000000000"})
    path = clip.write(tmp_path, dropped(0))
    with pytest.raises(VideoDamagedError, match="damaged or missing"):
        list(open_decoder(decoder).frames(path, rate=POINTS))


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
@pytest.mark.parametrize(
    "name",
    # Where all frames are key frames, the video begins with the second one, and nothing is lost.
    [name for name in CLIPS if name not in {"mpeg4-avi", "h264-intra-ts"}],
)
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
        (STEP * n for n in range(4)),
        key=lambda shift: difference(pictures[6.0], clean[round(6.0 + shift, 1)]),
    )
    for time, picture in pictures.items():
        assert time + shift > end - STEP
        assert difference(picture, clean[round(time + shift, 1)]) < WRONG, time


def test_motion_jpeg_whose_frames_all_lack_their_last_pixels_is_not_damaged(
    tmp_path: Path,
) -> None:
    """As that of some cameras."""
    times = [Fraction(i, RATE) for i in range(RATE * 3)]
    whole = write_clip(
        tmp_path / "whole.avi",
        times,
        picture=moving_frame,
        codec="mjpeg",
        rate=RATE,
        pix_fmt="yuvj420p",
        time_base=Fraction(1, RATE),
    )
    path = remuxed(whole, tmp_path / "camera.avi", lambda _, data: data[:-42] + data[-2:])
    for decoder in ("pyav", "opencv"):
        pictures, summary = read(path, decoder)
        assert summary.damaged == 0
        assert len(pictures) == summary.points


@pytest.mark.parametrize("change", [scribbled(22, 36), shortened(22, 36)])
@pytest.mark.parametrize("container", ["avi", "mov", "mkv"])
def test_a_damaged_frame_of_motion_jpeg_costs_itself(
    tmp_path: Path, container: str, change: Change
) -> None:
    whole = write_clip(
        tmp_path / f"whole.{container}",
        [Fraction(i, RATE) for i in range(RATE * SECONDS)],
        picture=moving_frame,
        codec="mjpeg",
        rate=RATE,
        pix_fmt="yuvj420p",
        time_base=Fraction(1, RATE),
    )
    path = remuxed(whole, tmp_path / f"damaged.{container}", change)
    clean = everything(whole)
    for decoder in ("pyav", "opencv"):
        assert read(whole, decoder)[1].damaged == 0
        pictures, summary = read(path, decoder)
        assert summary.damaged == 2
        assert _left_out(pictures) == [2.2, 3.6]
        for time, picture in pictures.items():
            np.testing.assert_array_equal(picture, clean[time])


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_a_damaged_frame_that_none_refers_to_costs_itself(tmp_path: Path, decoder: str) -> None:
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
    pictures, summary = read(path, decoder)
    assert summary.damaged == 1
    assert _left_out(pictures) == [time]


class TestIntraRefresh:
    CLIP = Clip("c.ts", options=x264(bf="0", **{"x264-params": "intra-refresh=1"}))

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

    @pytest.mark.parametrize("decoder", ["pyav", "opencv"])
    def test_damage_ends_at_the_second_recovery_point(self, tmp_path: Path, decoder: str) -> None:
        whole = self.CLIP.write(tmp_path).rename(tmp_path / "intact.ts")
        clean = everything(whole)
        for change in (shortened(32), dropped(32, 33)):
            pictures, summary = read(self.CLIP.write(tmp_path, change), decoder)
            assert 5 <= summary.damaged <= 14
            assert all(3.0 < time < 6.0 for time in _left_out(pictures))
            assert all(difference(each, clean[time]) < WRONG for time, each in pictures.items())


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
        embedder = FrameEmbedder(reader, FakeEncoder(), rate=POINTS)
        return embed_video(lambda: path, embedder=embedder, segments=SegmentPolicy(length=2.0))

    whole_video, video = embedded(whole), embedded(path)
    assert (whole_video.frames, whole_video.damaged) == (40, 0)
    assert (video.frames, video.damaged) == (35, 5)
    assert [segment.start for segment in video.segments] == [0, 2, 4, 6]
    for number in (0, 2, 3):
        np.testing.assert_array_equal(
            video.segments[number].vector, whole_video.segments[number].vector
        )


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_a_video_of_which_nothing_is_whole_is_refused(tmp_path: Path, decoder: str) -> None:
    clip, _, keys = intact("mpeg4-avi", tmp_path)
    path = clip.write(tmp_path, scribbled(*keys))
    with pytest.raises(VideoDamagedError, match=r"c\.avi: 40 of 40 frames.*damaged or missing"):
        list(open_decoder(decoder).frames(path, rate=POINTS))
    with pytest.raises(NoFramesError, match=r"c\.avi: none of the 40 frames"):
        read(path, decoder)


@pytest.mark.parametrize("decoder", ["pyav", "opencv"])
def test_a_point_that_is_cut_off_is_counted_once(tmp_path: Path, decoder: str) -> None:
    flags = "+frag_keyframe+empty_moov+default_base_moof+global_sidx"
    whole = Clip("c.mp4", options=x264()).write(tmp_path)
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
        for rate in (1.0, POINTS):
            frames = open_decoder(decoder, max_damaged=0.5).frames(path, rate=rate)
            given_points = sum(len(batch) for batch in frames)
            assert frames.summary.points == SECONDS * rate
            assert frames.summary.damaged == SECONDS * rate - given_points
            assert given_points == 4 * rate


def _left_out(pictures: dict[float, NDArray[np.uint8]]) -> list[float]:
    points = [k / POINTS for k in range(int(SECONDS * POINTS))]
    return [point for point in points if point not in pictures]
