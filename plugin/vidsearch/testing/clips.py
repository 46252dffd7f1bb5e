"""Clips in which every frame says which one it is; written with PyAV."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["counter_frame", "read_counter", "solid", "write_clip"]

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


def solid(colour: tuple[int, int, int]) -> Callable[[int], NDArray[np.uint8]]:
    """For :func:`write_clip`: every frame is 64x48 pixels of one RGB colour."""
    return lambda _: np.full((48, 64, 3), colour, dtype=np.uint8)


def write_clip(
    path: Path,
    times: Sequence[float | Fraction],
    *,
    picture: Callable[[int], NDArray[np.uint8]] = counter_frame,
    codec: str = "libx264",
    rate: Fraction | int = 30,
    time_base: Fraction = Fraction(1, 90_000),
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
        options: of the encoder.

    Returns:
        ``path``.
    """
    import av

    first = picture(0)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = first.shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = time_base
        for index, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts = round(Fraction(time) / time_base)
            frame.time_base = time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
