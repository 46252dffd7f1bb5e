"""The whole of ``vidsearch finetune``: from captions and videos to a checkpoint with its card."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidsearch.config import ModelSettings, Settings
from vidsearch.encoders import load_encoder
from vidsearch.encoders.checkpoint import open_checkpoint
from vidsearch.encoders.identity import sampling_name
from vidsearch.encoders.pool import model_named
from vidsearch.encoders.precision import frame_precision
from vidsearch.errors import FineTuningError
from vidsearch.evaluation import PairRow, Pairs, Variant, VideoFiles, embed_pairs, pair_rows
from vidsearch.finetuning.card import Card
from vidsearch.finetuning.checkpoint import write_checkpoint
from vidsearch.finetuning.devices import open_devices
from vidsearch.finetuning.frame_cache import FrameCache
from vidsearch.finetuning.plan import Plan
from vidsearch.finetuning.prepare import Prepared, examples_of, prepare, split
from vidsearch.finetuning.run import Epoch, Outcome, fine_tune
from vidsearch.finetuning.two_towers import TwoTowers
from vidsearch.finetuning.writing import require_writable, writing
from vidsearch.media.file_store import FileStore

__all__ = ["FineTuning", "fine_tune_pairs"]


@dataclass(frozen=True, slots=True, eq=False)
class FineTuning:
    """What came of it."""

    prepared: Prepared
    outcome: Outcome
    rows: tuple[PairRow, ...]
    """Before and after, on the test split, or on the validation split where there is no other."""


def fine_tune_pairs(
    pairs: Pairs,
    files: VideoFiles,
    settings: Settings,
    plan: Plan,
    *,
    output: Path,
    work: Path,
    cache: str,
    data: str,
    share: float,
    validation: Collection[str] | None = None,
    test: Collection[str] | None = None,
    decoding: Callable[[int, int], None] = lambda done, total: None,
    training: Callable[[int, int, Epoch], None] = lambda step, steps, last: None,
) -> FineTuning | None:
    """Fine-tune the model of the settings. What was interrupted goes on where it was.

    Where ``accelerate launch`` started several processes, all of them call this with the same
    arguments, and share decoding and training. The first one writes, measures and is told of the
    progress.

    Args:
        pairs: captions and their videos, of all splits.
        files: where the videos are.
        settings: the sections ``model``, ``ingest`` and ``sources`` are used.
        plan: how to train.
        output: folder of the checkpoint, which appears complete; must not be there.
        work: folder that keeps the state to go on from.
        cache: folder or bucket that keeps the frames.
        data: what the card calls the pairs.
        share: of the videos, taken for validation where ``validation`` is not given.
        validation: keys of the videos of that split.
        test: keys of the videos to measure on.
        decoding: told how many videos of how many are decoded.
        training: told the steps that are done, of all, and the last epoch.

    Returns:
        ``None`` in all processes but the first.

    Raises:
        FineTuningError: the output is there, a split is empty, the state is of another run, or
            there is no room for what is written.
        EvaluationError: no video can be read.
        ModelUnavailableError: the checkpoint cannot be loaded.
    """
    if output.exists():
        raise FineTuningError(f"{output} is there already: name a folder that is not")
    for keys in (validation, test):
        if keys is not None:
            pairs.only(keys)  # it says which key is of no video
    for folder in (output.parent, work):
        require_writable(folder)
    model, ingest = settings.model, settings.ingest
    base = open_checkpoint(
        model.name, revision=model.revision, offline=model.offline, token=model.token
    )
    devices = open_devices(model.device, threads=model.threads)
    device = devices.device
    towers = TwoTowers(
        base, device=device, precision=frame_precision(model.precision, device=device)
    )
    if not devices.is_first:
        decoding, training = _untold, _untold
    frames = FrameCache(
        FileStore(cache, setting="the cache of frames"),
        base.pixels,
        rate=ingest.fps,
        sampling=ingest.sampling,
        frames=plan.frames,
    )
    prepared = prepare(
        pairs,
        files,
        frames,
        ingest=ingest,
        sources=settings.sources,
        devices=devices,
        progress=decoding,
    )
    splits = split(prepared, share=share, validation=validation, test=test)
    train = examples_of(splits.train, prepared.contents, frames)
    outcome = fine_tune(
        towers,
        train,
        examples_of(splits.validation, prepared.contents, frames),
        plan,
        folder=work,
        devices=devices,
        progress=training,
    )
    if not devices.is_first:
        devices.wait()
        return None
    temporary = output.with_name(f".{output.name}.{os.getpid()}.tmp")
    try:
        with writing(output):
            write_checkpoint(towers.model, temporary, files_of=base.folder)
        measured_on = splits.test or splits.validation
        models = {
            # Its revision as well; and torch, whatever encoder is configured.
            "before": model.model_copy(update={"encoder": "auto"}),
            "after": model_named(str(temporary), model),
        }
        rows = _measured(measured_on, files, settings, models)
        card = Card(
            base=base,
            data=data,
            train=splits.train,
            validation=splits.validation,
            test=splits.test,
            digest=train.digest,
            sampling=sampling_name(ingest.sampling, rate=ingest.fps),
            precision=towers.precision,
            plan=plan,
            outcome=outcome,
            rows=rows,
        )
        with writing(output):
            (temporary / "README.md").write_text(card.text(), encoding="utf-8")
            temporary.rename(output)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    devices.wait()
    return FineTuning(prepared, outcome, rows)


def _untold(*_: object) -> None:
    """The progress of a process that reports nothing."""


def _measured(
    pairs: Pairs, files: VideoFiles, settings: Settings, models: Mapping[str, ModelSettings]
) -> tuple[PairRow, ...]:
    """The rows of models, through the product's own pipeline."""
    embedded = embed_pairs(
        pairs,
        files,
        {name: load_encoder(each, settings.ingest) for name, each in models.items()},
        ingest=settings.ingest,
        sources=settings.sources,
        store=None,
        batch_size=settings.model.batch_size,
    )
    return tuple(pair_rows(embedded.models.items(), [Variant.named("exact")]))
