"""One local video file → one vector for the whole and one per moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.defaults import BATCH_SIZE
from vidsearch.embeddings.segment_policy import SegmentPolicy
from vidsearch.encoders import Encoder, mean_unit
from vidsearch.media import (
    Candidates,
    Cue,
    MediaReader,
    Sampling,
    ThumbnailStore,
    segment_texts,
    transcript,
)

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
    text: str = ""
    """The subtitles in it."""
    thumbnail: str | None = None
    """Key of its picture in the thumbnail store."""


@dataclass(frozen=True, slots=True, repr=False)
class VideoEmbedding:
    """What is known of a video once all its sampled frames were encoded."""

    vector: NDArray[np.float32]
    """Unit mean of all frames, shape ``(dims,)``."""
    segments: tuple[Segment, ...]
    frames: int
    damaged: int
    """Sampling points whose own frame does not decode."""
    duration: float
    """Seconds, as read rather than as the header says."""
    width: int
    height: int
    subtitles: str = ""
    """All that is said in it."""

    def __repr__(self) -> str:
        damage = f" ({self.damaged} damaged)" if self.damaged else ""
        return (
            f"VideoEmbedding({self.frames} frames{damage}, {len(self.segments)} segments, "
            f"{self.duration:.2f} s, {self.width}x{self.height})"
        )


def embed_video(
    path: Path,
    *,
    reader: MediaReader,
    encoder: Encoder,
    moments: SegmentPolicy,
    rate: float = 1.0,
    sampling: Sampling = "played-at",
    batch_size: int = BATCH_SIZE,
    cues: Callable[[], Sequence[Cue]] = tuple,
    thumbnails: ThumbnailStore | None = None,
    at: Callable[[str], None] = lambda stage: None,
) -> VideoEmbedding:
    """Decode, encode and pool one video. Pixels never pile up: one batch is held at a time.

    Args:
        path: of the file.
        reader: reads the frames.
        encoder: turns them into unit vectors.
        moments: how the video is cut.
        rate: frames per second.
        sampling: which frames.
        batch_size: frames per step.
        cues: reads its subtitles; called once its frames are through.
        thumbnails: where a picture per moment is put; ``None`` makes none.
        at: called with ``"decode"``, ``"encode"``, … before each step; what it raises ends the
            work.

    Raises:
        VideoError: the file is no video that can be read.
        EncoderError: the model failed.
        SourceUnavailableError: the thumbnail store did not answer.
    """
    at("decode")
    info = reader.probe(path)
    vectors: list[NDArray[np.float32]] = []
    times: list[NDArray[np.float64]] = []
    with ExitStack() as held:
        candidates = (
            held.enter_context(Candidates.of(thumbnails)) if thumbnails is not None else None
        )
        frames = reader.frames(path, rate=rate, sampling=sampling, batch_size=batch_size)
        for batch in frames:
            if candidates is not None:
                at("thumbnails")
                candidates.add(batch)
            at("encode")
            vectors.append(encoder.encode_frames(batch))
            times.append(batch.pts_seconds)
            at("decode")

        frame_vectors, pts = np.concatenate(vectors), np.concatenate(times)
        end = frames.summary.end_seconds
        if end is None:
            end = info.duration or float(pts[-1]) + 1.0 / rate
        windows = moments.windows(
            pts, frame_vectors, duration=end, shots=lambda: reader.shots(path)
        )
        keys: list[str | None] = [None] * len(windows)
        if candidates is not None and thumbnails is not None:
            for number, window in enumerate(windows):
                at("thumbnails")
                keys[number] = thumbnails.put(candidates.best(window))
    at("subtitles")
    lines = cues()
    texts = segment_texts(lines, [(w.start, w.end) for w in windows])
    return VideoEmbedding(
        vector=mean_unit(frame_vectors),
        segments=tuple(
            Segment(
                start=w.start,
                end=w.end,
                vector=mean_unit(frame_vectors[w.first : w.last]),
                text=text,
                thumbnail=key,
            )
            for w, key, text in zip(windows, keys, texts, strict=True)
        ),
        frames=len(pts),
        damaged=frames.summary.damaged,
        duration=windows[-1].end,
        width=info.width,
        height=info.height,
        subtitles=transcript(lines),
    )
