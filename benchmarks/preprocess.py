"""RGB frames to CLIP pixels, one thread, against PIL + ToTensor + Normalize as notebooks do it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.clips import Clip, make_clips
from benchmarks.harness import measure
from benchmarks.report import Bar, Section, comparison
from vidsearch.media import open_decoder
from vidsearch.media.pixels import CLIP_PIXELS, clip_pixels
from vidsearch.media.torch_pixels import clip_pixels_torch
from vidsearch.testing.notebook import notebook_pixels
from vidsearch.testing.pixels_contract import levels_of

TITLE = "Preprocess to CLIP pixels"

PIL, TORCH, PILLOW = "PIL + ToTensor + Normalize", "vidsearch, torch", "vidsearch, no torch"
_CALLS = 8
"""A batch takes a few milliseconds, too few to time."""


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Batches of sampled frames at two sizes."""
    import torch

    torch.set_num_threads(1)
    clips = (
        (Clip("gop2.mp4", "360p", seconds=30), 5.0),
        (Clip("hd-gop2.mp4", "1080p", height=1080, seconds=10), 8.0),
    )
    paths = make_clips(folder, [clip for clip, _ in clips])
    for clip, at_least in clips:
        batches = open_decoder("pyav").frames(paths[clip.name])
        frames = np.array([frame for batch in batches for _, frame in batch.frames()])[:16]
        listed = list(frames)
        theirs = levels_of(notebook_pixels(listed, size=224), CLIP_PIXELS)
        ours = {TORCH: clip_pixels_torch(frames).numpy(), PILLOW: clip_pixels(frames)}
        notes = [f"{_CALLS} batches of {len(frames)} frames"]
        for name, pixels in ours.items():
            error = np.abs(levels_of(pixels, CLIP_PIXELS) - theirs)
            notes.append(f"{name}: at most {error.max():.2f} levels off, mean {error.mean():.4f}")
            if error.max() > 2.01 or error.mean() > 0.01:
                raise SystemExit(f"{name} is not PIL's pixels: {notes[-1]}")
        yield comparison(
            f"Preprocess {clip.title}",
            measure(
                {
                    PIL: _often(partial(notebook_pixels, listed, size=224)),
                    TORCH: _often(partial(clip_pixels_torch, frames)),
                    PILLOW: _often(partial(clip_pixels, frames)),
                },
                rounds=rounds,
            ),
            references=[PIL],
            bars=[Bar(TORCH, PIL, at_least)],
            notes=notes,
        )


def _often(way: Callable[[], object]) -> Callable[[], object]:
    return lambda: [way() for _ in range(_CALLS)]
