"""A part of what every decoder must do: a range gives the frames that the whole video gives."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.errors import NoFramesError
from vidsearch.media.frames import Decoder, FrameSummary, Sampling
from vidsearch.testing.clips import read_counter, write_clip
from vidsearch.testing.decoder_streams import (
    STREAMS,
    THIRTIETHS,
    overwritten,
    write_damaged_beginning,
)

__all__ = ["FrameRangeContract", "assert_ranges_add_up"]

_CUTS = (0.0, 0.37, 1.0, 1.05, 4 / 3, 2.0, 2.01, 3.3, 5.0, 7.5, 60.0, 61.5)
"""Seconds: at the beginning, at points, between them, within a GOP, near an end, and beyond it."""

Taken = tuple[list[float], list[NDArray[np.uint8]], FrameSummary]


def taken(decoder: Decoder, path: Path, **request: Any) -> Taken:
    """Times, pictures and summary of a reading."""
    frames = decoder.frames(path, batch_size=4, **request)
    times: list[float] = []
    pictures: list[NDArray[np.uint8]] = []
    for batch in frames:
        assert len(batch)
        times += batch.pts_seconds.tolist()
        pictures += [picture for _, picture in batch.frames()]
    return times, pictures, frames.summary


def assert_ranges_add_up(
    decoder: Decoder, path: Path, *, cuts: Sequence[float] = _CUTS, **request: Any
) -> None:
    """Ranges from cut to cut and to the end give the frames of the whole, byte for byte."""
    times, pictures, whole = taken(decoder, path, **request)
    given = points = damaged = 0
    for start, stop in pairwise([0.0, *cuts, None]):
        part_times, part_pictures, part = taken(decoder, path, start=start, stop=stop, **request)
        assert part_times == times[given : given + len(part_times)], (start, stop)
        for ours, theirs in zip(part_pictures, pictures[given:], strict=False):
            np.testing.assert_array_equal(ours, theirs, err_msg=f"{start} to {stop}")
        given += len(part_times)
        points += part.points
        damaged += part.damaged
        if stop is None:
            assert part.end_seconds == whole.end_seconds
        else:
            assert part.end_seconds in (None, whole.end_seconds)
    assert given == len(times)
    assert damaged == whole.damaged
    assert points == whole.points


class FrameRangeContract:
    """Define a fixture ``decoder`` in the subclass."""

    @pytest.mark.parametrize("stream", STREAMS)
    def test_ranges_add_up_to_the_whole_video(
        self, decoder: Decoder, tmp_path: Path, stream: str
    ) -> None:
        path = STREAMS[stream](tmp_path)
        assert_ranges_add_up(decoder, path)
        assert_ranges_add_up(decoder, path, rate=3.7)
        assert_ranges_add_up(decoder, path, rate=2.0, sampling="notebook")

    def test_a_range_takes_the_points_from_start_to_before_stop(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_clip(tmp_path / "clip.mp4", THIRTIETHS)
        for start, stop, expected in [
            (0, 1, [0, 15]),
            (0.5, 1.5, [15, 30]),
            (0.6, 1.6, [30, 45]),
            (2.0, None, [60, 75, 90]),
        ]:
            _, pictures, _ = taken(decoder, path, rate=2, start=start, stop=stop)
            assert [read_counter(picture) for picture in pictures] == expected

    def test_a_range_knows_the_end_only_where_it_goes_beyond_the_last_point(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_clip(tmp_path / "clip.mp4", [i / 10 for i in range(30)], rate=10)
        for start, stop, end in [(0, 2, None), (1, 3, None), (1, 3.5, 3.0), (1, None, 3.0)]:
            _, _, summary = taken(decoder, path, start=start, stop=stop)
            assert summary.end_seconds == (end and pytest.approx(end, abs=1e-3)), (start, stop)

    @pytest.mark.parametrize("sampling", ["played-at", "notebook"])
    def test_a_range_without_frames_is_empty(
        self, decoder: Decoder, tmp_path: Path, sampling: Sampling
    ) -> None:
        path = write_clip(tmp_path / "clip.mp4", THIRTIETHS)
        for start, stop in [(50, None), (50, 60), (1, 1), (0, 0), (0.1, 0.9)]:
            times, _, summary = taken(decoder, path, sampling=sampling, start=start, stop=stop)
            assert times == []
            assert (summary.damaged, summary.points) == (0, 0)

    def test_a_range_that_is_mostly_damaged_is_no_error(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_damaged_beginning(tmp_path)
        times, _, summary = taken(decoder, path, stop=2)
        assert times == []
        assert (summary.damaged, summary.points) == (2, 2)

    def test_a_range_of_a_video_of_which_nothing_decodes_is_refused(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        whole = write_clip(tmp_path / "clip.mp4", THIRTIETHS, options={"bf": "0"})
        path = overwritten(whole, tmp_path / "zeroed.mp4", part=(0.0, 1.0))
        with pytest.raises(NoFramesError, match=r"zeroed\.mp4.*100 frames"):
            taken(decoder, path, start=1, stop=2)
