"""From the start of a process to its first query vector, text tower only, files in page cache."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.harness import Measured, compiled, measure
from benchmarks.models import made_checkpoint, made_export
from benchmarks.report import Section, Verdict

TITLE = "Process start to first query vector"

PLAIN, FP32, INT8 = "torch + transformers", "vidsearch onnx fp32", "vidsearch onnx int8"
_AT_MOST = {FP32: 0.30, INT8: 0.12}
"""Of what torch + transformers take."""
_ROUNDS = 9
"""At least, so that the quieter half has five."""

_END = "\nimport os; os._exit(0)\n"
"""Without tearing down, which no query waits for."""
_PLAIN_CODE = """
import sys
import torch
from transformers import CLIPTextModelWithProjection, CLIPTokenizerFast
tower = CLIPTextModelWithProjection.from_pretrained(sys.argv[1])
tokenizer = CLIPTokenizerFast.from_pretrained(sys.argv[1])
with torch.no_grad():
    vector = tower(**tokenizer(["a red circle"], return_tensors="pt")).text_embeds
    vector = (vector / vector.norm(dim=-1, keepdim=True)).numpy()
assert vector.shape == (1, 512)
"""
_OUR_CODE = """
import sys
from vidsearch import load_settings
from vidsearch.encoders import load_encoder
settings = load_settings(model={"name": sys.argv[1], "precision": sys.argv[2]})
encoder = load_encoder(settings.model, settings.ingest)
assert encoder.encode_text(["a red circle"]).shape == (1, 512)
"""


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Fresh processes of three kinds in turn."""
    checkpoint, export = str(made_checkpoint(folder)), str(made_export(folder))
    start = partial(_start, into=folder / "compiled")
    ways = {
        PLAIN: partial(start, _PLAIN_CODE, checkpoint),
        FP32: partial(start, _OUR_CODE, export, "fp32"),
        INT8: partial(start, _OUR_CODE, export, "int8"),
    }
    measured = measure(ways, rounds=max(rounds, _ROUNDS))
    yield Section(
        title="First query vector of a fresh process",
        columns=("way", "CPU ms", "CPU share", "wall ms", "wall share"),
        rows=tuple(
            (
                way,
                f"{measured.cpu_ms(way):.0f}",
                f"{_share(measured.cpu, way):.3f}",
                f"{measured.wall_ms(way):.0f}",
                f"{_share(measured.wall, way):.3f}",
            )
            for way in ways
        ),
        notes=(
            f"share of {PLAIN}, from medians of {len(measured.cpu[PLAIN])} processes",
            "all load the text tower alone, and the tokenizer; nobody pads; modules are compiled",
            "vidsearch reads its settings and checks the files of the export, as it always does",
            f"other processes: up to {measured.others:.2f} cores",
        ),
        verdicts=tuple(_verdicts(measured)),
    )


def _verdicts(measured: Measured) -> Iterator[Verdict]:
    for way, most in _AT_MOST.items():
        for clock, seconds, others in (
            ("CPU", measured.cpu, None),
            ("wall", measured.wall, measured.others),
        ):
            share = _share(seconds, way)
            yield Verdict.of_figure(
                f"First query vector, {way}: at most {most:g} of {PLAIN}, {clock}",
                f"{share:.3f}",
                missed_by=share / most - 1,
                others=others,
            )


def _share(seconds: Mapping[str, tuple[float, ...]], way: str) -> float:
    return median(seconds[way]) / median(seconds[PLAIN])


def _start(code: str, *arguments: str, into: Path) -> None:
    # Importing torch's and transformers' many modules takes more than twice as long where they are
    # not compiled: the warm-up compiles them, for every way.
    command = [sys.executable, "-c", code + _END, *arguments]
    env = compiled(into)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"a process gave no vector:\n{done.stderr}")
