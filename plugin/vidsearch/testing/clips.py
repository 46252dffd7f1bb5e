"""Clips in which every frame says which one it is; written with PyAV."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "counter_frame",
    "moving_frame",
    "normal_scheduling",
    "read_counter",
    "solid",
    "write_clip",
]

_BITS = 8


def counter_frame(number: int, *, width: int = 128, height: int = 96) -> NDArray[np.uint8]:
    """An RGB picture that shows ``number`` (0 to 255) as eight black or white bars."""
    bits = [number >> bit & 1 for bit in reversed(range(_BITS))]
    row = np.repeat(np.array(bits, dtype=np.uint8) * 255, width // _BITS)
    row = np.pad(row, (0, width - len(row)))
    return np.broadcast_to(row[None, :, None], (height, width, 3)).copy()


def read_counter(frame: NDArray[np.uint8]) -> int:
    """The number that a decoded :func:`counter_frame` shows."""
    width = frame.shape[1] // _BITS
    bars = [frame[:, i * width : (i + 1) * width].mean() for i in range(_BITS)]
    return sum(int(bar > 127) << bit for bit, bar in zip(reversed(range(_BITS)), bars, strict=True))


def moving_frame(number: int, *, width: int = 176, height: int = 144) -> NDArray[np.uint8]:
    """An RGB picture with motion and noise: encoders find use for every type of frame."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin((x * (1 + c) + y + 5 * number) / 17) + np.cos(y / (9 + c)) for c in range(3)]
    noise = np.random.default_rng(number).normal(0, 6, (height, width, 1))
    picture = 127 + 55 * np.stack(waves, axis=2) + noise
    side = height // 4
    left = 3 * number % (width - side)
    picture[side : 2 * side, left : left + side] = (230, 40, 40 + number % 200)
    return picture.clip(0, 255).astype(np.uint8)


def solid(colour: tuple[int, int, int]) -> Callable[[int], NDArray[np.uint8]]:
    """For :func:`write_clip`: every frame is 64x48 pixels of one RGB colour."""
    return lambda _: np.full((48, 64, 3), colour, dtype=np.uint8)


@contextmanager
def normal_scheduling() -> Iterator[None]:
    """Take back the real-time priority that the AV1 encoder gives itself where it may.

    SVT-AV1 sets SCHED_FIFO for the calling thread when it runs as root, and every thread and
    process that is started later inherits it: threads that wait for each other then never end,
    and workers take both cores from the search node.
    """
    try:
        yield
    finally:
        if hasattr(os, "sched_setscheduler") and os.sched_getscheduler(0) != os.SCHED_OTHER:
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def write_clip(
    path: Path,
    times: Sequence[float | Fraction],
    *,
    picture: Callable[[int], NDArray[np.uint8]] = counter_frame,
    codec: str = "libx264",
    rate: Fraction | int = 30,
    time_base: Fraction = Fraction(1, 90_000),
    pix_fmt: str = "yuv420p",
    options: dict[str, str] | None = None,
) -> Path:
    """Encode one picture per presentation time.

    Args:
        path: the suffix chooses the container.
        times: seconds, ascending; they may begin anywhere.
        picture: RGB picture of frame ``i``.
        codec: an FFmpeg encoder.
        rate: nominal frames per second, written into the header.
        time_base: unit of the time stamps.
        pix_fmt: pixel format that is encoded.
        options: of the encoder.

    Returns:
        ``path``.
    """
    import av

    first = picture(0)
    with normal_scheduling(), av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts = round(Fraction(time) / time_base)
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
