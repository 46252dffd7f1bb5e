"""Image and text towers, one thread, against plain transformers on the same weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import measure
from benchmarks.models import made_checkpoint, made_export
from benchmarks.report import Bar, Section, comparison
from vidsearch.encoders import Encoder, TorchEncoder, Vectors
from vidsearch.encoders.onnx import OnnxEncoder
from vidsearch.encoders.precision import cpu_has_bf16
from vidsearch.encoders.towers import quiet_transformers
from vidsearch.media.frames import FrameBatch
from vidsearch.testing.notebook import notebook_embedding, notebook_pixels

TITLE = "Encoders"

PLAIN, PLAIN_BATCH = "transformers, batch 1", "transformers, batch 16"
PADDED = "transformers, padded to 77"
FP32, BF16 = "vidsearch torch fp32, batch 16", "vidsearch torch bf16, batch 16"
UNPADDED = "vidsearch torch fp32"
ONNX_FP32, ONNX_INT8 = "vidsearch onnx fp32", "vidsearch onnx int8"
_EXACT = (FP32, ONNX_FP32, UNPADDED)
_LEAST_COSINE = 0.999999
"""Of what is called exact to transformers."""
_BATCH, _FRAMES, _SIDE = 16, 48, 224
_TEXTS = 16
_LENGTHS = (8, 13)
"""Tokens, start and end token included: six words, and a longer sentence."""


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Frames, then texts of two lengths."""
    import torch

    torch.set_num_threads(1)
    checkpoint, export = made_checkpoint(folder), made_export(folder)
    yield _images(checkpoint, export, rounds=rounds)
    yield from _texts(checkpoint, export, rounds=rounds)


def _images(checkpoint: Path, export: Path, *, rounds: int) -> Section:
    frames = _pictures(_FRAMES)
    pixels = notebook_pixels(list(frames), size=_SIDE)
    tower = _plain("CLIPVisionModelWithProjection", checkpoint)
    theirs = _one_by_one(tower, pixels)
    ours: dict[str, Encoder] = {FP32: _torch(checkpoint, "fp32")}
    if cpu_has_bf16():
        ours[BF16] = _torch(checkpoint, "bf16")
    ours[ONNX_FP32] = _onnx(export, "fp32")
    ours[ONNX_INT8] = _onnx(export, "int8")
    notes = [
        f"{_BATCH} frames a round; transformers is given ready pixels, vidsearch starts from RGB",
        f"cosines of {_FRAMES} frames to {PLAIN}; centred: with the mean vector taken off",
    ]
    ways: dict[str, Callable[[], object]] = {
        PLAIN: partial(_one_by_one, tower, pixels[:_BATCH]),
        PLAIN_BATCH: partial(notebook_embedding, tower, pixels[:_BATCH]),
    }
    for name, encoder in ours.items():
        notes.append(_compared(name, encoder.encode_frames(_batch(frames)), theirs))
        ways[name] = partial(encoder.encode_frames, _batch(frames[:_BATCH]))
    return comparison(
        "Image tower",
        measure(ways, rounds=rounds, children=False),
        references=[PLAIN],
        bars=[Bar(FP32, PLAIN, 1.5), Bar(BF16, PLAIN, 1.8), Bar(ONNX_INT8, PLAIN, 3)],
        notes=notes,
    )


def _texts(checkpoint: Path, export: Path, *, rounds: int) -> Iterator[Section]:
    tower = _plain("CLIPTextModelWithProjection", checkpoint)
    tokenizer = _plain("CLIPTokenizerFast", checkpoint)
    ours: dict[str, Encoder] = {
        UNPADDED: _torch(checkpoint, "fp32"),
        ONNX_FP32: _onnx(export, "fp32"),
        ONNX_INT8: _onnx(export, "int8"),
    }
    for length in _LENGTHS:
        texts = _of_length(length, ours[ONNX_FP32], tokenizer)
        theirs = _padded(tower, tokenizer, texts)
        notes = [f"{_TEXTS} different texts a round, one by one; vidsearch keeps no vectors"]
        ways: dict[str, Callable[[], object]] = {PADDED: partial(_padded, tower, tokenizer, texts)}
        for name, encoder in ours.items():
            notes.append(_compared(name, _each(encoder, texts), theirs))
            ways[name] = partial(_each, encoder, texts)
        yield comparison(
            f"Text to unit vector, {length} tokens",
            measure(ways, rounds=rounds, children=False),
            references=[PADDED],
            bars=[Bar(ONNX_FP32, PADDED, 5.5), Bar(ONNX_INT8, PADDED, 15)],
            notes=notes,
        )


