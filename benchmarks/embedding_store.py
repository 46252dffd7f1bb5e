"""What keeping embeddings costs beside making them, and what reading them costs instead."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.clips import Clip, make_clips
from benchmarks.harness import measure
from benchmarks.models import made_checkpoint
from benchmarks.report import Section, Verdict, comparison
from vidsearch.config import EngineSettings, IndexSettings
from vidsearch.embeddings import EmbeddingStore, FrameEmbedder
from vidsearch.embeddings.index_files import IndexFiles
from vidsearch.encoders import TorchEncoder
from vidsearch.engines import connect
from vidsearch.local import SearchNode
from vidsearch.media import MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.media.file_store import FileStore

TITLE = "Store of embeddings"

EMBED = "decode and encode"
SHARE_BAR = 0.03
"""Of an ingestion's CPU, in the worker."""
_REPEATS = 16
"""Per round: keeping and reading are too short to be measured once."""


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """One clip with the shape of the real model at fp32, one thread; the store on a real node."""
    import torch

    torch.set_num_threads(1)
    encoder = TorchEncoder(str(made_checkpoint(folder)), device="cpu", precision="fp32")
    (clip,) = make_clips(folder, [Clip("store.mp4", "a clip")]).values()
    embedder = FrameEmbedder(DirectReader("pyav", limits=MediaLimits()), encoder)
    content, model = hashlib.sha256(clip.read_bytes()).hexdigest(), encoder.identity
    frames = embedder.embed(clip)
    with SearchNode.start("elasticsearch", heap="1g") as node:
        engine = connect(EngineSettings(url=node.url, kind=node.kind))
        stores = {
            "folder": EmbeddingStore(FileStore(str(folder / "store"), setting="embeddings.url")),
            "index": EmbeddingStore(IndexFiles(engine, IndexSettings(replicas=0))),
        }

        def keep(store: EmbeddingStore) -> Callable[[], object]:
            return lambda: [store.keep_frames(content, model, frames) for _ in range(_REPEATS)]

        def read(store: EmbeddingStore) -> Callable[[], object]:
            return lambda: [store.frames(content, model) for _ in range(_REPEATS)]

        ways: dict[str, Callable[[], object]] = {
            EMBED: lambda: embedder.embed(clip),
            **{f"{_REPEATS} × keep, {name}": keep(store) for name, store in stores.items()},
            **{f"{_REPEATS} × read, {name}": read(store) for name, store in stores.items()},
        }
        measured = measure(ways, rounds=rounds, children=False)
        engine.close()
    section = comparison(
        f"{len(frames)} frames of a clip of {frames.end_seconds:.0f} s",
        measured,
        references=[EMBED],
        notes=["the worker's CPU; the node's own is not counted"],
    )
    shares = {
        name: measured.ratio(f"{_REPEATS} × keep, {name}", EMBED).median / _REPEATS
        for name in stores
    }
    verdicts = tuple(
        Verdict.of_figure(
            f"Keeping embeddings in the {name}: at most {SHARE_BAR:.0%} of an ingestion's CPU",
            f"{share:.2%}",
            missed_by=(share - SHARE_BAR) / SHARE_BAR,
        )
        for name, share in shares.items()
    )
    yield Section(section.title, section.columns, section.rows, section.notes, verdicts)
