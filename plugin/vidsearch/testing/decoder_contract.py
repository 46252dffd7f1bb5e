"""What every decoder must do. Subclass it, give it a decoder, run it with pytest."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.errors import (
    NoFramesError,
    SourceNotFoundError,
    VideoDamagedError,
    VideoError,
    VideoOpenError,
    VideoTooLargeError,
)
from vidsearch.media import Decoder, FrameBatch
from vidsearch.media.frames import DEFAULT_LIMITS, FrameSummary, MediaLimits
from vidsearch.testing.clips import counter_frame, read_counter, write_clip
from vidsearch.testing.decoder_streams import (
    NTSC,
    SPARSE,
    THIRTIETHS,
    UNEVEN,
    overwritten,
    with_rotation,
    write_damaged_beginning,
    write_damaged_middle,
    write_growing,
    write_joined,
    write_leap,
    write_truncated,
)
from vidsearch.testing.frame_range_contract import FrameRangeContract

__all__ = ["DecoderContract", "MakeDecoder", "expected_frames"]


def expected_frames(times: list[Fraction], *, rate: Fraction = Fraction(1)) -> list[int]:
    """Index of the frame on display at ``k / rate``, up to the last frame's appearance."""
    shifted = [time - times[0] for time in times]
    points = range(int(shifted[-1] * rate) + 1)
    return [max(i for i, time in enumerate(shifted) if time <= k / rate) for k in points]


class _Reading(NamedTuple):
    numbers: list[int]
    times: list[float]
    batches: list[FrameBatch]
    summary: FrameSummary


def _read(decoder: Decoder, path: Path, *, rate: float = 1.0, batch_size: int = 16) -> _Reading:
    frames = decoder.frames(path, rate=rate, batch_size=batch_size)
    batches = list(frames)
    return _Reading(
        numbers=[read_counter(frame) for batch in batches for _, frame in batch.frames()],
        times=[float(time) for batch in batches for time in batch.pts_seconds],
        batches=batches,
        summary=frames.summary,
    )


class MakeDecoder(Protocol):
    """Opens a decoder with settings of its own."""

    def __call__(
        self, *, limits: MediaLimits = DEFAULT_LIMITS, max_damaged: float = 0.5
    ) -> Decoder:
        """A decoder."""
        ...


