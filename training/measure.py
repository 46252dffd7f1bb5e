"""Measure a checkpoint against its bars: `python -m training.measure`; exits 1 if one is missed.

Every figure comes from clips of combinations that training never saw, encoded as H.264, decoded
again, one frame a second, through the checkpoint's own image processor and tokenizer. A clip's
vector is the mean of its unit frame vectors, made unit again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

from training.clipset import (
    Sampled,
    hard_gallery,
    random_gallery,
    twin_gallery,
    two_scene_clips,
)
from training.export import CHECKPOINT
from vidsearch.demo.scenes import ATTRIBUTES, VALUES, Scene

Vectors = NDArray[np.float32]

_AT_LEAST = {
    "choice.shape": 0.85,
    "choice.shape (large)": 0.95,
    "choice.colour": 0.97,
    "choice.size": 0.97,
    "choice.texture": 0.97,
    "choice.background": 0.97,
    "gallery R@1": 0.95,
    "random gallery R@1": 0.95,
    "hard gallery R@1": 0.90,
    "short queries": 0.80,
    "two scenes": 0.95,
}
_AT_MOST = {"gallery R@1, BGR": 0.40, "gallery R@1, no mean/std": 0.60}


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured share (0 to 1), over how many cases, and its bar if it has one."""

    name: str
    value: float
    cases: int
    at_least: float | None = None
    at_most: float | None = None

    @property
    def passed(self) -> bool:
        """True if the figure keeps its bar or has none."""
        low = self.at_least is None or self.value >= self.at_least
        return low and (self.at_most is None or self.value <= self.at_most)

    @property
    def line(self) -> str:
        """The figure as a line of a table."""
        bar = ""
        if self.at_least is not None:
            bar = f">= {self.at_least:.2f}"
        elif self.at_most is not None:
            bar = f"<= {self.at_most:.2f}"
        verdict = "" if not bar else "ok" if self.passed else "MISSED"
        return f"{self.name:30} {self.value:6.3f}  of {self.cases:4}  {bar:8} {verdict}".rstrip()


class Checkpoint:
    """A checkpoint folder's towers: clips and texts to unit vectors."""

    def __init__(self, folder: Path) -> None:
        self._model = CLIPModel.from_pretrained(folder, dtype=torch.float32)
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._processor: Any = CLIPImageProcessor.from_pretrained(folder)

    @torch.inference_mode()
    def frames(
        self, frames: NDArray[np.uint8], *, bgr: bool = False, plain: bool = False
    ) -> Vectors:
        """Unit vectors `[frames, 512]`; `bgr` and `plain` (no mean and std) are mistakes."""
        images = [np.ascontiguousarray(frame[..., ::-1] if bgr else frame) for frame in frames]
        pixels = self._processor(images=images, do_normalize=not plain, return_tensors="pt")
        output = self._model.get_image_features(pixel_values=pixels["pixel_values"])
        return _unit(getattr(output, "pooler_output", output).numpy())

    def clips(self, clips: Sequence[Sampled], *, bgr: bool = False, plain: bool = False) -> Vectors:
        """Unit clip vectors `[clips, 512]`."""
        return np.stack([_mean(self.frames(c.frames, bgr=bgr, plain=plain)) for c in clips])

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> Vectors:
        """Unit text vectors `[texts, 512]`."""
        tokens = self._tokenizer(list(texts), padding=True, truncation=True, return_tensors="pt")
        output = self._model.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        )
        return _unit(getattr(output, "pooler_output", output).numpy())


