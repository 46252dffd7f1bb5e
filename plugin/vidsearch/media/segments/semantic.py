"""Segments that end where the content changes, seen in the vectors of the sampled frames."""

from __future__ import annotations

from bisect import bisect

import numpy as np
from numpy.typing import NDArray

from vidsearch.media.segments.merging import merged
from vidsearch.media.segments.spans import (
    SHORTEST,
    SegmentSpan,
    Times,
    checked_times,
    spans_at,
    split_evenly,
)

__all__ = ["semantic_segments"]

_LEAST_DEPTH = 0.1
"""Of a valley that counts; compression noise in a still picture stays well below."""
_LEAST_SHARE = 0.5
"""Of the spread of the video; a cut between two scenes is about twice the spread deep, or more."""
_MOST_FRAMES_COMPARED = 8


def semantic_segments(
    pts_seconds: Times,
    vectors: NDArray[np.floating],
    *,
    duration: float,
    length: float,
    limit: int,
) -> tuple[SegmentSpan, ...]:
    """Segments that end where similarity drops: half-way between the two sampled frames.

    They cover the video without gap or overlap, and every frame belongs to exactly one. Where a
    frame was held for longer than the usual step, the drop is within one step of the next frame.

    The method is TextTiling (Hearst, "TextTiling: Segmenting Text into Multi-paragraph Subtopic
    Passages", Computational Linguistics 23(1), 1997) on frames in place of sentences: at each gap
    between two frames the mean vectors of the frames shortly before and shortly after it are
    compared, and a gap is as deep as the similarity falls from the peaks on both sides. Ahead of
    that a vector median filter of width 3 (Astola, Haavisto and Neuvo, "Vector Median Filters",
    Proceedings of the IEEE 78(4), 1990) takes out single frames that are unlike both their
    neighbours: flashes, and damaged pictures.

    - A gap counts if it is at least 0.1 deep, and half as deep as the frames of the video differ
      altogether (one minus their mean cosine), so that neither noise in a still video nor a steady
      camera movement is cut. (Hearst's own bound, relative to the depths of all gaps, takes for
      granted that there are boundaries.) The deepest come first.
    - No segment is shorter than a quarter of ``length`` (but the one of a shorter video).
    - One that is longer than twice ``length`` is cut into equal parts near ``length``.
    - A segment that holds no frame (one was on display for longer than that) joins the one before.
    - More than ``limit`` segments: the most similar neighbours are joined first; none grows beyond
      twice ``length``, or twice ``duration / limit`` where that is longer.

    Args:
        pts_seconds: each frame's time in seconds, ascending (equal neighbours are fine).
        vectors: each frame's unit vector, shape ``(n, dims)``.
        duration: of the video, in seconds.
        length: wished for, in seconds.
        limit: maximum number of segments.

    Raises:
        ValueError: as for :func:`~vidsearch.media.segments.fixed.fixed_segments`, or vectors that
            are not finite or not as many as the frames.
    """
    times, end = checked_times(pts_seconds, duration=duration, length=length, limit=limit)
    rows = np.asarray(vectors)
    if rows.ndim != 2 or len(rows) != len(times):
        raise ValueError(f"{len(times)} frames need as many vectors, not shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise ValueError("vectors must be finite")

    shortest = SHORTEST * length
    # As many frames as fit into the shortest segment, so that no two drops blur into one.
    fit = min(shortest * len(times) / end, _MOST_FRAMES_COMPARED) if end else 1
    depths = _depths(rows, compared=max(round(fit), 1))
    starts = _chosen(times, depths, end=end, apart=shortest)
    segments = spans_at(split_evenly(starts, end=end, length=length), times, end=end)

    def unlikeness(a: SegmentSpan, b: SegmentSpan) -> float:
        sums = [rows[w.first : w.last].sum(axis=0, keepdims=True) for w in (a, b)]
        return -float(_cosines(*sums)[0])

    return merged(segments, length=length, limit=limit, cost=unlikeness)


def _depths(rows: NDArray[np.floating], *, compared: int) -> NDArray[np.float64]:
    """How deep the gap after each frame but the last is; 0 where it is no valley's bottom."""
    similar = _across(_without_flashes(rows), compared)
    depths = np.zeros(len(similar))
    if not len(similar):
        return depths
    left, right = _peaks(similar), _peaks(similar[::-1])[::-1]
    bottom = (similar <= np.append(similar[1:], np.inf)) & (
        similar < np.append(np.inf, similar[:-1])
    )
    depths[bottom] = (left + right - 2 * similar)[bottom]
    mean = rows.mean(axis=0, dtype=np.float64)
    spread = 1.0 - float(mean @ mean)
    depths[depths < max(_LEAST_DEPTH, _LEAST_SHARE * spread)] = 0.0
    return depths


def _without_flashes(rows: NDArray[np.floating]) -> NDArray[np.floating]:
    """The vector median of each frame and its two neighbours."""
    if len(rows) < 3:
        return rows
    step = _cosines(rows[:-1], rows[1:])
    before, after, bridge = step[:-1], step[1:], _cosines(rows[:-2], rows[2:])
    chosen = np.arange(len(rows))
    flash = bridge > np.minimum(before, after)  # a neighbour is closer to the other two
    chosen[1:-1] += np.where(flash, np.where(before > after, -1, 1), 0)
    return rows[chosen]


def _across(rows: NDArray[np.floating], compared: int) -> NDArray[np.float64]:
    """Cosine of the means of the ``compared`` frames before and after each gap."""
    count = len(rows)
    left = np.zeros((count - 1, rows.shape[1]))
    right = np.zeros((count - 1, rows.shape[1]))
    for back in range(min(compared, count - 1)):
        left[back:] += rows[: count - 1 - back]
        right[: count - 1 - back] += rows[1 + back :]
    return _cosines(left, right)


def _peaks(similar: NDArray[np.float64]) -> NDArray[np.float64]:
    """The similarity up to which it climbs without a fall to the left of each gap."""
    peaks = similar.copy()
    for i in range(1, len(peaks)):
        if similar[i - 1] >= similar[i]:
            peaks[i] = peaks[i - 1]
    return peaks


def _cosines(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    dots = np.einsum("nd,nd->n", a, b, dtype=np.float64)
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return np.asarray(dots / np.maximum(norms, 1e-12), dtype=np.float64)


def _chosen(
    times: NDArray[np.float64], depths: NDArray[np.float64], *, end: float, apart: float
) -> list[float]:
    """0 and the middles of the deepest gaps, at least ``apart`` from each other and the end."""
    middles = times[1:] - np.minimum(np.diff(times), end / len(times)) / 2
    starts = [0.0]
    for gap in np.argsort(-depths, kind="stable"):
        if not depths[gap]:
            break
        time = float(middles[gap])
        at = bisect(starts, time)
        following = starts[at] if at < len(starts) else end
        if time - starts[at - 1] >= apart and following - time >= apart:
            starts.insert(at, time)
    return starts