class DecoderContract(FrameRangeContract):
    """Define a fixture ``make_decoder`` in the subclass (:class:`MakeDecoder`; it also closes what
    it opened). Clips are written with PyAV.
    """

    @pytest.fixture
    def decoder(self, make_decoder: MakeDecoder) -> Decoder:
        """One with the default settings."""
        return make_decoder()

    def test_it_is_a_decoder(self, decoder: Decoder) -> None:
        assert isinstance(decoder, Decoder)
        assert decoder.name

    @pytest.mark.parametrize(
        ("name", "times", "rate"),
        [
            pytest.param("clip.mp4", THIRTIETHS, 30, id="constant"),
            pytest.param("clip.mkv", THIRTIETHS, 30, id="matroska"),
            pytest.param("clip.mp4", [i / NTSC for i in range(200)], NTSC, id="29.97"),
            pytest.param("clip.mp4", UNEVEN, 30, id="variable"),
            pytest.param("clip.mkv", UNEVEN, 30, id="variable-matroska"),
            pytest.param("clip.mp4", SPARSE, 30, id="held-for-seconds"),
            pytest.param("clip.mp4", [t + 5 for t in THIRTIETHS], 30, id="begins-at-5s"),
            pytest.param("clip.ts", [t + 5 for t in THIRTIETHS], 30, id="transport-stream"),
            pytest.param("clip.mp4", [Fraction(0)], 30, id="one-frame"),
        ],
    )
    @pytest.mark.parametrize("sampling", [Fraction(1), Fraction(5, 2), Fraction(1, 2)])
    def test_the_frame_on_display_is_taken_with_its_own_time(
        self,
        decoder: Decoder,
        tmp_path: Path,
        name: str,
        times: list[Fraction],
        rate: Fraction | int,
        sampling: Fraction,
    ) -> None:
        path = write_clip(tmp_path / name, times, rate=rate)
        numbers, seconds, *_ = _read(decoder, path, rate=float(sampling))
        expected = expected_frames(times, rate=sampling)
        # What follows is the last frame again, for as long as it is held.
        assert numbers[: len(expected)] == expected
        assert set(numbers[len(expected) :]) <= {len(times) - 1}
        own = [float(times[number] - times[0]) for number in numbers]
        np.testing.assert_allclose(seconds, own, atol=1.1e-3)

    def test_batches_are_full_but_for_the_last(self, decoder: Decoder, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "clip.mp4", [Fraction(i, 10) for i in range(70)], rate=10)
        numbers, _, batches, _ = _read(decoder, path, batch_size=3)
        assert [len(batch) for batch in batches] == [3, 3, 1]
        assert numbers == [0, 10, 20, 30, 40, 50, 60]
        assert batches[0].data.shape == (3, 96, 128, 3)

    def test_the_summary_is_known_after_the_last_batch(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_clip(tmp_path / "clip.mp4", [Fraction(i, 10) for i in range(47)], rate=10)
        frames = decoder.frames(path, batch_size=2)
        with pytest.raises(RuntimeError, match="read all batches first"):
            _ = frames.summary
        for _ in frames:
            with pytest.raises(RuntimeError, match="read all batches first"):
                _ = frames.summary
        assert frames.summary.end_seconds == pytest.approx(4.7, abs=1e-3)
        assert (frames.summary.damaged, frames.summary.points) == (0, 5)
        assert list(frames) == []
        assert frames.summary.points == 5

    def test_a_clip_of_whole_seconds_gives_one_frame_per_second(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        for name in ("clip.mp4", "clip.mkv"):
            path = write_clip(tmp_path / name, [Fraction(i, 30) for i in range(90)])
            assert _read(decoder, path).numbers == [0, 30, 60]

    def test_a_held_picture_is_given_once(self, decoder: Decoder, tmp_path: Path) -> None:
        (batch,) = decoder.frames(write_clip(tmp_path / "clip.mp4", SPARSE))
        assert batch.repeats.tolist()[:3] == [1, 3, 4]

    def test_colours_are_red_green_blue(self, decoder: Decoder, tmp_path: Path) -> None:
        colours = np.array([(220, 40, 40), (40, 200, 40), (40, 40, 220)], dtype=np.uint8)

        def picture(index: int) -> NDArray[np.uint8]:
            return np.broadcast_to(colours[index], (64, 96, 3)).copy()

        path = write_clip(tmp_path / "clip.mp4", [Fraction(i) for i in range(3)], picture=picture)
        frames = np.array([f for batch in decoder.frames(path) for _, f in batch.frames()])[:3]
        # Colour spaces differ by a few levels; a swap of channels by two hundred.
        np.testing.assert_allclose(frames.mean((1, 2)), colours, atol=30)

    @pytest.mark.parametrize("degrees", [90, 180, 270])
    def test_rotation_is_applied(self, decoder: Decoder, tmp_path: Path, degrees: int) -> None:
        straight = write_clip(tmp_path / "straight.mp4", [Fraction(0), Fraction(1, 10)], rate=10)
        path = with_rotation(straight, tmp_path / "rotated.mp4", degrees=degrees)
        (batch,) = decoder.frames(path)
        upright = np.rot90(counter_frame(0), k=-degrees // 90)
        assert batch.data.shape[1:] == upright.shape
        info = decoder.probe(path)
        assert (info.height, info.width) == upright.shape[:2]

    def test_rotation_turns_the_right_way(self, decoder: Decoder, tmp_path: Path) -> None:
        # Bars that are white on the left only: after a turn to the right they are white on top.
        straight = write_clip(
            tmp_path / "straight.mp4", [Fraction(0)], picture=lambda _: counter_frame(0b11110000)
        )
        tops = {}
        for degrees in (90, 270):
            path = with_rotation(straight, tmp_path / f"{degrees}.mp4", degrees=degrees)
            (batch,) = decoder.frames(path)
            tops[degrees] = float(batch.data[0, :32].mean())
        assert tops[90] > 200
        assert tops[270] < 50

    def test_probe_reads_the_header(self, decoder: Decoder, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "clip.mp4", [Fraction(i, 25) for i in range(50)], rate=25)
        info = decoder.probe(path)
        assert (info.width, info.height) == (128, 96)
        assert info.duration == pytest.approx(2.0, abs=0.05)
        assert info.fps == pytest.approx(25, abs=0.1)

    def test_a_reading_left_early_leaves_the_next_one_whole(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_clip(tmp_path / "clip.mp4", THIRTIETHS)
        first = next(iter(decoder.frames(path, batch_size=1)))
        assert read_counter(first.data[0]) == 0
        assert _read(decoder, path).numbers == [0, 30, 60, 90]

    @pytest.mark.parametrize("name", ["ünï cödé 東京.mp4", "with space.mp4", "%03d.mp4", "a:b.mp4"])
    def test_file_names_are_taken_as_they_are(
        self, decoder: Decoder, tmp_path: Path, name: str
    ) -> None:
        path = write_clip(tmp_path / "clip.mp4", THIRTIETHS[:2]).rename(tmp_path / name)
        assert _read(decoder, path).numbers == [0]

    def test_a_truncated_file_gives_what_it_has(self, decoder: Decoder, tmp_path: Path) -> None:
        numbers, *_ = _read(decoder, write_truncated(tmp_path))
        assert numbers[:2] == [0, 30]

    def test_a_damaged_beginning_leaves_later_times_right(
        self, decoder: Decoder, make_decoder: MakeDecoder, tmp_path: Path
    ) -> None:
        path = write_damaged_beginning(tmp_path)
        numbers, seconds, _, summary = _read(decoder, path)
        assert numbers[-5:] == [90, 120, 150, 180, 210]
        np.testing.assert_allclose(seconds[-5:], [3, 4, 5, 6, 7], atol=1e-3)
        assert summary.damaged == 3  # at 0, 1 and 2 s nothing decodes
        assert len(numbers) == summary.points - summary.damaged
        with pytest.raises(VideoDamagedError, match=r"damaged\.mp4: 3 of 8 frames"):
            _read(make_decoder(max_damaged=0.2), path)

    def test_a_damaged_middle_leaves_its_points_out(
        self, decoder: Decoder, make_decoder: MakeDecoder, tmp_path: Path
    ) -> None:
        path = write_damaged_middle(tmp_path)
        numbers, seconds, _, summary = _read(decoder, path)
        assert summary.points == 8
        assert len(numbers) == summary.points - summary.damaged
        assert numbers[:3] == [0, 30, 60]
        assert numbers[-3:] == [150, 180, 210]
        np.testing.assert_allclose([*seconds[:3], *seconds[-3:]], [0, 1, 2, 5, 6, 7], atol=1e-3)
        assert summary.damaged in {1, 2}
        # What is given shows what it should, at its own time.
        np.testing.assert_allclose(np.array(numbers) / 30, seconds, atol=1e-3)
        with pytest.raises(VideoDamagedError, match=rf"{summary.damaged} of 8 frames"):
            _read(make_decoder(max_damaged=0.05), path)
        assert _read(make_decoder(max_damaged=0.3), path).numbers == numbers

    def test_an_intact_video_has_no_damage(self, make_decoder: MakeDecoder, tmp_path: Path) -> None:
        path = write_clip(tmp_path / "clip.mp4", SPARSE)
        assert _read(make_decoder(max_damaged=0.0), path).summary.damaged == 0

    def test_a_leap_of_the_time_stamps_is_taken_out(self, decoder: Decoder, tmp_path: Path) -> None:
        """The clock of a damaged stream leaps by ten hours; nobody waits that long."""
        numbers, seconds, _, summary = _read(decoder, write_leap(tmp_path))
        assert numbers == [0, 10, 20, 30]
        np.testing.assert_allclose(seconds, range(4), atol=2e-3)
        assert summary.end_seconds == pytest.approx(4, abs=0.1)

    @pytest.mark.parametrize(
        ("times", "rate", "expected"),
        [
            pytest.param(THIRTIETHS, 30, [0, 30, 60, 90], id="constant"),
            pytest.param(
                [i / NTSC for i in range(100)], NTSC, [0, 29, 58, 87], id="29.97-counts-as-29"
            ),
            pytest.param(
                [Fraction(2 * i) for i in range(4)], Fraction(1, 2), [0, 1, 2, 3], id="0.5"
            ),
        ],
    )
    @pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
    def test_the_notebook_sampling_counts_frames(
        self,
        decoder: Decoder,
        tmp_path: Path,
        name: str,
        times: list[Fraction],
        rate: Fraction | int,
        expected: list[int],
    ) -> None:
        path = write_clip(tmp_path / name, times, rate=rate)
        batches = list(decoder.frames(path, sampling="notebook"))
        assert [read_counter(frame) for batch in batches for _, frame in batch.frames()] == expected
        seconds = np.concatenate([batch.pts_seconds for batch in batches])
        np.testing.assert_allclose(seconds, [float(times[n]) for n in expected], atol=1.1e-3)

    def test_the_notebook_sampling_repeats_frames_at_high_rates(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_clip(tmp_path / "clip.mp4", [Fraction(i, 10) for i in range(5)], rate=10)
        batches = list(decoder.frames(path, sampling="notebook", rate=20, batch_size=4))
        numbers = [read_counter(frame) for batch in batches for _, frame in batch.frames()]
        assert numbers == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]

    @pytest.mark.parametrize("method", ["probe", "frames"])
    def test_a_video_that_is_too_long_is_refused(
        self, make_decoder: MakeDecoder, tmp_path: Path, method: str
    ) -> None:
        path = write_clip(tmp_path / "long.mp4", [Fraction(i, 10) for i in range(50)], rate=10)
        decoder = make_decoder(limits=MediaLimits(max_seconds=4))
        with pytest.raises(VideoTooLargeError, match=r"long\.mp4 is 5 s long.*4 s.*max_seconds"):
            _use(decoder, method, path)
        assert len(_read(make_decoder(limits=MediaLimits(max_seconds=5)), path).numbers) == 5

    def test_a_long_video_without_a_header_is_refused_while_it_is_read(
        self, make_decoder: MakeDecoder, tmp_path: Path
    ) -> None:
        # A raw stream knows neither its length nor its times.
        path = write_clip(tmp_path / "long.h264", [Fraction(i, 25) for i in range(100)], rate=25)
        with pytest.raises(VideoTooLargeError, match=r"long\.h264.*max_seconds"):
            _use(make_decoder(limits=MediaLimits(max_seconds=2)), "frames", path)

    @pytest.mark.parametrize("method", ["probe", "frames"])
    def test_pictures_that_are_too_large_are_refused(
        self, make_decoder: MakeDecoder, tmp_path: Path, method: str
    ) -> None:
        path = write_clip(tmp_path / "large.mp4", THIRTIETHS[:5])
        decoder = make_decoder(limits=MediaLimits(max_pixels=128 * 96 - 1))
        with pytest.raises(VideoTooLargeError, match=r"large\.mp4.*128x96.*max_pixels"):
            _use(decoder, method, path)
        assert len(_read(make_decoder(limits=MediaLimits(max_pixels=128 * 96)), path).numbers) == 1

    def test_joined_streams_follow_each_other(self, decoder: Decoder, tmp_path: Path) -> None:
        """Time stamps that jump back: the second part follows the first."""
        numbers, times, *_ = _read(decoder, write_joined(tmp_path))
        assert numbers == [0, 10, 20] * 2
        np.testing.assert_allclose(times, range(6), atol=0.15)

    def test_pictures_of_two_sizes_come_in_separate_batches(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        numbers, _, batches, _ = _read(decoder, write_growing(tmp_path))
        # The second part comes in its own size or scaled to the first; never mixed in one batch.
        # (OpenCV 4.9 repeats the last picture of the first part instead.)
        assert len(numbers) == 6
        assert numbers[:3] == [0, 10, 20]
        assert {batch.data.shape[1:3] for batch in batches} <= {(96, 128), (144, 256)}

    @pytest.mark.parametrize("method", ["probe", "frames"])
    def test_a_missing_file_is_not_found(
        self, decoder: Decoder, tmp_path: Path, method: str
    ) -> None:
        with pytest.raises(SourceNotFoundError, match=r"nothing\.mp4"):
            _use(decoder, method, tmp_path / "nothing.mp4")

    @pytest.mark.parametrize("method", ["probe", "frames"])
    @pytest.mark.parametrize("content", [b"", b"no video at all\n" * 100, bytes(5000)])
    def test_a_file_that_is_no_video_is_refused(
        self, decoder: Decoder, tmp_path: Path, method: str, content: bytes
    ) -> None:
        path = tmp_path / "nonsense.mp4"
        path.write_bytes(content)
        with pytest.raises(VideoOpenError, match=r"nonsense\.mp4"):
            _use(decoder, method, path)

    def test_a_folder_is_refused(self, decoder: Decoder, tmp_path: Path) -> None:
        with pytest.raises(VideoError, match="folder"):
            _use(decoder, "frames", tmp_path)

    def test_a_video_of_which_nothing_decodes_is_refused(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        whole = write_clip(tmp_path / "clip.mp4", THIRTIETHS, options={"bf": "0"})
        path = overwritten(whole, tmp_path / "zeroed.mp4", part=(0.0, 1.0))
        with pytest.raises(NoFramesError, match=r"zeroed\.mp4.*100 frames"):
            _use(decoder, "frames", path)

    @pytest.mark.parametrize(("rate", "batch_size"), [(0, 1), (-1, 1), (float("nan"), 1), (1, 0)])
    def test_senseless_arguments_are_refused(
        self, decoder: Decoder, tmp_path: Path, rate: float, batch_size: int
    ) -> None:
        with pytest.raises(ValueError, match="positive"):
            decoder.frames(tmp_path, rate=rate, batch_size=batch_size)

    @pytest.mark.parametrize(
        ("start", "stop"),
        [(-1, None), (float("nan"), None), (float("inf"), None), (2, 1), (0, float("nan"))],
    )
    def test_a_senseless_range_is_refused(
        self, decoder: Decoder, tmp_path: Path, start: float, stop: float | None
    ) -> None:
        with pytest.raises(ValueError, match="start and stop"):
            decoder.frames(tmp_path, start=start, stop=stop)

    def test_an_unknown_sampling_is_refused(self, decoder: Decoder, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="sampling"):
            decoder.frames(tmp_path, sampling="at-random")  # type: ignore[arg-type]


def _use(decoder: Decoder, method: str, path: Path) -> None:
    if method == "probe":
        decoder.probe(path)
    else:
        list(decoder.frames(path))
