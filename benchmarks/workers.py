"""Frames a second of worker processes that encode side by side, by their number and threads.

``python -m benchmarks.workers THREADS CHECKPOINT`` is one of them: it loads the model as a worker
does, says what it is ready with, and for every number of seconds that it then reads, encodes for
so long and says how many frames a second that were.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.harness import others_from_now, quieter_half
from benchmarks.models import made_checkpoint
from benchmarks.report import Section, Verdict

TITLE = "Worker processes"

ONE, DEFAULT = "one process, shipped default", "two processes, shipped default"
TWO_THREADS, TORCH = "two processes, 2 threads each", "two processes, torch's own default"
_THREADS = {DEFAULT: "shipped", TWO_THREADS: "2", TORCH: "torch"}
_LEAST_OF_ONE, _LEAST_OF_BEST = 1.85, 0.95
_SECONDS = 5.0
_MOST_ROUNDS = 7
_SIDE = 224


@dataclass(frozen=True, slots=True)
class _Round:
    rates: Mapping[str, float]
    others: float


class _Worker:
    """A process that waits for its turn."""

    def __init__(self, threads: str, checkpoint: Path) -> None:
        # What this process sets for itself would decide what torch takes.
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.workers", threads, str(checkpoint)],
            cwd=Path(__file__).resolve().parent.parent,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("a worker process ended before its time")
        return line.strip()

    def close(self) -> None:
        """End of input, which ends it."""
        self._process.communicate()


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """All processes are started once; those whose turn it is not wait for input."""
    checkpoint = made_checkpoint(folder)
    rounds = min(rounds, _MOST_ROUNDS)
    pools: dict[str, list[_Worker]] = {}
    with ExitStack() as stack:
        for way, threads in _THREADS.items():
            pools[way] = [_Worker(threads, checkpoint) for _ in range(2)]
            for worker in pools[way]:
                stack.callback(worker.close)
        facts = {way: ", ".join({one.hear() for one in pool}) for way, pool in pools.items()}
        pools = {ONE: pools[DEFAULT][:1], **pools}
        facts[ONE] = facts[DEFAULT]
        taken = [_round(pools, backwards=number % 2 == 1) for number in range(rounds)]
    yield _section(quieter_half(taken, rounds=rounds), facts)


def _round(pools: Mapping[str, Sequence[_Worker]], *, backwards: bool) -> _Round:
    rates: dict[str, float] = {}
    others = others_from_now()
    for way in reversed(list(pools)) if backwards else pools:
        for worker in pools[way]:
            worker.say(str(_SECONDS))
        rates[way] = sum(float(worker.hear()) for worker in pools[way])
    return _Round(rates, others())


def _section(kept: Sequence[_Round], facts: Mapping[str, str]) -> Section:
    two_of_one = [each.rates[DEFAULT] / each.rates[ONE] for each in kept]
    of_best = [each.rates[DEFAULT] / max(each.rates[way] for way in _THREADS) for each in kept]
    others = kept[-1].others
    return Section(
        title="Frames a second, encoding alone, wall time",
        columns=("way", "per process", "frames/s", f"× {ONE}"),
        rows=tuple(
            (
                way,
                facts[way],
                f"{median(each.rates[way] for each in kept):.1f}",
                _spread([each.rates[way] / each.rates[ONE] for each in kept]),
            )
            for way in (ONE, *_THREADS)
        ),
        notes=(
            f"a round: one pass after the other for {_SECONDS:g} s, all processes at once",
            f"medians of {len(kept)} rounds (smallest-largest)",
            f"{os.cpu_count()} cores; other processes: up to {others:.2f} of them",
        ),
        verdicts=(
            Verdict.of_figure(
                f"Workers: two processes against one, shipped default, at least {_LEAST_OF_ONE:g}×",
                f"{median(two_of_one):.2f}×",
                missed_by=1 - median(two_of_one) / _LEAST_OF_ONE,
                others=others,
            ),
            Verdict.of_figure(
                f"Workers: shipped default at least {_LEAST_OF_BEST:g}× of the best setting",
                f"{median(of_best):.2f}×",
                missed_by=1 - median(of_best) / _LEAST_OF_BEST,
                others=others,
            ),
        ),
    )


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def work(threads: str, checkpoint: str) -> None:
    """Be one of the processes."""
    import numpy as np
    import torch

    from vidsearch.config import ModelSettings
    from vidsearch.encoders import TorchEncoder, load_encoder
    from vidsearch.media.frames import FrameBatch

    settings = ModelSettings(name=checkpoint)
    if threads != "shipped":
        number = torch.get_num_threads() if threads == "torch" else int(threads)
        settings = settings.model_copy(update={"threads": number})
    encoder = load_encoder(settings)
    assert isinstance(encoder, TorchEncoder)
    shape = (settings.batch_size, _SIDE, _SIDE, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    frames = FrameBatch(pixels, np.arange(len(pixels), dtype=np.float64))
    encoder.encode_frames(frames)
    print(
        f"{_counted(torch.get_num_threads())}, {encoder.precision}, {len(frames)} frames a pass",
        flush=True,
    )
    for line in sys.stdin:
        seconds, done, until = float(line), 0, 0.0
        began = time.perf_counter()
        now = 0.0
        while now < seconds:
            encoder.encode_frames(frames)
            now = time.perf_counter() - began
            # The last one may have run alone for a while; it counts where there is no other.
            if now <= seconds or not done:
                done, until = done + len(frames), now
        print(done / until, flush=True)


def _counted(threads: int) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


if __name__ == "__main__":
    work(*sys.argv[1:])
