"""``python -m benchmarks``: run them, all or some, and write docs/benchmarks.md.

What each module found is kept in benchmarks/results, so that one can be run again by itself; the
report is written from all that is there.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Before numpy and torch are imported: every way is measured on one thread.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENCV_FFMPEG_LOGLEVEL="-8")

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "benchmarks" / "results"
MODULES = (
    "decode",
    "preprocess",
    "encoders",
    "whole_clip",
    "cold_start",
    "workers",
    "finetuning",
    "memory",
    "isolation",
    "search_overhead",
    "result_page",
    "registration",
    "bulk_body",
    "index_presets",
    "keyword_leg",
    "embedding_store",
    "slices",
    "rewrite",
    "ingestion",
    "backlog",
    "index_copy",
    "model_change",
    "attached_swap",
)
BY_THEMSELVES = ("large",)
"""Commands of their own, whose results are part of the report."""


def main() -> int:
    """Run the benchmarks; exit code 0 where all could be measured, whatever they say."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds per comparison")
    parser.add_argument("--only", choices=MODULES, nargs="+", help="run just these")
    parser.add_argument("--render", action="store_true", help="run none; write the report only")
    parser.add_argument(
        "--check", action="store_true", help="run none; exit code 1 where the report is stale"
    )
    parser.add_argument(
        "--torchcodec", action="store_true", help="install torchcodec for the run, and measure it"
    )
    arguments = parser.parse_args()
    if arguments.check:
        fresh = REPORT.read_text(encoding="utf-8") == _report()
        if not fresh:
            print(f"{REPORT.relative_to(ROOT)} is stale: python -m benchmarks --render")
        return 0 if fresh else 1

    with tempfile.TemporaryDirectory(prefix="vidsearch-bench-") as name:
        folder = Path(name)
        if arguments.torchcodec:
            _bring_torchcodec(folder / "torchcodec")
        for module in () if arguments.render else arguments.only or MODULES:
            _run(module, rounds=arguments.rounds, folder=folder)
    REPORT.write_text(_report(), encoding="utf-8")
    print(f"wrote {REPORT.relative_to(ROOT)}")
    return 0


def _run(module: str, *, rounds: int, folder: Path) -> None:
    from benchmarks.machine import made_on
    from benchmarks.report import save

    began = time.perf_counter()
    sections = []
    for section in importlib.import_module(f"benchmarks.{module}").run(
        rounds=rounds, folder=folder
    ):
        print(section.markdown(), flush=True)
        sections.append(section)
    took = time.perf_counter() - began
    save(RESULTS, module, sections, made=made_on(module, rounds=rounds, seconds=took))


def _report() -> str:
    from benchmarks.machine import head
    from benchmarks.report import load, render

    found = []
    for module in (*MODULES, *BY_THEMSELVES):
        kept = load(RESULTS, module)
        if kept is not None:
            title = importlib.import_module(f"benchmarks.{module}").TITLE
            found.append((title, *kept))
    return render(head(), found)


def _bring_torchcodec(folder: Path) -> None:
    """Install it into a folder of its own; it needs FFmpeg's libraries from the system, too."""
    uv = shutil.which("uv")
    pip = [uv, "pip"] if uv else [sys.executable, "-m", "pip"]
    python = ["--python", sys.executable] if uv else []
    command = [*pip, "install", "--quiet", *python, "--no-deps", "--target", str(folder)]
    if subprocess.run([*command, "torchcodec"], check=False).returncode:
        print("torchcodec cannot be installed; going on without", file=sys.stderr)
    sys.path.append(str(folder))


if __name__ == "__main__":
    sys.exit(main())
