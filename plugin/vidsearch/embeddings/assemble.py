"""From the vectors of a video's frames to one vector for the video and one for each segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.defaults import BATCH_SIZE
from vidsearch.embeddings.frame_vectors import FrameVectors, embed_frames
from vidsearch.embeddings.segment_policy import SegmentPolicy
from vidsearch.encoders import Encoder, mean_unit
from vidsearch.media import (
    Candidates,
    Cue,
    MediaReader,
    Sampling,
    SegmentSpan,
    ThumbnailStore,
    segment_texts,
    transcript,
)

__all__ = ["Segment", "VideoEmbedding", "assemble", "embed_video"]


@dataclass(frozen=True, slots=True, repr=False)
class Segment:
    """A stored stretch of a video, and the unit mean of its frames."""

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
    """A whole video: its vector, its segments and what is known of it."""

    vector: NDArray[np.float32]
    """Unit mean of all frames, shape ``(dims,)``."""
    segments: tuple[Segment, ...]
    frames: int
    damaged: int
    """Sampling points that are left out: their own frame is damaged or missing."""
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


def assemble(
    frames: FrameVectors,
    *,
    segments: SegmentPolicy,
    cues: Sequence[Cue] = (),
    shots: Callable[[], tuple[float, ...]] = tuple,
    thumbnail: Callable[[SegmentSpan], str | None] = lambda span: None,
) -> VideoEmbedding:
    """The vector and the segments of a video. Reads no video itself.

    Args:
        frames: of the whole video.
        segments: how it is cut.
        cues: its subtitles.
        shots: gives the times of its cuts; called where segments follow them.
        thumbnail: gives the key of a segment's thumbnail.

    Raises:
        VideoError: no frame decodes; or what ``shots`` raises.
    """
    vector = frames.mean()
    spans = segments.spans(frames, shots=shots)
    thumbnails = [thumbnail(span) for span in spans]
    texts = segment_texts(cues, [(span.start, span.end) for span in spans])
    return VideoEmbedding(
        vector=vector,
        segments=tuple(
            Segment(
                start=span.start,
                end=span.end,
                vector=mean_unit(frames.vectors[span.first : span.last]),
                text=text,
                thumbnail=key,
            )
            for span, key, text in zip(spans, thumbnails, texts, strict=True)
        ),
        frames=len(frames),
        damaged=frames.damaged,
        duration=spans[-1].end,
        width=frames.width,
        height=frames.height,
        subtitles=transcript(cues),
    )


def embed_video(
    path: Path,
    *,
    reader: MediaReader,
    encoder: Encoder,
    segments: SegmentPolicy,
    rate: float = 1.0,
    sampling: Sampling = "played-at",
    batch_size: int = BATCH_SIZE,
    cues: Callable[[], Sequence[Cue]] = tuple,
    thumbnails: ThumbnailStore | None = None,
    at: Callable[[str], None] = lambda stage: None,
) -> VideoEmbedding:
    """Embed the frames of a whole file (:func:`embed_frames`) and assemble the video.

    Args and errors are those of the two, and these:

    Args:
        cues: reads its subtitles; called after the last frame.
        thumbnails: where a thumbnail of each segment is put; ``None`` makes none.

    Raises:
        SourceUnavailableError: the thumbnail store did not answer.
    """
    with nullcontext() if thumbnails is None else Candidates.of(thumbnails) as candidates:
        frames = embed_frames(
            path,
            reader=reader,
            encoder=encoder,
            rate=rate,
            sampling=sampling,
            batch_size=batch_size,
            candidates=candidates,
            at=at,
        )

        def thumbnail(span: SegmentSpan) -> str | None:
            if thumbnails is None or candidates is None:
                return None
            at("thumbnails")
            return thumbnails.put(candidates.best(span))

        at("subtitles")
        lines = cues()
        at("decode")
        return assemble(
            frames,
            segments=segments,
            cues=lines,
            shots=lambda: reader.shots(path),
            thumbnail=thumbnail,
        )
