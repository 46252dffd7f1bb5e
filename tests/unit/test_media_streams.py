"""Every odd stream has a named outcome: the right frames, or an error that says why."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.errors import VideoOpenError
from vidsearch.media import Decoder, open_decoder
from vidsearch.media.pyav.container import opened
from vidsearch.testing.clips import counter_frame, read_counter
from vidsearch.testing.odd_clips import Track, cover, patched, write_tracks

av = pytest.importorskip("av")
pytest.importorskip("cv2")
image = pytest.importorskip("PIL.Image")

_PLAIN = Track()
_LARGE = Track(picture=lambda number: counter_frame(number + 100, width=256, height=144))
_FAST = {codec: {"deadline": "realtime", "cpu-used": "8"} for codec in ("libvpx", "libvpx-vp9")}
_KEY = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


@pytest.fixture
def decoder() -> Decoder:
    return open_decoder("pyav")


def _read(decoder: Decoder, path: Path, *, rate: float = 1.0) -> tuple[list[int], list[float]]:
    batches = list(decoder.frames(path, rate=rate))
    numbers = [read_counter(frame) for batch in batches for _, frame in batch.frames()]
    return numbers, [round(float(time), 3) for batch in batches for time in batch.pts_seconds]


def _end(decoder: Decoder, path: Path) -> float | None:
    frames = decoder.frames(path)
    assert list(frames)
    return frames.summary.end_seconds


class TestSeveralStreams:
    @pytest.mark.parametrize("name", ["clip.mp4", "clip.mov", "clip.mkv"])
    @pytest.mark.parametrize("art_first", [True, False])
    def test_cover_art_is_ignored(
        self, decoder: Decoder, tmp_path: Path, name: str, art_first: bool
    ) -> None:
        tracks = (cover(), _PLAIN) if art_first else (_PLAIN, cover())
        path = write_tracks(tmp_path / name, *tracks)
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])
        assert decoder.probe(path).width == 128

    def test_an_attachment_is_no_video(self, decoder: Decoder, tmp_path: Path) -> None:
        art = tmp_path / "cover.jpg"
        image.new("RGB", (640, 480)).save(art)
        path = tmp_path / "clip.mkv"
        with av.open(str(path), "w") as container:
            if not hasattr(container, "add_attachment"):
                pytest.skip("this PyAV does not write attachments")
            container.add_attachment("cover.jpg", "image/jpeg", art.read_bytes())
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height = 128, 96
            for number in range(30):
                frame = av.VideoFrame.from_ndarray(counter_frame(number), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])

    @pytest.mark.parametrize("name", ["clip.mkv", "clip.ts"])
    @pytest.mark.parametrize("large_first", [True, False])
    def test_larger_of_two_tracks_is_read(
        self, decoder: Decoder, tmp_path: Path, name: str, large_first: bool
    ) -> None:
        tracks = (_LARGE, _PLAIN) if large_first else (_PLAIN, _LARGE)
        path = write_tracks(tmp_path / name, *tracks)
        assert _read(decoder, path) == ([100, 110, 120], [0, 1, 2])

    def test_track_marked_as_default_is_read(self, decoder: Decoder, tmp_path: Path) -> None:
        def mark(disposition: int) -> Callable[[Any], None]:
            return lambda stream: setattr(stream, "disposition", disposition)

        path = write_tracks(
            tmp_path / "clip.mkv",
            Track(picture=_LARGE.picture, prepare=mark(0)),
            Track(prepare=mark(1)),
        )
        assert _read(decoder, path)[0] == [0, 10, 20]

    def test_first_of_equal_tracks_is_read(self, decoder: Decoder, tmp_path: Path) -> None:
        other = Track(picture=lambda number: counter_frame(number + 100))
        path = write_tracks(tmp_path / "clip.mp4", _PLAIN, other)
        assert _read(decoder, path)[0] == [0, 10, 20]

    def test_a_sound_track_changes_nothing(self, decoder: Decoder, tmp_path: Path) -> None:
        path = write_tracks(tmp_path / "clip.mp4", _PLAIN, seconds_of_sound=5)
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])
        assert _end(decoder, path) == pytest.approx(3, abs=1e-3)

    @pytest.mark.parametrize("name", ["song.m4a", "song.mp4", "song.mkv"])
    def test_a_file_with_sound_only_is_refused(
        self, decoder: Decoder, tmp_path: Path, name: str
    ) -> None:
        path = write_tracks(tmp_path / name, seconds_of_sound=1)
        _refused(decoder, path, rf"{name} has no video stream, only audio \(aac\)$")

    def test_sound_with_cover_art_is_refused(self, decoder: Decoder, tmp_path: Path) -> None:
        path = write_tracks(tmp_path / "song.mp4", cover(), seconds_of_sound=1)
        _refused(decoder, path, r"no video stream, only audio \(aac\) and a cover picture$")


class TestTimes:
    def test_an_edit_list_cuts_the_beginning_off(self, decoder: Decoder, tmp_path: Path) -> None:
        """Frames before zero are decoded, and not shown; as ``ffmpeg -ss … -c copy`` leaves it."""
        path = write_tracks(
            tmp_path / "clip.mp4",
            Track(start=Fraction(-3, 4)),
            options={"avoid_negative_ts": "disabled"},
        )
        assert b"elst" in path.read_bytes()
        numbers, times = _read(decoder, path)
        assert numbers == [8, 18, 28]
        np.testing.assert_allclose(times, [0, 1, 2], atol=2e-3)

    def test_an_edit_list_that_begins_late_counts_from_the_first_frame(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_tracks(tmp_path / "clip.mp4", Track(start=Fraction(2)))
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])

    @pytest.mark.parametrize("name", ["clip.ts", "clip.mkv", "clip.mov"])
    @pytest.mark.parametrize("start", [Fraction(5), Fraction(3600)])
    def test_a_late_start_counts_from_the_first_frame(
        self, decoder: Decoder, tmp_path: Path, name: str, start: Fraction
    ) -> None:
        path = write_tracks(tmp_path / name, Track(start=start))
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])

    def test_a_clock_that_runs_over_counts_on(self, decoder: Decoder, tmp_path: Path) -> None:
        """The 33-bit clock runs over within the first second."""
        start = Fraction(2**33, 90_000) - Fraction(17, 10)
        path = write_tracks(tmp_path / "clip.ts", Track(start=start))
        numbers, times = _read(decoder, path)
        assert numbers == [0, 10, 20]
        np.testing.assert_allclose(times, [0, 1, 2], atol=2e-3)

    def test_joined_recordings_whose_clock_goes_back_are_not_a_day_long(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        late = write_tracks(tmp_path / "late.ts", Track(start=Fraction(1000)))
        early = write_tracks(tmp_path / "early.ts", Track(start=Fraction(5)))
        path = tmp_path / "joined.ts"
        path.write_bytes(late.read_bytes() + early.read_bytes())
        with opened(path) as video:
            assert (video.duration or 0) > 12 * 3600
        numbers, times = _read(decoder, path)
        assert numbers == [0, 10, 20, 0, 10, 20]
        np.testing.assert_allclose(times, range(6), atol=2e-3)

    def test_a_stream_that_begins_late_is_passed_over(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        """A broadcast gets sound; only streams that begin early are known from the start."""
        silent = write_tracks(tmp_path / "silent.ts", _PLAIN)
        loud = write_tracks(tmp_path / "loud.ts", _PLAIN, seconds_of_sound=3)
        path = tmp_path / "joined.ts"
        empty = (b"\x47\x1f\xff\x10" + bytes(184)) * 30_000
        # FFmpeg looks for streams in the beginning, and for the duration at the end.
        parts = (silent.read_bytes(), empty, loud.read_bytes(), empty, silent.read_bytes())
        path.write_bytes(b"".join(parts))
        assert _read(decoder, path)[0] == [0, 10, 20] * 3

    @pytest.mark.parametrize(
        ("name", "codec", "options"),
        [
            ("clip.webm", "libvpx-vp9", {"live": "1"}),
            ("clip.mkv", "libx264", {"live": "1"}),
            ("clip.flv", "flv", {"flvflags": "no_duration_filesize"}),
            ("clip.mp4", "libx264", {"movflags": "empty_moov+frag_keyframe+default_base_moof"}),
            ("clip.ts", "libx264", {}),
            ("clip.ivf", "libvpx", {}),
        ],
    )
    def test_a_missing_duration_is_measured(
        self, decoder: Decoder, tmp_path: Path, name: str, codec: str, options: dict[str, str]
    ) -> None:
        path = write_tracks(
            tmp_path / name, Track(codec=codec, options=_FAST.get(codec, {})), options=options
        )
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])
        assert _end(decoder, path) == pytest.approx(3, abs=2e-3)

    @pytest.mark.parametrize("claimed", [1, 7, 3000])
    def test_a_wrong_frame_count_in_avi_is_ignored(
        self, decoder: Decoder, tmp_path: Path, claimed: int
    ) -> None:
        whole = write_tracks(tmp_path / "clip.avi", Track(codec="mpeg4"))
        content = whole.read_bytes()
        count = struct.pack("<I", claimed)
        total = content.index(b"avih") + 8 + 16
        length = content.index(b"strh") + 8 + 32
        path = patched(whole, tmp_path / "wrong.avi", [(total, count), (length, count)])
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])
        assert _end(decoder, path) == pytest.approx(3, abs=2e-3)

    @pytest.mark.parametrize("seconds", [1, 3000])
    def test_a_wrong_duration_in_mp4_is_ignored(
        self, decoder: Decoder, tmp_path: Path, seconds: int
    ) -> None:
        whole = write_tracks(tmp_path / "clip.mp4", _PLAIN)
        content = whole.read_bytes()
        changes = []
        for box, to_duration in ((b"mvhd", 16), (b"mdhd", 16)):
            place = content.index(box) + 4 + to_duration
            (scale,) = struct.unpack(">I", content[place - 4 : place])
            changes.append((place, struct.pack(">I", seconds * scale)))
        path = patched(whole, tmp_path / "wrong.mp4", changes)
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])
        assert _end(decoder, path) == pytest.approx(3, abs=2e-3)

    def test_a_raw_stream_counts_its_frames_at_the_rate_it_names(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_tracks(tmp_path / "clip.h264", _PLAIN)
        numbers, _ = _read(decoder, path)
        assert numbers[0] == 0
        assert 2 <= len(numbers) <= 3


class TestPictures:
    """That they look right is tested in ``test_media_picture``; here, that decoders say so."""

    def test_a_turned_clip_is_set_upright(self, decoder: Decoder, tmp_path: Path) -> None:
        track = Track(prepare=lambda stream: stream.set_display_rotation(180))
        path = write_tracks(tmp_path / "clip.mp4", track)
        (batch,) = decoder.frames(path)
        numbers = [read_counter(frame[:, ::-1]) for _, frame in batch.frames()]
        assert numbers == [0, 10, 20]

    @pytest.mark.parametrize("aspect", [Fraction(16, 11), Fraction(8, 9)])
    def test_long_pixels_are_made_square(
        self, decoder: Decoder, tmp_path: Path, aspect: Fraction
    ) -> None:
        path = write_tracks(tmp_path / "clip.mp4", Track(tags={"sample_aspect_ratio": aspect}))
        (batch,) = decoder.frames(path)
        info = decoder.probe(path)
        assert batch.data.shape[1:3] == (96, round(128 * aspect)) == (info.height, info.width)
        assert _read(decoder, path)[0] == [0, 10, 20]

    def test_an_interlaced_clip_is_read(self, decoder: Decoder, tmp_path: Path) -> None:
        options = {"flags": "+ildct", "x264-params": "tff=1"}
        path = write_tracks(tmp_path / "clip.mp4", Track(options=options))
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])

    def test_an_animated_gif_is_read(self, decoder: Decoder, tmp_path: Path) -> None:
        path = tmp_path / "clip.gif"
        frames = [image.fromarray(counter_frame(number)) for number in range(30)]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, loop=0)
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])

    def test_a_gif_with_uneven_delays_keeps_its_times(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = tmp_path / "clip.gif"
        frames = [image.fromarray(counter_frame(number)) for number in (1, 2, 4, 8)]
        delays = [700, 900, 1000, 500]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=delays, loop=0)
        assert _read(decoder, path) == ([1, 2, 4, 8], [0, 0.7, 1.6, 2.6])

    def test_an_animated_png_is_read(self, decoder: Decoder, tmp_path: Path) -> None:
        path = write_tracks(
            tmp_path / "clip.png", Track(codec="apng", pixel_format="rgb24"), form="apng"
        )
        assert _read(decoder, path) == ([0, 10, 20], [0, 1, 2])

    def test_an_animated_webp_is_refused(self, decoder: Decoder, tmp_path: Path) -> None:
        path = tmp_path / "clip.webp"
        frames = [image.fromarray(counter_frame(number)) for number in range(5)]
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=500)
        _refused(decoder, path, "animated WebP, which FFmpeg cannot read; convert it to")

    @pytest.mark.parametrize("name", ["clip.mp4", "picture"])
    @pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "AVIF"])
    def test_a_still_picture_is_refused(
        self, decoder: Decoder, tmp_path: Path, form: str, name: str
    ) -> None:
        path = tmp_path / (name if name == "clip.mp4" else f"{name}.{form.lower()}")
        try:
            image.fromarray(counter_frame(5)).save(path, format=form)
        except (KeyError, OSError):
            pytest.skip(f"this Pillow does not write {form}")
        _refused(decoder, path, rf"(?i){path.name} is a still picture \(.*{form}.*\), not")

    def test_a_gif_of_one_picture_is_a_video_of_one_frame(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = tmp_path / "one.gif"
        image.fromarray(counter_frame(5)).save(path)
        assert _read(decoder, path) == ([5], [0])


class TestOpenCv:
    """What OpenCV must not be given, and what it reads otherwise."""

    def test_plain_clips_pass_the_checks_of_opencv(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        open_decoder("opencv").probe(write_tracks(tmp_path / "clip.mp4", cover(), _PLAIN))
        assert not caplog.records

    def test_interlaced_frames_are_refused(self, tmp_path: Path) -> None:
        options = {"flags": "+ildct", "x264-params": "tff=1"}
        path = write_tracks(tmp_path / "clip.mp4", Track(options=options))
        with pytest.raises(VideoOpenError, match=r"clip\.mp4 is interlaced.*decoder to pyav"):
            open_decoder("opencv").probe(path)

    def test_exotic_colours_are_refused(self, tmp_path: Path) -> None:
        def label(stream: Any) -> None:
            stream.codec_context.colorspace = 8

        path = write_tracks(tmp_path / "clip.mp4", Track(prepare=label))
        with pytest.raises(VideoOpenError, match=r"clip\.mp4 has colours.*decoder to pyav"):
            open_decoder("opencv").probe(path)

    def test_an_encrypted_file_is_refused(self, tmp_path: Path) -> None:
        path = write_tracks(tmp_path / "clip.mp4", _PLAIN, options=_KEY)
        with pytest.raises(VideoOpenError, match="encrypted"):
            open_decoder("opencv").probe(path)

    def test_opencv_warns_where_it_reads_another_track(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = write_tracks(tmp_path / "clip.mkv", _PLAIN, _LARGE)
        open_decoder("opencv").probe(path)
        (record,) = caplog.records
        assert "number 0, not the main one, number 1" in record.getMessage()


def test_a_container_is_closed_with_its_block(tmp_path: Path) -> None:
    path = write_tracks(tmp_path / "clip.mp4", _PLAIN)
    with opened(path) as video:
        video.info()
        container = video.container
    shutil.rmtree(tmp_path)
    with pytest.raises(AssertionError):
        container.decode(video=0).__next__()


def _refused(decoder: Decoder, path: Path, reason: str) -> None:
    for use in (_probed, _all_frames):
        with pytest.raises(VideoOpenError, match=reason):
            use(decoder, path)


def _probed(decoder: Decoder, path: Path) -> None:
    decoder.probe(path)


def _all_frames(decoder: Decoder, path: Path) -> list[NDArray[np.uint8]]:
    return [frame for batch in decoder.frames(path) for _, frame in batch.frames()]
