"""The vectors of captions and videos, made as ingestion and search make them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vidsearch.batches import in_batches
from vidsearch.config import IngestSettings, SourceSettings
from vidsearch.defaults import BATCH_SIZE
from vidsearch.embeddings import EmbeddingStore, FrameEmbedder, KeptVideo
from vidsearch.encoders import Encoder, Vectors, embedded_texts
from vidsearch.errors import VideoError
from vidsearch.evaluation.files import VideoFiles
from vidsearch.evaluation.pairs import LeftOut, ListedVideo, Pairs
from vidsearch.evaluation.vectors import PairVectors
from vidsearch.media import MediaLimits, content_hash, fetch, open_reader
from vidsearch.media.display import refuse_damaged

__all__ = ["EmbeddedPairs", "Progress", "embed_file", "embed_pairs", "embed_texts"]

_TEXTS = 256
"""Captions that are encoded at a time."""

Progress = Callable[[int, int], None]


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
    left_out: list[LeftOut] = []
    vectors: dict[str, list[Vectors]] = {name: [] for name in encoders}
    paths: list[Path] = []
    decoded = 0
    with ExitStack() as stack:
        reader = stack.enter_context(closing(open_reader(ingest, limits=MediaLimits.of(sources))))
        embedders = [
            FrameEmbedder.of(ingest, reader=reader, encoder=encoder, batch_size=batch_size)
            for encoder in encoders.values()
        ]
        for number, video in enumerate(pairs.videos):
            progress(number, len(pairs.videos))
            try:
                path, made, was_read = _embed(video, files, embedders, ingest, sources, store)
            except VideoError as error:
                left_out.append(LeftOut(video.key, f"{type(error).__name__}: {error}"))
                continue
            if isinstance(path, str):
                left_out.append(LeftOut(video.key, path))
                continue
            decoded += was_read
            paths.append(path)
            for each, vector in zip(vectors.values(), made, strict=True):
                each.append(vector)
        progress(len(pairs.videos), len(pairs.videos))
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


def _embed(
    video: ListedVideo,
    files: VideoFiles,
    embedders: Sequence[FrameEmbedder],
    ingest: IngestSettings,
    sources: SourceSettings,
    store: EmbeddingStore | None,
) -> tuple[Path | str, list[Vectors], bool]:
    """The file, its vector by each model, and whether it was decoded; or why there is no file."""
    path = files.find(video)
    if isinstance(path, str):
        return path, [], False
    with fetch(str(path.absolute()), settings=sources) as file:
        content = content_hash(file.path)
        found = [
            embed_file(file.path, content, each, ingest=ingest, store=store) for each in embedders
        ]
    return path, [vector for vector, _ in found], any(was_read for _, was_read in found)


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
