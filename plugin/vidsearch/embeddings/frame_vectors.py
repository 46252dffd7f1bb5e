"""The unit vectors of the sampled frames of a video, or of a time range of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.defaults import BATCH_SIZE
from vidsearch.encoders import Encoder, mean_unit, sound_frames
from vidsearch.errors import NoFramesError
from vidsearch.media import (
    Candidates,
    MediaLimits,
    MediaReader,
    Sampling,
    fetch,
    open_reader,
)
from vidsearch.media.display import refuse_damaged
from vidsearch.media.frames import VideoInfo, checked_repeats
from vidsearch.metrics import count_frames

__all__ = ["FrameVectors", "add_candidates", "embed_frames", "embed_uri"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameVectors:
    """What is known of the frames of a time range once they are encoded.

    Raises:
        ValueError: there are not as many times as frames, or times descend.
    """

    pts_seconds: NDArray[np.float64]
    """Time of each frame in seconds from the beginning of the file, shape ``(m,)``."""
    vectors: NDArray[np.float32]
    """Of the pictures that the frames show, shape ``(n, dims)``, each row of unit length."""
    end_seconds: float
    """Where the range ends: the end of the video as it was read, or ``stop`` where that is
    earlier."""
    damaged: int
    """Sampling points of the range that are left out: their own frame is damaged or missing."""
    points: int
    """Sampling points of the range, damaged ones included."""
    width: int
    """Of the video as displayed, in pixels."""
    height: int
    repeats: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    """Number of frames in a row that show each picture, shape ``(n,)``; 1 for each if not given."""
    begin_seconds: float = 0.0
    """When the first picture of the video comes on display."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "repeats", checked_repeats(self.repeats, len(self.vectors)))
        if self.vectors.ndim != 2 or self.pts_seconds.shape != (self.repeats.sum(),):
            raise ValueError(
                f"vectors of shape (n, dims) need n times, not {self.vectors.shape} and "
                f"{self.pts_seconds.shape}, for pictures that {self.repeats.sum()} frames show"
            )
        if (np.diff(self.pts_seconds) < 0).any():
            raise ValueError("the times of the frames descend")

    def __len__(self) -> int:
        return len(self.pts_seconds)

    def __repr__(self) -> str:
        return (
            f"FrameVectors({len(self)} frames, {self.damaged} of {self.points} points damaged, "
            f"to {self.end_seconds:.2f} s, {self.width}x{self.height})"
        )

    @classmethod
    def joined(cls, ranges: Sequence[FrameVectors]) -> FrameVectors:
        """The vectors of ranges that follow each other, as of one range.

        Raises:
            ValueError: no ranges, ranges in another order, or vectors of different lengths.
        """
        return cls(
            pts_seconds=np.concatenate([each.pts_seconds for each in ranges]),
            vectors=np.concatenate([each.vectors for each in ranges]),
            end_seconds=ranges[-1].end_seconds,
            damaged=sum(each.damaged for each in ranges),
            points=sum(each.points for each in ranges),
            width=ranges[0].width,
            height=ranges[0].height,
            repeats=np.concatenate([each.repeats for each in ranges]),
            begin_seconds=ranges[0].begin_seconds,
        )

    def mean(self, first: int = 0, last: int | None = None) -> NDArray[np.float32]:
        """The unit mean of the frames from ``first`` to before ``last``, shape ``(dims,)``.

        Raises:
            NoFramesError: there is no frame.
        """
        if not len(self):
            raise NoFramesError(f"no frame of the first {self.end_seconds:g} s decodes")
        pictures, counts = np.unique(self._pictures()[first:last], return_counts=True)
        return mean_unit(self.vectors[pictures], weights=counts)

    def expanded(self) -> NDArray[np.float32]:
        """The vector of each frame, shape ``(m, dims)``."""
        return self.vectors[self._pictures()]

    def _pictures(self) -> NDArray[np.int64]:
        """Number of the picture that each frame shows."""
        return np.repeat(np.arange(len(self.vectors)), self.repeats)


