"""The vectors of captions and videos, made as ingestion and search make them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsearch.batches import in_batches
from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.defaults import BATCH_SIZE
from vidsearch.embeddings import EmbeddingStore, FrameEmbedder, KeptVideo
from vidsearch.encoders import Encoder, Vectors, embedded_texts
from vidsearch.evaluation.files import Progress, VideoFiles, read_each
from vidsearch.evaluation.pairs import ListedVideo, Pairs
from vidsearch.evaluation.vectors import PairVectors
from vidsearch.media import MediaLimits, open_reader
from vidsearch.media.display import refuse_damaged

__all__ = ["EmbeddedPairs", "embed_file", "embed_pairs", "embed_texts"]

_TEXTS = 256
"""Captions that are encoded at a time."""


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedPairs:
    """Pairs, each with a file that every model could embed, and the vectors of each model."""

    pairs: Pairs
    """Without what was left out, which it names."""
    paths: tuple[Path, ...]
    """File of each video."""
    models: Mapping[str, PairVectors]
    """By the name of the model."""
    cut_off: Mapping[str, int]
    """Captions with more tokens than a model reads, by its name."""
    decoded: int
    """Videos that were decoded and encoded; the vectors of the others were kept."""


def embed_pairs(
    pairs: Pairs,
    files: VideoFiles,
    encoders: Mapping[str, Encoder],
    *,
    ingest: IngestSettings,
    sources: SourceSettings,
    store: EmbeddingStore | None,
    batch_size: int = BATCH_SIZE,
    progress: Progress = lambda done, total: None,
) -> EmbeddedPairs:
    """Embed the videos of pairs and their captions.

    What the store keeps is not decoded again, so a second run reads the files' bytes only, to know
    them, and a run that was interrupted goes on.

    Args:
        pairs: captions and their videos.
        files: where the videos are.
        encoders: of each model, by a name for it.
        ingest: how frames are chosen and decoded.
        sources: where files may be read from.
        store: keeps the vectors of frames; ``None`` keeps none.
        batch_size: pictures per batch.
        progress: told how many videos of how many are done.

    Raises:
        EvaluationError: no video can be embedded.
        SourceUnavailableError: a disk or the store did not answer.
        EncoderError: a model cannot be loaded, or failed.
    """
    vectors: dict[str, list[Vectors]] = {name: [] for name in encoders}
    paths: list[Path] = []
    decoded = 0
    with closing(open_reader(ingest, limits=MediaLimits.of(sources))) as reader:
        embedders = [
            FrameEmbedder.of(ingest, reader=reader, encoder=encoder, batch_size=batch_size)
            for encoder in encoders.values()
        ]

        def embed(video: ListedVideo, path: Path, copy: Path, content: str) -> None:
            nonlocal decoded
            found = [embed_file(copy, content, e, ingest=ingest, store=store) for e in embedders]
            decoded += any(was_read for _, was_read in found)
            paths.append(path)
            for each, (vector, _) in zip(vectors.values(), found, strict=True):
                each.append(vector)

        left_out = read_each(pairs.videos, files, embed, sources=sources, progress=progress)
    kept = pairs.without(left_out) if left_out else pairs
    return EmbeddedPairs(
        pairs=kept,
        paths=tuple(paths),
        models={
            name: PairVectors(
                embed_texts(encoder, kept.captions),
                np.stack(vectors[name]),
                np.array(kept.video_of, np.int64),
            )
            for name, encoder in encoders.items()
        },
        cut_off={
            name: sum(encoder.count_tokens(each) > encoder.context_length for each in kept.captions)
            for name, encoder in encoders.items()
        },
        decoded=decoded,
    )


def embed_file(
    path: Path,
    content: str,
    embedder: FrameEmbedder,
    *,
    ingest: IngestSettings,
    store: EmbeddingStore | None,
) -> tuple[Vectors, bool]:
    """The vector of a video, shape ``(dims,)``, as ingestion makes it; and whether it was decoded.

    Args:
        path: of the file.
        content: hash of its bytes.
        embedder: makes the vectors of its frames, where they are not kept.
        ingest: how much of it may be damaged.
        store: keeps the vectors of frames.

    Raises:
        VideoError: it is not a video that can be read.
        EncoderError: the model failed.
    """
    kept = KeptVideo(store, content)
    frames = kept.frames(embedder.model, lambda: embedder.embed(path))
    refuse_damaged(path.name, frames.damaged, frames.points, most=ingest.max_damaged)
    return frames.mean(), not kept.had_frames


def embed_texts(encoder: Encoder, captions: Sequence[str]) -> Vectors:
    """The vectors of texts, shape ``(n, dims)``, in batches. Raises EncoderError."""
    batches = [embedded_texts(encoder, batch) for batch in in_batches(captions, _TEXTS)]
    return np.concatenate(batches)
