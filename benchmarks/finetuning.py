"""What a step of fine-tuning costs: a batch of pairs, with gradient caching."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness import others_from_now
from benchmarks.models import made_checkpoint
from benchmarks.report import Section
from vidsearch.encoders.checkpoint import open_checkpoint
from vidsearch.encoders.precision import FramePrecision, cpu_has_bf16

TITLE = "A step of fine-tuning"

PAIRS, PIECE, FRAMES = 8, 4, 12
_ABOUT = (
    "the vectors of all pairs without gradients, then each piece once more with them; the step of "
    "the optimiser is not counted"
)
_CAPTION = "two dogs run over a green meadow beside the river"


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Loss and gradients of a batch, a model of the shape of ViT-B/32, one thread."""
    import torch

    from vidsearch.finetuning.devices import Devices
    from vidsearch.finetuning.examples import Examples
    from vidsearch.finetuning.run import backward_of_batch
    from vidsearch.finetuning.two_towers import TwoTowers

    torch.set_num_threads(1)
    checkpoint = open_checkpoint(str(made_checkpoint(folder)))
    size = (PAIRS, FRAMES, 3, 224, 224)
    pictures = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    captions = [f"{_CAPTION} {number}" for number in range(PAIRS)]
    names = [str(number) for number in range(PAIRS)]
    pairs = Examples(captions, range(PAIRS), names, lambda number: pictures[number])
    cpu, others = torch.device("cpu"), others_from_now()
    precisions: tuple[FramePrecision, ...] = ("fp32", "bf16") if cpu_has_bf16() else ("fp32",)
    rows = []
    for precision in precisions:
        towers = TwoTowers(checkpoint, device=cpu, precision=precision)
        spent = []
        for _ in range(max(2, rounds // 2)):
            towers.model.zero_grad()
            began = time.process_time()
            backward_of_batch(towers, pairs, range(PAIRS), piece_size=PIECE, devices=Devices(cpu))
            spent.append((time.process_time() - began) / PAIRS)
        rows.append((precision, f"{1000 * min(spent[1:]):.0f}"))  # the first warms up
    yield Section(
        title=f"{PAIRS} pairs of {FRAMES} frames of 224 pixels, {PIECE} at a time",
        columns=("precision", "CPU ms per pair"),
        rows=tuple(rows),
        notes=(
            _ABOUT,
            f"other processes: {others():.2f} cores",
        ),
    )
