"""A whole clip, file to pooled vector, against the notebook recipe on the same weights."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.harness import Comparison, compare
from vidsearch.demo import Shot, scenes, write_clip
from vidsearch.encoders import Clip4ClipEncoder, mean_unit
from vidsearch.encoders.base import Vectors
from vidsearch.encoders.towers import quiet_transformers
from vidsearch.media import FrameBatch, open_decoder
from vidsearch.testing.checkpoints import random_clip_checkpoint
from vidsearch.testing.notebook import notebook_embedding, notebook_frames, notebook_pixels

SECONDS = 20


def run(*, rounds: int) -> list[Comparison]:
    """Decoding alone, and the whole way with a ViT-B/32-shaped checkpoint of random weights."""
    import torch
    from transformers import CLIPVisionModelWithProjection

    torch.set_num_threads(1)
    found = []
    with tempfile.TemporaryDirectory(prefix="vidsearch-bench-") as name:
        folder = Path(name)
        checkpoint = random_clip_checkpoint(folder / "vit-b-32", shape="vit-b-32")
        encoder = Clip4ClipEncoder(str(checkpoint), device="cpu")
        with quiet_transformers():
            tower = CLIPVisionModelWithProjection.from_pretrained(checkpoint, dtype=torch.float32)
        decoder = open_decoder()

        def decode(path: Path) -> list[FrameBatch]:
            return list(decoder.frames(path))

        def ours(path: Path) -> Vectors:
            batches = decoder.frames(path)
            return mean_unit(np.concatenate([encoder.encode_frames(batch) for batch in batches]))

        def notebook(path: Path) -> Vectors:
            return notebook_embedding(tower, notebook_pixels(notebook_frames(path), size=224))[1]

        for gop_seconds in (2, 10):
            path = _clip(folder / f"gop{gop_seconds}.mp4", gop_seconds=gop_seconds)
            what = f"360p, {SECONDS} s, key frame every {gop_seconds} s, with B-frames"
            cosine = float(ours(path) @ notebook(path))
            if cosine < 0.999999:
                raise SystemExit(f"the two ways disagree on {path.name}: cosine {cosine:.7f}")
            found.append(
                compare(
                    f"Decode at 1 fps: {what}",
                    {
                        "notebook (seek per frame)": partial(notebook_frames, path),
                        "vidsearch, opencv decoder": partial(decode, path),
                    },
                    rounds=rounds,
                )
            )
            found.append(
                compare(
                    f"File to pooled vector, ViT-B/32, one thread: {what}",
                    {
                        "notebook": partial(notebook, path),
                        "vidsearch": partial(ours, path),
                    },
                    rounds=rounds,
                )
            )
    return found


def _clip(path: Path, *, gop_seconds: int) -> Path:
    shots = [
        Shot(scene=scene, seconds=SECONDS / 4, seed=number)
        for number, scene in enumerate(scenes(4, seed=1))
    ]
    return write_clip(path, shots, fps=30, gop=30 * gop_seconds, width=640, height=360)