def embed_frames(
    path: Path,
    *,
    reader: MediaReader,
    encoder: Encoder,
    rate: float = 1.0,
    sampling: Sampling = "played-at",
    batch_size: int = BATCH_SIZE,
    start: float = 0.0,
    stop: float | None = None,
    candidates: Candidates | None = None,
    info: VideoInfo | None = None,
    at: Callable[[str], None] = lambda stage: None,
) -> FrameVectors:
    """Decode and encode the frames of a time range. One batch of pixels is in memory at a time.

    Args:
        path: of the file.
        reader: reads the frames.
        encoder: turns them into unit vectors.
        rate: frames per second.
        sampling: which frames.
        batch_size: pictures per batch.
        start: of the range, in seconds.
        stop: of the range, in seconds; ``None`` reads to the end.
        candidates: gets every batch as well, to choose thumbnails from.
        info: what the header says, where the caller has read it.
        at: called with ``"decode"``, ``"encode"`` or ``"thumbnails"`` before each step; what it
            raises ends the work.

    Raises:
        VideoError: the file is not a video that can be read.
        EncoderError: the model failed, or tells no pictures apart.
        TemporaryFolderError: there is no room for candidates.
    """
    at("decode")
    info = info or reader.probe(path)
    displayed = _displayed(info, sampling)
    vectors = [np.empty((0, encoder.identity.dims), np.float32)]  # a range beyond the end has none
    times, repeats = [np.empty(0)], [np.empty(0, np.int64)]
    with reader.frames(
        path, rate=rate, sampling=sampling, batch_size=batch_size, start=start, stop=stop
    ) as frames:
        for batch in frames:
            if candidates is not None:
                at("thumbnails")
                candidates.add(batch, displayed=displayed)
            at("encode")
            vectors.append(sound_frames(encoder, batch))
            times.append(batch.pts_seconds)
            repeats.append(batch.repeats)
            count_frames(len(batch.pts_seconds))
            at("decode")
    summary = frames.summary
    end = summary.end_seconds if summary.end_seconds is not None else stop
    assert end is not None  # known wherever the video was read to its end
    return FrameVectors(
        pts_seconds=np.concatenate(times),
        vectors=np.concatenate(vectors),
        end_seconds=end,
        damaged=summary.damaged,
        points=summary.points,
        width=info.width,
        height=info.height,
        repeats=np.concatenate(repeats),
        begin_seconds=summary.begin_seconds,
    )


def add_candidates(
    path: Path,
    candidates: Candidates,
    *,
    reader: MediaReader,
    rate: float,
    sampling: Sampling,
    batch_size: int,
) -> None:
    """Read the frames of a whole video once more, to choose thumbnails from; nothing is encoded.

    Args and errors are those of :func:`embed_frames`.
    """
    info = reader.probe(path)
    with reader.frames(path, rate=rate, sampling=sampling, batch_size=batch_size) as frames:
        for batch in frames:
            candidates.add(batch, displayed=_displayed(info, sampling))


def _displayed(info: VideoInfo, sampling: Sampling) -> tuple[int, int] | None:
    return (info.width, info.height) if sampling == "notebook" else None


def embed_uri(
    uri: str,
    *,
    encoder: Encoder,
    ingest: IngestSettings,
    sources: SourceSettings,
    batch_size: int = BATCH_SIZE,
    stop: float | None = None,
) -> FrameVectors:
    """Fetch a video and embed its frames as the settings say.

    Args:
        uri: a path or a URL.
        encoder: turns frames into unit vectors.
        ingest: how frames are sampled and decoded.
        sources: where videos may be read from.
        batch_size: pictures per batch.
        stop: seconds to read; ``None`` reads to the end.

    Raises:
        VideoError: it may not be read, or is not a video that can be read.
        SourceUnavailableError: the place that holds it did not answer.
        EncoderError: the model failed.
    """
    reader = open_reader(ingest, limits=MediaLimits.of(sources))
    with fetch(uri, settings=sources) as file, closing(reader):
        frames = embed_frames(
            file.path,
            reader=reader,
            encoder=encoder,
            rate=ingest.fps,
            sampling=ingest.sampling,
            batch_size=batch_size,
            stop=stop,
        )
        # Decoders check whole readings only.
        refuse_damaged(file.path.name, frames.damaged, frames.points, most=ingest.max_damaged)
    return frames
