"""Train the demo checkpoint: `python -m training.train`.

First the vision tower learns to name every attribute of a frame; then both towers learn to agree,
the attribute heads staying on as a weaker second loss. Every step draws its randomness from
(seed, step), so a run that was interrupted and resumed equals one that was not, up to the order
in which threads add numbers.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers import AutoTokenizer, CLIPModel

from training.batches import captions_batch, frames_batch
from training.export import CHECKPOINT, export
from training.losses import matches
from training.model import IMAGE_SIZE, MAX_TOKENS, AttributeHeads, clip_config, new_model
from training.pool import GROUP, Pool, load_pool
from training.tokenizer import write_tokenizer
from vidsearch.demo.scenes import ATTRIBUTES
from vidsearch.finetuning.loop import Loop
from vidsearch.finetuning.loss import contrastive_loss, unit
from vidsearch.finetuning.parameters import new_adam
from vidsearch.finetuning.schedule import warm_up_cosine

MAX_SCALE = 40.0
_WARM_UP = 200


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run does; see the command line's help."""

    steps: int
    see_steps: int
    groups: int
    learning_rate: float
    weight_decay: float
    heads_weight: float
    seed: int
    pool_groups: int
    state_folder: Path


class Learner:
    """Model and heads, and the loop that trains them."""

    def __init__(self, plan: Plan) -> None:
        torch.manual_seed(plan.seed)
        self.plan = plan
        tokenizer_folder = plan.state_folder / "tokenizer"
        vocabulary = write_tokenizer(tokenizer_folder, max_length=MAX_TOKENS)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(tokenizer_folder)
        self.model: CLIPModel = new_model(clip_config(vocabulary=vocabulary))
        # At 65 tokens the plain product is twice as fast on a CPU as the fused kernel.
        self.model.set_attn_implementation("eager")
        self.heads = AttributeHeads(self.model.visual_projection.in_features)
        optimizer = new_adam(
            [*self.model.parameters(), *self.heads.parameters()],
            [],
            own_rate=plan.learning_rate,
            new_rate=plan.learning_rate,
            weight_decay=plan.weight_decay,
        )
        self.loop = Loop(
            {"model": self.model, "heads": self.heads},
            optimizer,
            rate=partial(_rate, plan),
            log_scale=self.model.logit_scale,
            max_scale=MAX_SCALE,
            seed=plan.seed,
        )

    @property
    def state_path(self) -> Path:
        """Where the state to resume from is kept."""
        return self.plan.state_folder / "state.pt"

    def learn(self, pool: Pool) -> dict[str, float]:
        """One step; returns figures to print."""
        figures: dict[str, float] = {}
        self.loop.advance(lambda: self._backward(pool, figures))
        return figures

    def _backward(self, pool: Pool, figures: dict[str, float]) -> None:
        plan, step = self.plan, self.loop.step
        rng = np.random.default_rng((plan.seed, step))
        rows = rng.integers(0, len(pool), plan.groups)
        labels = pool.labels[rows].reshape(-1, len(ATTRIBUTES))
        frames = frames_batch(pool, rows, rng)
        # bfloat16 is twice as fast here with patches of 8; sums and losses stay in float32.
        with torch.autocast("cpu", torch.bfloat16):
            pooled = self.model.vision_model(pixel_values=frames).pooler_output
        pooled = pooled.float()
        targets = torch.from_numpy(labels).long()
        loss = self._heads_loss(pooled, targets, figures)
        if step >= plan.see_steps:
            words = random.Random(f"{plan.seed}:{step}")
            loss = plan.heads_weight * loss + self._match_loss(pooled, labels, words, figures)
        loss.backward()  # type: ignore[no-untyped-call]

    def _heads_loss(self, pooled: Tensor, targets: Tensor, figures: dict[str, float]) -> Tensor:
        losses = []
        for index, (name, logits) in enumerate(zip(ATTRIBUTES, self.heads(pooled), strict=True)):
            target = targets[:, index]
            losses.append(nn.functional.cross_entropy(logits, target))
            figures[name] = (logits.argmax(1) == target).float().mean().item()
        return torch.stack(losses).sum()

    def _match_loss(
        self,
        pooled: Tensor,
        labels: np.ndarray[tuple[int, ...], np.dtype[np.int8]],
        words: random.Random,
        figures: dict[str, float],
    ) -> Tensor:
        captions = captions_batch(labels, self.tokenizer, words)
        videos = unit(self.model.visual_projection(pooled))
        with torch.autocast("cpu", torch.bfloat16):
            hidden = self.model.text_model(
                input_ids=captions.ids, attention_mask=captions.mask
            ).pooler_output
        texts = unit(self.model.text_projection(hidden.float()))
        positive = matches(torch.from_numpy(labels).long(), captions.labels)
        scale = self.model.logit_scale.exp()
        loss = contrastive_loss(scale * videos @ texts.T, positive)
        figures["match loss"] = loss.item()
        figures["scale"] = scale.item()
        return loss


