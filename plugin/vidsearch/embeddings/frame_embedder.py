"""From files to the unit vectors of their frames."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.defaults import BATCH_SIZE
from vidsearch.embeddings.frame_vectors import FrameVectors
from vidsearch.encoders import Encoder, ModelIdentity, embedded_frames, require_sound
from vidsearch.media import (
    Candidates,
    MediaLimits,
    MediaReader,
    Sampling,
    fetch,
    open_reader,
)
from vidsearch.media.display import refuse_damaged
from vidsearch.media.frames import VideoInfo
from vidsearch.metrics import count_frames

__all__ = ["FrameEmbedder", "embed_uri"]


@dataclass(frozen=True, slots=True)
class FrameEmbedder:
    """How the frames of files become vectors: what decodes them, which ones, and what encodes them.

    The same for all videos of a worker.
    """

    reader: MediaReader
    """Decodes files."""
    encoder: Encoder
    """Turns pictures into unit vectors."""
    rate: float = 1.0
    """Frames per second."""
    sampling: Sampling = "played-at"
    """Which frames."""
    batch_size: int = BATCH_SIZE
    """Pictures that are decoded and encoded at a time."""

    @classmethod
    def of(
        cls,
        settings: IngestSettings,
        *,
        reader: MediaReader,
        encoder: Encoder,
        batch_size: int = BATCH_SIZE,
    ) -> FrameEmbedder:
        """With the sampling that the section ``ingest`` asks for."""
        return cls(reader, encoder, settings.fps, settings.sampling, batch_size)

    @property
    def model(self) -> ModelIdentity:
        """Whose vectors they are."""
        return self.encoder.identity

    def embed(
        self,
        path: Path,
        *,
        start: float = 0.0,
        stop: float | None = None,
        candidates: Candidates | None = None,
        info: VideoInfo | None = None,
        at: Callable[[str], None] = lambda stage: None,
    ) -> FrameVectors:
        """Embed the frames of a time range. One batch of pixels is in memory at a time.

        Args:
            path: of the file.
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
        info = info or self.reader.probe(path)
        displayed = self._displayed(info)
        vectors = [np.empty((0, self.model.dims), np.float32)]  # a range beyond the end has none
        times, repeats = [np.empty(0)], [np.empty(0, np.int64)]
        with self.reader.frames(
            path,
            rate=self.rate,
            sampling=self.sampling,
            batch_size=self.batch_size,
            start=start,
            stop=stop,
        ) as frames:
            for batch in frames:
                if candidates is not None:
                    at("thumbnails")
                    candidates.add(batch, displayed=displayed)
                at("encode")
                require_sound(self.encoder)
                vectors.append(embedded_frames(self.encoder, batch))
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

    def add_candidates(self, path: Path, candidates: Candidates) -> None:
        """Read the frames of a whole video to choose thumbnails from; nothing is encoded.

        Args and errors are those of :meth:`embed`.
        """
        displayed = self._displayed(self.reader.probe(path))
        with self.reader.frames(
            path, rate=self.rate, sampling=self.sampling, batch_size=self.batch_size
        ) as frames:
            for batch in frames:
                candidates.add(batch, displayed=displayed)

    def _displayed(self, info: VideoInfo) -> tuple[int, int] | None:
        return (info.width, info.height) if self.sampling == "notebook" else None


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
    embedder = FrameEmbedder.of(ingest, reader=reader, encoder=encoder, batch_size=batch_size)
    with fetch(uri, settings=sources) as file, closing(reader):
        frames = embedder.embed(file.path, stop=stop)
        # Decoders check whole readings only.
        refuse_damaged(file.path.name, frames.damaged, frames.points, most=ingest.max_damaged)
    return frames
