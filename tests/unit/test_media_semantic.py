"""Moments that end where the vectors of the frames change."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from tests.moments import assert_sound

from vidsearch.media import SegmentSpan, semantic_segments

_DIMS = 64
_SCENES = np.eye(_DIMS, dtype=np.float32)


def video(*shots: tuple[int, int]) -> NDArray[np.float32]:
    """Vectors of shots, each given as the number of its scene and of its frames."""
    return np.concatenate([np.repeat(_SCENES[[scene]], count, axis=0) for scene, count in shots])


def noisy(vectors: NDArray[np.float32], *, noise: float, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    vectors = vectors + rng.normal(0, noise / math.sqrt(_DIMS), vectors.shape)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def starts(vectors: NDArray[np.float32], *, length: float = 10, limit: int = 512) -> list[float]:
    """At one frame per second."""
    segments = semantic_segments(
        np.arange(len(vectors), dtype=np.float64),
        vectors,
        duration=len(vectors),
        length=length,
        limit=limit,
    )
    return [segment.start for segment in segments]


def test_segments_begin_half_way_to_the_first_frame_of_each_scene() -> None:
    vectors = video((0, 7), (1, 12), (2, 3), (0, 9))
    (a, b, c, d) = semantic_segments(range(31), vectors, duration=31, length=10, limit=9)
    assert a == SegmentSpan(0, 6.5, 0, 7)
    assert b == SegmentSpan(6.5, 18.5, 7, 19)
    assert c == SegmentSpan(18.5, 21.5, 19, 22)
    assert d == SegmentSpan(21.5, 31, 22, 31)


def test_a_frame_held_for_long_ends_within_a_step_of_the_next_one() -> None:
    """A slide show: one frame per slide, which serves all sampling points until the next."""
    times = [0.0] * 7 + [6.75] * 12 + [19.0] * 9
    vectors = video((0, 7), (1, 12), (2, 9))
    segments = semantic_segments(times, vectors, duration=28, length=10, limit=9)
    assert [segment.start for segment in segments] == [0, 6.25, 18.5]
    assert [segment.first for segment in segments] == [0, 7, 19]


@pytest.mark.parametrize("noise", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("seed", range(5))
def test_noise_moves_no_boundary(noise: float, seed: int) -> None:
    vectors = noisy(video((0, 7), (1, 12), (2, 5), (3, 16)), noise=noise, seed=seed)
    assert starts(vectors) == [0, 6.5, 18.5, 23.5]


@pytest.mark.parametrize("noise", [0, 0.05, 0.2])
@pytest.mark.parametrize("seed", range(5))
def test_still_video_is_split_evenly(noise: float, seed: int) -> None:
    assert starts(noisy(video((0, 60)), noise=noise, seed=seed)) == [0, 10, 20, 30, 40, 50]
    assert starts(noisy(video((0, 20)), noise=noise, seed=seed)) == [0]
    assert starts(noisy(video((0, 25)), noise=noise, seed=seed)) == [0, 12.5]


def test_steady_camera_movement_is_split_evenly() -> None:
    angles = np.linspace(0, math.pi / 2, 40)
    vectors = np.outer(np.cos(angles), _SCENES[0]) + np.outer(np.sin(angles), _SCENES[1])
    assert starts(vectors.astype(np.float32)) == [0, 10, 20, 30]


@pytest.mark.parametrize("at", [1, 5, 9, 10, 11, 18])
def test_a_flash_of_one_frame_is_no_boundary(at: int) -> None:
    vectors = video((0, 10), (1, 10))
    vectors[at] = _SCENES[9]
    (zero, boundary) = starts(vectors)
    assert zero == 0
    assert abs(boundary - 9.5) <= (1 if at in {9, 10} else 0)


def test_two_frames_are_too_short_for_a_segment() -> None:
    assert starts(video((0, 9), (1, 2), (0, 9))) in ([0, 8.5], [0, 10.5], [0])


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_a_dissolve_has_one_boundary_in_its_middle(frames: int) -> None:
    share = np.linspace(0, 1, frames + 2)[1:-1, None]
    between = (1 - share) * _SCENES[0] + share * _SCENES[1]
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    vectors = np.concatenate([video((0, 10)), between.astype(np.float32), video((1, 10))])
    (_, boundary) = starts(vectors)
    assert 9.5 <= boundary <= 9.5 + frames


@pytest.mark.parametrize("shares", [[], [0.5], [0.7, 0.3]])
@pytest.mark.parametrize("black", [1, 2])
def test_a_fade_through_black_takes_no_other_frames_along(shares: list[float], black: int) -> None:
    dark = _SCENES[20]
    fading = [s * _SCENES[0] + (1 - s) * dark for s in shares]
    rising = [s * _SCENES[1] + (1 - s) * dark for s in reversed(shares)]
    frames = np.stack([*fading, *[dark] * black, *rising]).astype(np.float32)
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    vectors = np.concatenate([video((0, 10)), frames, video((1, 10))])
    (_, *boundaries) = starts(vectors)
    # From 3 s on the black stretch is a moment of its own.
    assert len(boundaries) in ({1} if len(frames) < 3 else {1, 2})
    assert all(9.5 <= boundary <= 9.5 + len(frames) for boundary in boundaries)


def test_similar_scenes_are_separated() -> None:
    other = 0.8 * _SCENES[0] + 0.6 * _SCENES[1]
    vectors = np.concatenate([video((0, 12)), np.repeat(other[None], 12, axis=0)])
    assert starts(vectors.astype(np.float32)) == [0, 11.5]


def test_no_segment_is_shorter_than_a_quarter_of_the_length() -> None:
    cuts = list(itertools.pairwise([*starts(video(*((i % 7, 2) for i in range(20)))), 40]))
    assert min(end - start for start, end in cuts) >= 2.5


def test_the_most_similar_neighbours_are_joined_beyond_the_limit() -> None:
    alike = 0.6 * _SCENES[1] + 0.8 * _SCENES[2]
    vectors = np.concatenate(
        [video((0, 8), (1, 8)), np.repeat(alike[None], 8, axis=0), video((3, 8), (4, 8))]
    ).astype(np.float32)
    assert starts(vectors) == [0, 7.5, 15.5, 23.5, 31.5]
    assert starts(vectors, limit=4) == [0, 7.5, 23.5, 31.5]
    assert starts(vectors, limit=1) == [0]


def test_higher_sampling_rate_keeps_boundaries() -> None:
    vectors = noisy(video((0, 40), (1, 40), (2, 40)), noise=0.2)
    times = np.arange(120) / 5
    segments = semantic_segments(times, vectors, duration=24, length=10, limit=9)
    assert [segment.start for segment in segments] == pytest.approx([0, 7.9, 15.9])


@pytest.mark.timeout(120)
def test_twelve_hours_are_segmented_quickly() -> None:
    vectors = noisy(video(*((i % 50, 4) for i in range(12 * 900))), noise=0.1)
    assert 100 < len(starts(vectors, limit=512)) <= 512


@st.composite
def _videos(draw: st.DrawFn) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    gaps = draw(st.lists(st.floats(0, 30), min_size=1, max_size=80))
    rows = draw(arrays(np.float32, (len(gaps), 3), elements=st.floats(-1, 1, width=32)))
    return np.cumsum(gaps), rows


@settings(deadline=None)
@example(
    drawn=(np.zeros(1), np.zeros((1, 3), dtype=np.float32)), tail=2.2e-309, length=2.0, limit=1
)
@given(drawn=_videos(), tail=st.floats(0, 60), length=st.floats(0.5, 60), limit=st.integers(1, 40))
def test_any_windows_cover_the_video_within_their_bounds(
    drawn: tuple[NDArray[np.float64], NDArray[np.float32]], tail: float, length: float, limit: int
) -> None:
    times, vectors = drawn
    duration = float(times[-1] + tail)
    segments = semantic_segments(times, vectors, duration=duration, length=length, limit=limit)
    assert_sound(segments, times, duration=duration, length=length, limit=limit)


@pytest.mark.parametrize(
    "vectors",
    [np.zeros(3), np.zeros((2, 4)), np.full((3, 4), np.nan)],
    ids=["flat", "too few", "not finite"],
)
def test_invalid_vectors_are_refused(vectors: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match=r"vectors"):
        semantic_segments([0, 1, 2], vectors, duration=3, length=10, limit=5)


_PROGRAMMES = {
    "short": [6.0, 9.4, 7.2],
    "shorter scenes": [4.6, 5.2, 8.0, 4.0],
    "one scene": [12.0],
    "14 scenes": [7.4, 5.8, 9.2, 12.6, 6.2, 8.8, 11.0, 5.4, 10.6, 7.8, 9.6, 6.6, 13.2, 8.4],
}


@pytest.mark.parametrize("name", _PROGRAMMES)
def test_scene_changes_of_drawn_clips_are_found_within_half_a_second(
    tmp_path: Path, name: str
) -> None:
    from vidsearch.demo import Shot, scenes, write_clip
    from vidsearch.encoders import TorchEncoder
    from vidsearch.media import open_decoder

    seconds, rng = _PROGRAMMES[name], random.Random(8)
    drawn = scenes(20, seed=21)
    shots = [Shot(scene=drawn[i], seconds=s, seed=rng.randrange(99)) for i, s in enumerate(seconds)]
    clip = write_clip(tmp_path / "clip.mp4", shots, fps=5)
    batches = list(open_decoder().frames(clip))
    encoder = TorchEncoder("demo")
    segments = semantic_segments(
        np.concatenate([batch.pts_seconds for batch in batches]),
        np.concatenate([encoder.encode_frames(batch) for batch in batches]),
        duration=sum(seconds),
        length=10,
        limit=512,
    )
    changes = np.cumsum(seconds)[:-1]
    assert len(segments) == len(seconds)
    misses = np.abs([segment.start for segment in segments[1:]] - changes)
    assert misses.max(initial=0) <= 0.51
