"""From the vectors of a video's frames to one vector for the video and one for each segment."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.embeddings.frame_embedder import FrameEmbedder
from vidsearch.embeddings.frame_vectors import FrameVectors
from vidsearch.embeddings.kept_video import KeptVideo
from vidsearch.embeddings.segment_policy import SegmentPolicy
from vidsearch.media import (
    Candidates,
    Cue,
    SegmentSpan,
    ThumbnailStore,
    segment_texts,
    transcript,
)
from vidsearch.media.display import refuse_damaged
from vidsearch.media.frames import VideoInfo

__all__ = ["Segment", "VideoEmbedding", "assemble", "embed_video"]

_NOTHING_KEPT = KeptVideo(None, "")


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
    thumbnails: Callable[[Sequence[SegmentSpan]], Sequence[str | None]] | None = None,
) -> VideoEmbedding:
    """The vector and the segments of a video. Reads no video itself.

    Args:
        frames: of the whole video.
        segments: how it is cut.
        cues: its subtitles.
        shots: gives the times of its cuts; called where segments follow them.
        thumbnails: gives the keys of the segments' thumbnails; ``None`` makes none.

    Raises:
        VideoError: no frame decodes; or what ``shots`` raises.
    """
    vector = frames.mean()
    spans = segments.spans(frames, shots=shots)
    keys = thumbnails(spans) if thumbnails else [None] * len(spans)
    shown = [
        (span.start if span.first else 0.0, span.end) for span in spans
    ]  # also what is said before
    texts = segment_texts(cues, shown)
    return VideoEmbedding(
        vector=vector,
        segments=tuple(
            Segment(
                start=span.start,
                end=span.end,
                vector=frames.mean(span.first, span.last),
                text=text,
                thumbnail=key,
            )
            for span, key, text in zip(spans, keys, texts, strict=True)
        ),
        frames=len(frames),
        damaged=frames.damaged,
        duration=spans[-1].end,
        width=frames.width,
        height=frames.height,
        subtitles=transcript(cues),
    )


def embed_video(
    path: Callable[[], Path],
    *,
    embedder: FrameEmbedder,
    segments: SegmentPolicy,
    kept: KeptVideo = _NOTHING_KEPT,
    info: VideoInfo | None = None,
    max_damaged: float = 1.0,
    cues: Callable[[], Sequence[Cue]] = tuple,
    thumbnails: ThumbnailStore | None = None,
    collect: Callable[[Candidates], bool] = lambda _: False,
    at: Callable[[str], None] = lambda stage: None,
) -> VideoEmbedding:
    """Embed the frames of a whole file (:meth:`FrameEmbedder.embed`) and assemble the video.

    Args and errors are those of the two, and these:

    Args:
        path: gives the file; called where something of it is not kept.
        embedder: makes the vectors that are not kept.
        kept: what is known of the file's content.
        max_damaged: share of the frames that may be damaged, as the reader checks it.
        cues: gives its subtitles; called after the last frame.
        thumbnails: where a thumbnail of each segment is put; ``None`` makes none.
        collect: fills in the candidates for thumbnails, where the frames of the whole video were
            kept with them, and tells whether it did.

    Raises:
        SourceUnavailableError: the thumbnail store did not answer.
    """

    def file() -> Path:
        at("fetch")
        found = path()
        at("decode")
        return found

    with ExitStack() as stack:
        candidates: Candidates | None = None
        if thumbnails is not None:
            candidates = stack.enter_context(Candidates.of(thumbnails))
        frames = kept.frames(
            embedder.model,
            lambda: embedder.embed(file(), candidates=candidates, info=info, at=at),
        )
        refuse_damaged("the video", frames.damaged, frames.points, most=max_damaged)

        def pictures(spans: Sequence[SegmentSpan]) -> Sequence[str | None]:
            assert thumbnails is not None
            assert candidates is not None
            at("thumbnails")
            if not len(candidates) and not collect(candidates):  # the vectors were kept
                embedder.add_candidates(file(), candidates)
            return [thumbnails.put(candidates.best(span)) for span in spans]

        def shots() -> tuple[float, ...]:
            read = embedder.reader.shots
            return kept.fact("shots", "", lambda: read(file()), restore=tuple, plain=list)

        def keys(spans: Sequence[SegmentSpan]) -> Sequence[str | None]:
            assert thumbnails is not None
            of_spans = _digest(spans)
            return kept.fact(
                "thumbnails",
                f"{thumbnails.form} {of_spans}",
                lambda: pictures(spans),
                restore=lambda found: found if thumbnails.renew(found) >= {*found} else None,
                plain=list,
                without=lambda found: _left(thumbnails, found, of_spans) or [None] * len(spans),
            )

        at("subtitles")
        lines = cues()
        at("assemble" if kept.had_frames else "decode")
        return assemble(
            frames,
            segments=segments,
            cues=lines,
            shots=shots,
            thumbnails=None if thumbnails is None else keys,
        )


def _left(
    thumbnails: ThumbnailStore, found: Mapping[str, Sequence[str]], of_spans: str
) -> Sequence[str | None] | None:
    """The pictures of some segments that are still there, perhaps of another form."""
    for key, names in reversed([*found.items()]):
        if key.endswith(f" {of_spans}") and (there := thumbnails.renew(names)):
            return [name if name in there else None for name in names]
    return None


def _digest(spans: Sequence[SegmentSpan]) -> str:
    times = json.dumps([(span.start, span.end) for span in spans])
    return hashlib.sha256(times.encode()).hexdigest()[:16]
