"""What two processes of ``accelerate launch`` do for tests/unit/test_finetuning_devices.py.

``accelerate launch … -m tests.launched_finetuning FOLDER``: computes the gradients of a batch, goes
on with a run that one process began, and at last is ``vidsearch finetune``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vidsearch.cli import main as command_line
from vidsearch.encoders.checkpoint import open_checkpoint
from vidsearch.finetuning.devices import Devices, open_devices
from vidsearch.finetuning.examples import Examples
from vidsearch.finetuning.plan import Plan
from vidsearch.finetuning.run import backward_of_batch, fine_tune
from vidsearch.finetuning.two_towers import TwoTowers

PLAN = Plan(epochs=2, batch_size=4, piece_size=2, clip_rate=1e-4, patience=0, seed=5)
BATCH = (3, 0, 6, 2, 5)
WORDS = ("red", "green", "blue", "dark", "pale", "grey", "black")
CHECKPOINT, INTERRUPTED, FOUND, VIDEOS, CACHE = "clip", "work", "found.pt", "videos", "frames"


def examples() -> Examples:
    """Seven pairs, each with pictures of a colour of its own; two batches, of 4 and of 3."""
    drawn = np.random.default_rng(2)
    clips = [
        np.broadcast_to(colour, (2, 32, 32, 3)).transpose(0, 3, 1, 2).copy()
        for colour in drawn.integers(0, 256, (len(WORDS), 3), dtype=np.uint8)
    ]
    captions = [f"a {word} picture" for word in WORDS]
    return Examples(captions, range(len(WORDS)), list(WORDS), lambda number: clips[number])


def new_towers(folder: Path, devices: Devices) -> TwoTowers:
    checkpoint = open_checkpoint(str(folder / CHECKPOINT))
    return TwoTowers(checkpoint, device=devices.device, precision="fp32")


def loss_and_gradients(folder: Path, devices: Devices) -> tuple[float, dict[str, Any]]:
    """Of :data:`BATCH`, by the names of the parameters."""
    towers = new_towers(folder, devices)
    loss = backward_of_batch(towers, examples(), BATCH, piece_size=2, devices=devices)
    gradients = {
        name: parameter.grad
        for name, parameter in towers.model.named_parameters()
        if parameter.grad is not None
    }
    return loss, gradients


def arguments(folder: Path, *, output: str, cache: str = CACHE) -> list[str]:
    """Of ``vidsearch finetune``."""
    videos = folder / VIDEOS
    return [
        "finetune", "--csv", str(videos / "captions.csv"), "--videos", str(videos),
        "--model", "demo", "--output", str(folder / output), "--cache", str(folder / cache),
        "--epochs", "2", "--batch-size", "4", "--piece-size", "2", "--clip-rate", "1e-4",
        "--threads", "1",
    ]  # fmt: skip


def _main(folder: Path) -> None:
    devices = open_devices("cpu", threads=1)
    loss, gradients = loss_and_gradients(folder, devices)
    towers = new_towers(folder, devices)
    pairs = examples()
    outcome = fine_tune(towers, pairs, pairs, PLAN, folder=folder / INTERRUPTED, devices=devices)
    if devices.is_first:
        found = {
            "processes": devices.count,
            "loss": loss,
            "gradients": gradients,
            "epochs": [tuple(epoch) for epoch in outcome.epochs],
            "weights": towers.model.state_dict(),
        }
        torch.save(found, folder / FOUND)
    command_line(arguments(folder, output="two"))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