def _torch(checkpoint: Path, precision: str) -> TorchEncoder:
    return TorchEncoder(
        str(checkpoint), device="cpu", precision=precision, batch_size=_BATCH, threads=1
    )


def _onnx(export: Path, precision: str) -> OnnxEncoder:
    return OnnxEncoder(export, precision=precision, batch_size=_BATCH, threads=1, cache_size=0)


def _plain(kind: str, checkpoint: Path) -> Any:
    import transformers

    with quiet_transformers():
        # The checkpoint holds single precision, and that is what it is loaded in.
        return getattr(transformers, kind).from_pretrained(str(checkpoint))


def _one_by_one(tower: Any, pixels: Any) -> Vectors:
    return np.concatenate([notebook_embedding(tower, each[None])[0] for each in pixels])


def _padded(tower: Any, tokenizer: Any, texts: Sequence[str]) -> Vectors:
    import torch

    rows = []
    with torch.no_grad():
        for text in texts:
            tokens = tokenizer(
                [text], padding="max_length", max_length=77, truncation=True, return_tensors="pt"
            )
            vector = tower(**tokens).text_embeds
            rows.append((vector / vector.norm(dim=-1, keepdim=True)).numpy())
    return np.concatenate(rows)


def _each(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    return np.concatenate([encoder.encode_text([text]) for text in texts])


def _compared(name: str, ours: Vectors, theirs: Vectors) -> str:
    """The lowest cosines in words; ends the run where a way that is called exact is not."""
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    lowest = _cosines(a, b).min()
    centred = _cosines(a - b.mean(axis=0), b - b.mean(axis=0)).min()
    note = f"{name}: lowest cosine {lowest:.7f}, centred {centred:.5f}"
    if name in _EXACT and lowest < _LEAST_COSINE:
        raise SystemExit(f"not the vectors of transformers: {note}")
    return note


def _cosines(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    cosines: NDArray[np.float64] = (a * b).sum(axis=1) / (
        np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    )
    return cosines


def _batch(frames: NDArray[np.uint8]) -> FrameBatch:
    return FrameBatch(frames, np.arange(len(frames), dtype=np.float64))


def _pictures(count: int) -> NDArray[np.uint8]:
    """Waves of random colour, direction and length, from smooth to noisy."""
    rng = np.random.default_rng(1)
    across, down = np.meshgrid(np.linspace(0, 1, _SIDE), np.linspace(0, 1, _SIDE))
    pictures = []
    for noise in np.geomspace(1, 60, count):
        colour, swing = rng.uniform(0, 255, 3), rng.uniform(-120, 120, 3)
        way = across * rng.uniform(-40, 40) + down * rng.uniform(-40, 40)
        picture = colour + swing * np.sin(way)[..., None]
        picture += noise * rng.standard_normal(picture.shape)
        pictures.append(picture.clip(0, 255).astype(np.uint8))
    return np.stack(pictures)


def _of_length(length: int, encoder: Encoder, tokenizer: Any) -> list[str]:
    """Different texts of ``length`` tokens: words that are one token each."""
    rng = np.random.default_rng(length)
    vocabulary = sorted(token.removesuffix("</w>") for token in tokenizer.get_vocab())
    drawn = (word for word in rng.permutation(vocabulary).tolist() if word.isalpha())
    words = list(islice((word for word in drawn if encoder.count_tokens(word) == 3), 100))
    texts = [" ".join(rng.choice(words, length - 2)) for _ in range(_TEXTS)]
    if len(set(texts)) != _TEXTS or {encoder.count_tokens(text) for text in texts} != {length}:
        raise SystemExit(f"no {_TEXTS} different texts of {length} tokens")
    return texts