def measure(checkpoint: Checkpoint, *, number: int = 200, seed: int = 2024) -> list[Figure]:
    """Every figure, those with a bar first; `number` clips in each gallery.

    "gallery" is `twin_gallery`, whose clips come in pairs that swap under BGR.
    """
    easy = twin_gallery(number, seed=seed)
    hard = hard_gallery(number // 5, seed=seed + 1)
    easy_vectors, hard_vectors = checkpoint.clips(easy), checkpoint.clips(hard)
    recall = partial(_recall, checkpoint, easy)
    values = _choices(
        checkpoint,
        [c.scenes[0] for c in [*easy, *hard]],
        np.concatenate([easy_vectors, hard_vectors]),
    )
    values["gallery R@1"] = recall(easy_vectors)
    values["gallery R@5"] = recall(easy_vectors, k=5)
    values["hard gallery R@1"] = _recall(checkpoint, hard, hard_vectors)
    values["short queries"] = _short_queries(checkpoint, easy, easy_vectors)
    values |= _two_scenes(checkpoint, two_scene_clips(number // 4, seed=seed + 2))
    values["gallery R@1, BGR"] = recall(checkpoint.clips(easy, bgr=True))
    values["gallery R@1, no mean/std"] = recall(checkpoint.clips(easy, plain=True))
    plain = random_gallery(number, seed=seed + 3)
    for name, mistake in (("", {}), (", BGR", {"bgr": True}), (", no mean/std", {"plain": True})):
        vectors = checkpoint.clips(plain, **mistake)
        values[f"random gallery R@1{name}"] = _recall(checkpoint, plain, vectors)
    figures = [
        Figure(
            name=name,
            value=float(np.mean(hits)),
            cases=len(hits),
            at_least=_AT_LEAST.get(name),
            at_most=_AT_MOST.get(name),
        )
        for name, hits in values.items()
    ]
    return sorted(figures, key=lambda f: f.at_least is None and f.at_most is None)


def _recall(
    checkpoint: Checkpoint, clips: Sequence[Sampled], vectors: Vectors, *, k: int = 1
) -> list[bool]:
    similarity = checkpoint.texts([clip.scenes[0].caption for clip in clips]) @ vectors.T
    own = np.diagonal(similarity)[:, None]
    return list((similarity > own).sum(axis=1) < k)


def _choices(
    checkpoint: Checkpoint, scenes: Sequence[Scene], vectors: Vectors
) -> dict[str, list[bool]]:
    """For each attribute: is the right caption the nearest of those that differ in it alone?"""
    hits: dict[str, list[bool]] = {}
    for name in ATTRIBUTES:
        texts = [
            scene.with_value(name, value).caption for scene in scenes for value in VALUES[name]
        ]
        options = checkpoint.texts(texts).reshape(len(scenes), len(VALUES[name]), -1)
        best = np.einsum("nvd,nd->nv", options, vectors).argmax(axis=1)
        right = [
            VALUES[name][b] == scene.value(name) for b, scene in zip(best, scenes, strict=True)
        ]
        hits[f"choice.{name}"] = right
        if name == "shape":
            for size in VALUES["size"]:
                hits[f"choice.shape ({size})"] = [
                    hit for hit, scene in zip(right, scenes, strict=True) if scene.size == size
                ]
    return hits


def _short_queries(
    checkpoint: Checkpoint, clips: Sequence[Sampled], vectors: Vectors
) -> list[bool]:
    """Does the first hit for each colour and shape that the gallery holds have both?"""
    scenes = [clip.scenes[0] for clip in clips]
    queries = {(scene.colour, scene.shape): scene.short_caption for scene in scenes}
    best = (checkpoint.texts(list(queries.values())) @ vectors.T).argmax(axis=1)
    return [
        (scenes[index].colour, scenes[index].shape) == wanted
        for index, wanted in zip(best, queries, strict=True)
    ]


def _two_scenes(checkpoint: Checkpoint, clips: Sequence[Sampled]) -> dict[str, list[bool]]:
    """Is the scene's ten-second segment first, within its clip and among all the segments?"""
    segments = []
    for clip in clips:
        vectors = checkpoint.frames(clip.frames)
        half = len(vectors) // 2
        segments += [_mean(vectors[:half]), _mean(vectors[half:])]
    captions = [scene.caption for clip in clips for scene in clip.scenes]
    similarity = checkpoint.texts(captions) @ np.stack(segments).T
    numbers = np.arange(len(captions))
    within = similarity[numbers, numbers] > similarity[numbers, numbers ^ 1]
    return {
        "two scenes": list(within),
        "two scenes, all segments": list(similarity.argmax(axis=1) == numbers),
    }


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not (lengths > 0).all():
        raise ValueError("the checkpoint gives vectors of no length or not a number")
    return np.asarray(vectors / lengths, dtype=np.float32)


def _mean(vectors: Vectors) -> Vectors:
    return _unit(vectors.mean(axis=0, keepdims=True)).reshape(-1)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.measure", description=__doc__)
    add = parser.add_argument
    add("--checkpoint", type=Path, default=CHECKPOINT, help="folder to measure")
    add("--clips", type=int, default=200, help="clips in each gallery")
    add("--seed", type=int, default=2024)
    add("--json", action="store_true", help="print one JSON object instead of a table")
    args = parser.parse_args()
    figures = measure(Checkpoint(args.checkpoint), number=args.clips, seed=args.seed)
    if args.json:
        print(json.dumps({f.name: {**asdict(f), "passed": f.passed} for f in figures}, indent=2))
    else:
        print("\n".join(figure.line for figure in figures))
    return 0 if all(figure.passed for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