def _rate(plan: Plan, step: int) -> float:
    """A cosine down to nothing, with a linear warm-up at the start of either part.

    The text tower joins in the second part: at the full rate its first steps, whose direction is
    mostly chance, can throw all texts onto one vector, from which the loss does not recover.
    """
    starts = (0, plan.see_steps)
    return warm_up_cosine(step, steps=plan.steps, warm_up=_WARM_UP, starts=starts)


def train(plan: Plan, *, checkpoint: Path, fresh: bool = False, threads: int = 2) -> None:
    """Run or resume a plan and write the checkpoint folder at its end."""
    torch.set_num_threads(threads)
    plan.state_folder.mkdir(parents=True, exist_ok=True)
    print(f"drawing or loading {plan.pool_groups * GROUP} frames", flush=True)
    pool = load_pool(plan.state_folder, groups=plan.pool_groups, size=IMAGE_SIZE, seed=plan.seed)
    learner = Learner(plan)
    if not fresh and learner.loop.resume(learner.state_path) is not None:
        print(f"resumed at step {learner.loop.step}", flush=True)
    sums: dict[str, list[float]] = defaultdict(list)
    started, first = time.monotonic(), learner.loop.step
    while learner.loop.step < plan.steps:
        for name, value in learner.learn(pool).items():
            sums[name].append(value)
        if learner.loop.step % 100 == 0 or learner.loop.step == plan.steps:
            pace = (learner.loop.step - first) / (time.monotonic() - started)
            means = "  ".join(f"{name} {sum(v) / len(v):.3f}" for name, v in sums.items())
            print(f"step {learner.loop.step}/{plan.steps}  {pace:.1f}/s  {means}", flush=True)
            sums.clear()
        if learner.loop.step % 250 == 0 or learner.loop.step == plan.steps:
            learner.loop.save(learner.state_path)
    export(learner.model, tokenizer_folder=plan.state_folder / "tokenizer", folder=checkpoint)
    print(f"wrote {checkpoint}", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    add = parser.add_argument
    add("--steps", type=int, default=4000, help="steps in all; resuming with more goes on")
    add("--see-steps", type=int, default=1600, help="first steps, with attribute heads alone")
    add("--groups", type=int, default=32, help=f"groups of {GROUP} frames in a batch")
    add("--learning-rate", type=float, default=1.5e-3)
    add("--weight-decay", type=float, default=0.05)
    add("--heads-weight", type=float, default=0.3, help="weight of the heads in the second part")
    add("--seed", type=int, default=1)
    add("--pool-groups", type=int, default=40_000, help="groups drawn before training")
    add(
        "--state",
        type=Path,
        default=Path(tempfile.gettempdir()) / "vidsearch-training",
        help="where frames and the state to resume from are kept",
    )
    add("--checkpoint", type=Path, default=CHECKPOINT, help="folder to write at the end")
    add("--threads", type=int, default=2)
    add("--fresh", action="store_true", help="start again even if there is a saved state")
    args = parser.parse_args()
    plan = Plan(
        steps=args.steps,
        see_steps=args.see_steps,
        groups=args.groups,
        learning_rate=args.learning_rate,
        weight_decay=args.weight_decay,
        heads_weight=args.heads_weight,
        seed=args.seed,
        pool_groups=args.pool_groups,
        state_folder=args.state,
    )
    train(plan, checkpoint=args.checkpoint, fresh=args.fresh, threads=args.threads)


if __name__ == "__main__":
    main()
