"""A whole clip, file to pooled vector, against the notebook recipe on the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.clips import GOP_10, Clip, make_clips
from benchmarks.harness import measure
from benchmarks.models import made_checkpoint, made_export
from benchmarks.report import Bar, Section, comparison
from vidsearch.encoders import Encoder, TorchEncoder, Vectors, mean_unit
from vidsearch.encoders.onnx import OnnxEncoder
from vidsearch.encoders.precision import cpu_has_bf16
from vidsearch.encoders.towers import quiet_transformers
from vidsearch.media import open_decoder
from vidsearch.testing.notebook import notebook_embedding, notebook_frames, notebook_pixels

TITLE = "File to pooled vector"

NOTEBOOK, FP32, BF16 = "notebook", "vidsearch, fp32", "vidsearch, bf16"
INT8 = "vidsearch, int8 (onnx)"
_LEAST_COSINE = {FP32: 0.999999, BF16: 0.9999, INT8: 0.999}
"""Of the video's vector to the notebook's; bf16 and int8 are approximations."""
_BARS = {BF16: 3.0, INT8: 4.0}
"""On every clip; that of fp32 depends on how much there is to decode."""


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """On one thread; bf16 where the processor multiplies it."""
    import torch
    from transformers import CLIPVisionModelWithProjection

    torch.set_num_threads(1)
    checkpoint = made_checkpoint(folder)
    encoders: dict[str, Encoder] = {
        FP32: TorchEncoder(str(checkpoint), device="cpu", precision="fp32"),
        INT8: OnnxEncoder(made_export(folder), precision="int8"),
    }
    if cpu_has_bf16():
        encoders[BF16] = TorchEncoder(str(checkpoint), device="cpu", precision="bf16")
    with quiet_transformers():
        tower = CLIPVisionModelWithProjection.from_pretrained(checkpoint, dtype=torch.float32)
    decoder = open_decoder()

    def ours(encoder: Encoder, path: Path) -> Vectors:
        batches = decoder.frames(path)
        return mean_unit(np.concatenate([encoder.encode_frames(batch) for batch in batches]))

    def notebook(path: Path) -> Vectors:
        return notebook_embedding(tower, notebook_pixels(notebook_frames(path), size=224))[1]

    clips = (
        (Clip("gop2.mp4", "360p, 30 s, B-frames, GOP 2 s", seconds=30), 1.6),
        (Clip("gop10.mp4", "360p, 30 s, B-frames, GOP 10 s", seconds=30, options=GOP_10), 2.1),
        (Clip("hd-gop2.mp4", "1080p, 10 s, B-frames, GOP 2 s", height=1080, seconds=10), 2.3),
    )
    paths = make_clips(folder, [clip for clip, _ in clips])
    for clip, exact in clips:
        path = paths[clip.name]
        theirs = notebook(path)
        notes = []
        for name, encoder in encoders.items():
            cosine = float(ours(encoder, path) @ theirs)
            notes.append(f"{name}: cosine of the two vectors {cosine:.7f}")
            if cosine < _LEAST_COSINE[name]:
                raise SystemExit(f"the two ways disagree on {path.name}: {notes[-1]}")
        yield comparison(
            clip.title,
            measure(
                {
                    NOTEBOOK: partial(notebook, path),
                    **{name: partial(ours, encoder, path) for name, encoder in encoders.items()},
                },
                rounds=rounds,
            ),
            references=[NOTEBOOK],
            bars=[Bar(way, NOTEBOOK, least) for way, least in {FP32: exact, **_BARS}.items()],
            notes=notes,
        )
