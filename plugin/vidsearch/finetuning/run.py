"""A run of fine-tuning: epochs, the validation split, early stop, and going on after a break."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vidsearch.errors import FineTuningError
from vidsearch.evaluation import PairVectors, Variant
from vidsearch.finetuning.caching import Piece, backward_in_pieces
from vidsearch.finetuning.devices import Devices
from vidsearch.finetuning.examples import Examples, epoch_batches, step_count
from vidsearch.finetuning.loop import Loop
from vidsearch.finetuning.loss import contrastive_loss
from vidsearch.finetuning.parameters import new_adam
from vidsearch.finetuning.plan import Plan
from vidsearch.finetuning.schedule import warm_up_cosine
from vidsearch.finetuning.two_towers import TwoTowers
from vidsearch.finetuning.writing import require_writable, save_state, writing

__all__ = ["Epoch", "Outcome", "backward_of_batch", "fine_tune"]

_STATE, _BEST = "state.pt", "best.pt"


class Epoch(NamedTuple):
    """How good a model is after an epoch, or before the first."""

    number: int
    """From 1; 0 is before."""
    recall: float
    """R@1 of captions that ask for their video, on the validation split, 0 to 1."""
    mean_rank: float
    """Of the right videos, from 1."""
    loss: float | None
    """Mean over the epoch's steps."""

    def is_better_than(self, other: Epoch) -> bool:
        """By R@1, and by the mean rank where that is the same."""
        return (self.recall, -self.mean_rank) > (other.recall, -other.mean_rank)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did; the model has the weights of the best epoch."""

    epochs: tuple[Epoch, ...]
    """The first is before training."""
    best: int
    """Number of the epoch whose weights were kept."""
    stopped_early: bool


def fine_tune(
    towers: TwoTowers,
    train: Examples,
    validation: Examples,
    plan: Plan,
    *,
    folder: Path,
    devices: Devices | None = None,
    save_every: int = 50,
    progress: Callable[[int, int, Epoch], None] = lambda step, steps, last: None,
) -> Outcome:
    """Train a model on pairs. What was interrupted goes on, with as many processes or others.

    Args:
        towers: the model; it ends with the weights of the best epoch.
        train: pairs to train on, two at least.
        validation: pairs that decide which epoch is best.
        plan: what to do.
        folder: keeps the state to go on from, and the best weights; all processes see it.
        devices: this process and those that it trains with; ``None``: it is alone.
        save_every: steps between two saved states; a state is saved after each epoch as well.
        progress: told the number of steps that are done, of all, and the last epoch.

    Raises:
        FineTuningError: the folder's state is of another run or cannot be written, the loss
            diverged, or a batch has fewer pairs than there are processes.
    """
    if len(train) < 2:
        raise FineTuningError(f"training compares pairs with each other, and there is {len(train)}")
    devices = devices or Devices(towers.log_scale.device)
    return _Run(towers, train, validation, plan, folder, devices).run(save_every, progress)


def backward_of_batch(
    towers: TwoTowers, train: Examples, batch: Sequence[int], *, piece_size: int, devices: Devices
) -> float:
    """Add the gradients of a batch to those of the model; all processes get those of the whole.

    Args:
        towers: the model.
        train: pairs, some of which are the batch.
        batch: their numbers, the same in every process.
        piece_size: pairs that are computed at a time.
        devices: the processes that share the batch.

    Returns:
        The loss.
    """
    positive = train.positive(batch).to(towers.log_scale.device)
    own = devices.share(batch)
    parts = [own[start : start + piece_size] for start in range(0, len(own), piece_size)]

    def videos(part: Sequence[int]) -> Piece:
        return lambda: towers.videos([train.pictures(train.video_of[n]) for n in part])

    def texts(part: Sequence[int]) -> Piece:
        return lambda: towers.texts([train.captions[n] for n in part])

    loss = backward_in_pieces(
        [videos(part) for part in parts],
        [texts(part) for part in parts],
        lambda of_videos, of_texts: contrastive_loss(
            towers.log_scale.exp() * of_videos @ of_texts.T, positive
        ),
        gather=devices.gather if devices.count > 1 else None,
    )
    if towers.log_scale.grad is not None:
        towers.log_scale.grad /= devices.count  # each process has the whole's
    devices.add_up(towers.model.parameters())
    return loss.item()


class _Run:
    def __init__(
        self,
        towers: TwoTowers,
        train: Examples,
        validation: Examples,
        plan: Plan,
        folder: Path,
        devices: Devices,
    ) -> None:
        self._towers, self._train, self._validation = towers, train, validation
        self._plan, self._folder, self._devices = plan, folder, devices
        self._per_epoch = step_count(len(train), plan.batch_size)
        if (least := len(train) // self._per_epoch) < devices.count:
            raise FineTuningError(
                f"a batch of {least} pairs cannot be shared by {devices.count} processes: launch "
                "fewer, or take a larger --batch-size"
            )
        self._steps = plan.epochs * self._per_epoch
        self._loop = Loop(
            {"model": towers.model},
            new_adam(
                towers.own_weights,
                [towers.log_scale],
                own_rate=plan.clip_rate,
                new_rate=plan.scale_rate,
                weight_decay=plan.weight_decay,
            ),
            rate=lambda step: warm_up_cosine(
                step, steps=self._steps, warm_up=round(plan.warm_up * self._steps)
            ),
            log_scale=towers.log_scale,
            seed=plan.seed,
        )
        self._epochs: list[Epoch] = []
        self._losses: list[float] = []

    def run(self, save_every: int, progress: Callable[[int, int, Epoch], None]) -> Outcome:
        require_writable(self._folder)
        with writing(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
        notes = self._loop.resume(self._folder / _STATE, check=self._require_same)
        if notes is not None:
            self._epochs = [Epoch(*each) for each in notes["epochs"]]
            self._losses = list(notes["losses"])
        if len(steps := set(self._devices.all_of([self._loop.step]))) > 1:
            raise FineTuningError(
                f"the processes read different states ({sorted(steps)} steps) in {self._folder}: "
                "keep it where all of them see the same files"
            )
        self._towers.model.train()
        if not self._epochs:
            self._epochs.append(self._measured(0, None))
            self._save()
        while self._loop.step < self._steps and not self._is_enough:
            epoch, done = divmod(self._loop.step, self._per_epoch)
            order = epoch_batches(
                len(self._train), self._plan.batch_size, seed=self._plan.seed, epoch=epoch
            )
            for batch in list(order)[done:]:
                progress(self._loop.step, self._steps, self._epochs[-1])
                self._loop.advance(lambda batch=batch: self._backward(batch))  # type: ignore[misc]
                if self._loop.step % self._per_epoch == 0:
                    self._end_epoch(epoch + 1)
                elif self._loop.step % save_every == 0:
                    self._save()
        progress(self._loop.step, self._steps, self._epochs[-1])
        self._devices.wait()  # until the first has written
        best = torch.load(self._folder / _BEST, weights_only=True, map_location="cpu")
        self._towers.model.load_state_dict(best)
        return Outcome(
            epochs=tuple(self._epochs),
            best=self._best.number,
            stopped_early=self._loop.step < self._steps,
        )

    def _backward(self, batch: Sequence[int]) -> None:
        loss = backward_of_batch(
            self._towers,
            self._train,
            batch,
            piece_size=self._plan.piece_size,
            devices=self._devices,
        )
        self._losses.append(loss)

    def _end_epoch(self, number: int) -> None:
        epoch = self._measured(number, float(np.mean(self._losses)))
        is_best = number == 1 or not self._best.is_better_than(epoch)
        if is_best and self._devices.is_first:
            # Before the state that says so: a break in between repeats the epoch's last steps.
            save_state(self._towers.model.state_dict(), self._folder / _BEST)
        self._epochs.append(epoch)
        self._losses.clear()
        self._save()

    def _measured(self, number: int, loss: float | None) -> Epoch:
        pairs, towers = self._validation, self._towers
        vectors = PairVectors(
            self._embedded(towers.embedded_texts, pairs.captions),
            self._embedded(
                lambda numbers: towers.embedded_videos(map(pairs.pictures, numbers)),
                range(len(pairs.keys)),
            ),
            np.array(pairs.video_of, np.int64),
        )
        places = vectors.places(Variant.named("exact"), "text-to-video")
        epoch = Epoch(number, float(places.found(1).mean()), float(places.ranks().mean()), loss)
        # One decision for all processes, whatever the last digits of each are.
        return self._devices.all_of([epoch])[0]

    def _embedded(
        self, embed: Callable[[Iterable[Any]], NDArray[np.float32]], items: Sequence[Any]
    ) -> NDArray[np.float32]:
        own = self._devices.share(items)
        return np.concatenate(self._devices.all_of([embed(own)] if len(own) else []))

    @property
    def _best(self) -> Epoch:
        """Of those after training began: of equals the last, which has learned at lower rates."""
        best = self._epochs[1]
        for epoch in self._epochs[2:]:
            best = best if best.is_better_than(epoch) else epoch
        return best

    @property
    def _is_enough(self) -> bool:
        trained = self._epochs[1:]
        since_better = 0
        for number, epoch in enumerate(trained):
            better = all(epoch.is_better_than(earlier) for earlier in trained[:number])
            since_better = 0 if better else since_better + 1
        return bool(self._plan.patience) and since_better >= self._plan.patience

    def _save(self) -> None:
        if not self._devices.is_first:
            return
        self._loop.save(
            self._folder / _STATE,
            epochs=[tuple(epoch) for epoch in self._epochs],
            losses=self._losses,
            run=self._description,
        )

    @property
    def _description(self) -> dict[str, Any]:
        """What a run must have in common with the one that it goes on from."""
        plan = asdict(self._plan)
        del plan["patience"], plan["piece_size"]
        return {
            **plan,
            "checkpoint": self._towers.checkpoint.revision,
            "precision": self._towers.precision,
            "pairs": self._train.digest,
            "validation": self._validation.digest,
        }

    def _require_same(self, notes: Mapping[str, Any]) -> None:
        was, now = notes.get("run", {}), self._description
        differing = [name for name in now if was.get(name) != now[name]]
        if differing:
            shown = ", ".join(f"{n}: {was.get(n)!r}, now {now[n]!r}" for n in differing[:3])
            raise FineTuningError(
                f"{self._folder} keeps the state of another run ({shown}): go on with what that "
                "one was given, or keep the state of this one elsewhere"
            )
