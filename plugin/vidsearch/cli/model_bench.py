"""Frames and queries per second of an encoder on this machine."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from vidsearch.encoders.base import Encoder

if TYPE_CHECKING:
    from vidsearch.media.frames import FrameBatch

__all__ = ["bench_encoder"]

_HEIGHT, _WIDTH = 360, 640
_QUERY = "two dogs run over a green meadow"


def bench_encoder(
    encoder: Encoder,
    *,
    batch_size: int,
    seconds: float,
    report: Callable[[str], None] = lambda step: None,
) -> dict[str, float | int]:
    """Time any encoder, after a call of each kind to warm up.

    Args:
        encoder: the encoder to time.
        batch_size: number of frames per call in the larger measurement.
        seconds: minimum length of each measurement.
        report: called at the start of every measurement.

    Returns:
        Frames per second by batch size, queries per second with the median and the 95th
        percentile in milliseconds, the seconds of the first query (it loads the model), and the
        number of cores.

    Raises:
        EncoderError: the model cannot be loaded, or failed.
    """
    import numpy as np

    texts = (f"{_QUERY} {number}" for number in itertools.count(100_000))  # all of one length
    report("queries, one by one")
    first = _timed(lambda: encoder.encode_text([next(texts)]))
    queries = list(_calls(lambda: encoder.encode_text([next(texts)]), seconds=seconds))
    found: dict[str, float | int] = {
        "queries_per_second": round(len(queries) / sum(queries), 1),
        "query_p50_ms": round(1000 * float(np.percentile(queries, 50)), 2),
        "query_p95_ms": round(1000 * float(np.percentile(queries, 95)), 2),
        "first_query_seconds": round(first, 2),
    }
    for size in sorted({1, batch_size}):
        report(f"frames, {size} at once")
        call = partial(encoder.encode_frames, _frames(size))
        call()
        calls = list(_calls(call, seconds=seconds))
        found[f"frames_per_second_batch_{size}"] = round(size * len(calls) / sum(calls), 1)
    return {**found, "cores": os.cpu_count() or 1}


def _frames(count: int) -> FrameBatch:
    import numpy as np

    from vidsearch.media.frames import FrameBatch

    data = np.random.default_rng(0).integers(0, 256, (count, _HEIGHT, _WIDTH, 3), dtype=np.uint8)
    return FrameBatch(data, np.arange(count, dtype=np.float64))


def _calls(call: Callable[[], object], *, seconds: float) -> Iterator[float]:
    end = time.perf_counter() + seconds
    yield _timed(call)
    while time.perf_counter() < end:
        yield _timed(call)


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
