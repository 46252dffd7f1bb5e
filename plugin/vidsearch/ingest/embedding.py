"""One local video file → one vector for the whole and one per moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.encoders import Encoder, mean_unit
from vidsearch.media import Decoder, fixed_windows

__all__ = ["Segment", "VideoEmbedding", "embed_video"]


@dataclass(frozen=True, slots=True, repr=False)
class Segment:
    """A moment: a stretch of the video and the unit mean of its frames."""

    start: float
    """Seconds."""
    end: float
    """Seconds."""
    vector: NDArray[np.float32]
    """Shape ``(dims,)``, unit length."""


@dataclass(frozen=True, slots=True, repr=False)
class VideoEmbedding:
    """What is known of a video once all its sampled frames were encoded."""

    vector: NDArray[np.float32]
    """Unit mean of all frames, shape ``(dims,)``."""
    segments: tuple[Segment, ...]
    frames: int
    duration: float
    """Seconds, as read rather than as the header says."""
    width: int
    height: int

    def __repr__(self) -> str:
        return (
            f"VideoEmbedding({self.frames} frames, {len(self.segments)} segments, "
            f"{self.duration:.2f} s, {self.width}x{self.height})"
        )


def embed_video(
    path: Path,
    *,
    decoder: Decoder,
    encoder: Encoder,
    segment_seconds: float,
    max_segments: int,
    rate: float = 1.0,
    batch_size: int = 16,
    at: Callable[[str], None] = lambda stage: None,
) -> VideoEmbedding:
    """Decode, encode and pool one video. Pixels never pile up: one batch is held at a time.

    Args:
        path: of the file.
        decoder: reads the frames.
        encoder: turns them into unit vectors.
        segment_seconds: length of a moment.
        max_segments: most moments; they grow beyond it.
        rate: frames per second.
        batch_size: frames per step.
        at: called with ``"decode"`` or ``"encode"`` before each step; what it raises ends the work.

    Raises:
        VideoError: the file is no video that can be read.
        EncoderError: the model failed.
    """
    at("decode")
    info = decoder.probe(path)
    vectors: list[NDArray[np.float32]] = []
    times: list[NDArray[np.float64]] = []
    end: float | None = None
    for batch in decoder.frames(path, rate=rate, batch_size=batch_size):
        at("encode")
        vectors.append(encoder.encode_frames(batch))
        times.append(batch.pts_seconds)
        end = batch.end_seconds
        at("decode")

    frame_vectors, pts = np.concatenate(vectors), np.concatenate(times)
    if end is None:
        end = info.duration or float(pts[-1]) + 1.0 / rate
    windows = fixed_windows(pts, duration=end, length=segment_seconds, limit=max_segments)
    return VideoEmbedding(
        vector=mean_unit(frame_vectors),
        segments=tuple(
            Segment(start=w.start, end=w.end, vector=mean_unit(frame_vectors[w.first : w.last]))
            for w in windows
        ),
        frames=len(pts),
        duration=windows[-1].end,
        width=info.width,
        height=info.height,
    )
