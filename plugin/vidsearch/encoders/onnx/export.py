"""Exports a checkpoint to a folder that runs without torch, and compares the two."""

from __future__ import annotations

import importlib.metadata
import json
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from vidsearch.defaults import MAX_LOSS
from vidsearch.encoders.checkpoint import Checkpoint
from vidsearch.encoders.onnx.graphs import weights_of, write_fp32, write_int8
from vidsearch.encoders.onnx.layout import (
    MANIFEST,
    TOWERS,
    Export,
    ExportedFile,
    ExportedTower,
    Precision,
    Tower,
    is_export,
)
from vidsearch.encoders.onnx.probes import max_loss, probes
from vidsearch.encoders.onnx.sessions import TowerSession
from vidsearch.encoders.towers import load_tower
from vidsearch.encoders.vocabulary import load_texts
from vidsearch.errors import EncoderError, ModelUnavailableError

__all__ = ["export_checkpoint", "write_tokenizer"]

_TOKENIZER = "tokenizer.json"
_MAKERS = ("vidsearch", "torch", "transformers", "tokenizers", "onnx", "onnxscript", "onnxruntime")


def export_checkpoint(
    checkpoint: Checkpoint,
    folder: Path,
    *,
    int8: bool = True,
    max_loss_int8: float = MAX_LOSS["int8"],
    report: Callable[[str], None] = lambda step: None,
) -> Export:
    """Export both towers and the tokenizer, and compare the result with torch.

    The folder is complete or is not there: all files are written beside it and moved when the
    comparison has passed, the manifest last. An export that was there before is replaced.

    Args:
        checkpoint: with its weights at hand, or on the hub.
        folder: where to; new, empty, or an export.
        int8: in eight bits as well, beside single precision.
        max_loss_int8: largest ``1 - cosine`` to torch that eight bits may cost.
        report: told of every step when it starts.

    Raises:
        EncoderError: it cannot be exported, or loses more than it may; nothing is written.
        ModelUnavailableError: the checkpoint cannot be loaded, or the folder holds something else.
        MissingExtraError: the extra ``export`` is not installed.
    """
    folder = folder.expanduser()
    if folder.exists() and not is_export(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelUnavailableError(
            f"{str(folder)!r} exists and is no finished export: choose another folder, or remove it"
        )
    thresholds = {**MAX_LOSS, "int8": max_loss_int8}
    with _work_folder(beside=folder) as work:
        export = _write(checkpoint, work, int8=int8, report=report)
        _refuse_losses(export, thresholds)
        _publish(export, work, folder)
    return replace(export, folder=folder)


def _write(
    checkpoint: Checkpoint, work: Path, *, int8: bool, report: Callable[[str], None]
) -> Export:
    texts, tokenizer = load_texts(checkpoint)
    write_tokenizer(tokenizer, work / _TOKENIZER)
    towers: dict[Precision, dict[Tower, ExportedTower]] = {"fp32": {}}
    if int8:
        towers["int8"] = {}
    for name in TOWERS:
        inputs = probes(name, checkpoint, texts=texts, tokenizer=tokenizer)
        made = _write_tower(checkpoint, name, work, inputs=inputs, int8=int8, report=report)
        for precision, tower in made.items():
            towers[precision][name] = tower
    identity = checkpoint.identity(rate=1.0, sampling="played-at").compared()
    return Export(
        folder=work,
        # How frames are sampled is for the settings of a worker to say.
        model={key: value for key, value in identity.items() if key != "sampling"},
        texts=texts,
        pixels=checkpoint.pixels,
        tokenizer=ExportedFile.of(work / _TOKENIZER),
        towers=towers,
        versions={name: importlib.metadata.version(name) for name in _MAKERS},
    )


def _write_tower(
    checkpoint: Checkpoint,
    name: Tower,
    work: Path,
    *,
    inputs: list[Any],
    int8: bool,
    report: Callable[[str], None],
) -> dict[Precision, ExportedTower]:
    graphs: dict[Precision, Path] = {"fp32": work / f"{name}.fp32.onnx"}
    report(f"{name} tower: load, run {checkpoint.name!r} with torch")
    expected = _load_run_and_write(checkpoint, name, inputs, graphs["fp32"], report=report)
    if int8:
        report(f"{name} tower: write int8")
        graphs["int8"] = work / f"{name}.int8.onnx"
        write_int8(graphs["fp32"], graphs["int8"])
    made = {}
    for precision, graph in graphs.items():
        report(f"{name} tower: compare {precision} with torch")
        session = TowerSession(graph, what=f"the {name} tower in {precision}", threads=1)
        made[precision] = ExportedTower(
            graph=ExportedFile.of(graph),
            weights=ExportedFile.of(weights_of(graph)),
            max_loss=max_loss(session, inputs, expected),
        )
    return made


def _load_run_and_write(
    checkpoint: Checkpoint,
    name: Tower,
    inputs: list[Any],
    graph: Path,
    *,
    report: Callable[[str], None],
) -> list[Any]:
    # A function of its own: torch's copy of the weights goes when it returns.
    import torch

    module = load_tower(checkpoint, name, device=torch.device("cpu"))
    vector = checkpoint.family.vector
    with torch.inference_mode():
        expected = [module(torch.from_numpy(batch))[vector].numpy() for batch in inputs]
    report(f"{name} tower: write fp32")
    write_fp32(module, name, checkpoint, graph, inputs=inputs)
    return expected


def write_tokenizer(tokenizer: Any, path: Path) -> None:
    """Write a ``tokenizers.Tokenizer`` as JSON, its merges as ``"a b"`` instead of ``["a", "b"]``.

    tokenizers reads both forms, and the older one a third faster. Where that would not give the
    very same tokenizer, as where a piece of a merge holds a blank, the file is the usual one.
    """
    usual = tokenizer.to_str()
    content = json.loads(usual)
    merges = content["model"].get("merges") or []
    content["model"]["merges"] = [one if isinstance(one, str) else " ".join(one) for one in merges]
    short = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    path.write_text(short if merges and _is_same(short, tokenizer) else usual, encoding="utf-8")


def _is_same(text: str, tokenizer: Any) -> bool:
    try:
        read = type(tokenizer).from_str(text)
    except Exception:  # a bare Exception is what tokenizers raises
        return False
    same: bool = read.to_str() == tokenizer.to_str()
    return same


def _refuse_losses(export: Export, thresholds: Mapping[str, float]) -> None:
    for precision, towers in export.towers.items():
        for name, tower in towers.items():
            if not tower.max_loss <= thresholds[precision]:
                raise EncoderError(
                    f"the {name} tower loses {tower.max_loss:.2g} of cosine in {precision}, more "
                    f"than {thresholds[precision]:.2g}; nothing was written"
                    + (
                        ". Leave int8 out (--no-int8), or allow it (--max-loss)"
                        if precision == "int8"
                        else ""
                    )
                )


@contextmanager
def _work_folder(*, beside: Path) -> Iterator[Path]:
    work = beside.parent / f".{beside.name}.{secrets.token_hex(4)}"
    try:
        work.mkdir(parents=True)
        yield work
    except OSError as error:
        raise EncoderError(
            f"{str(beside)!r} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _publish(export: Export, work: Path, folder: Path) -> None:
    # Without its manifest a folder is no export, so what moves in between is never taken for one.
    # A process that runs the old files keeps them: they are replaced, not overwritten.
    folder.mkdir(exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    for file in export.files():
        (work / file.name).replace(folder / file.name)
    manifest = work / MANIFEST
    manifest.write_text(json.dumps(export.to_manifest(), indent=1), encoding="utf-8")
    manifest.replace(folder / MANIFEST)
