"""``python -m benchmarks``: run all of them and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

# Before numpy and torch are imported: every way is measured on one thread.
os.environ.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")

REPORT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"


def main() -> int:
    """Run the benchmarks; exit code 0 where all could be measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="rounds per comparison")
    parser.add_argument("--only", choices=["whole_clip", "search_overhead"], help="run just one")
    arguments = parser.parse_args()

    from benchmarks import search_overhead, whole_clip

    comparisons = []
    for module in (whole_clip, search_overhead):
        name = module.__name__.rpartition(".")[2]
        if arguments.only in (None, name):
            for comparison in module.run(rounds=arguments.rounds):
                print(comparison.markdown(), flush=True)
                comparisons.append(comparison)
    if arguments.only is None:
        head = (
            "# Benchmarks\n\n"
            f"Written by `make bench` on {date.today()}: {arguments.rounds} rounds, "
            f"{_processor()}, {os.cpu_count()} cores shared with other work, Python "
            f"{platform.python_version()}, torch {version('torch')}, "
            f"OpenCV {version('opencv-python-headless')}.\n"
            "Ratios are medians of CPU time within a round, above 1 is faster than the first way;"
            " absolute times say little on a shared machine.\n"
        )
        REPORT.write_text("\n".join([head, *(each.markdown() for each in comparisons)]))
        print(f"wrote {REPORT.name}")
    return 0


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(main())
