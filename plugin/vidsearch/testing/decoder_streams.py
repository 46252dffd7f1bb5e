"""The streams that every decoder must read, each written with PyAV under its name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from vidsearch.testing.clips import counter_frame, write_clip

__all__ = [
    "NTSC",
    "SPARSE",
    "STREAMS",
    "THIRTIETHS",
    "UNEVEN",
    "overwritten",
    "with_rotation",
    "write_damaged_beginning",
    "write_damaged_middle",
    "write_growing",
    "write_joined",
    "write_leap",
    "write_truncated",
]

NTSC = Fraction(30_000, 1001)
THIRTIETHS = [Fraction(i, 30) for i in range(100)]
UNEVEN = [Fraction(int(x), 1000) for x in np.cumsum([*([20, 90, 33, 150, 7, 41] * 12)])]
SPARSE = [Fraction(x, 30) for x in (0, 1, 2, 105, 108, 240, 243)]

_TENTHS = [Fraction(i, 10) for i in range(30)]
_EIGHT_SECONDS = [Fraction(i, 30) for i in range(240)]


def write_truncated(folder: Path) -> Path:
    """A file that ends after two thirds."""
    content = write_clip(folder / "whole.mkv", THIRTIETHS, options={"g": "10"}).read_bytes()
    path = folder / "truncated.mkv"
    path.write_bytes(content[: len(content) * 2 // 3])
    return path


def write_damaged_beginning(folder: Path) -> Path:
    """Eight seconds at 30 fps, of which frames up to about the 80th do not decode."""
    whole = write_clip(folder / "whole.mp4", _EIGHT_SECONDS, options={"g": "15", "bf": "0"})
    return overwritten(whole, folder / "damaged.mp4", part=(0.0, 1 / 3))


def write_damaged_middle(folder: Path) -> Path:
    """Eight seconds at 30 fps, of which a fifth of the bytes, in the middle, does not decode."""
    whole = write_clip(folder / "whole.mp4", _EIGHT_SECONDS, options={"g": "15", "bf": "2"})
    return overwritten(whole, folder / "damaged.mp4", part=(0.4, 0.6))


def write_leap(folder: Path) -> Path:
    """Four seconds at 10 fps whose time stamps leap by ten hours in the middle."""
    times = [Fraction(i, 10) + (36_000 if i >= 20 else 0) for i in range(40)]
    return write_clip(folder / "leap.mkv", times, rate=10, options={"g": "10"})


def write_joined(folder: Path) -> Path:
    """Twice the same three seconds at 10 fps; the time stamps of the second part jump back."""
    part = write_clip(folder / "part.ts", _TENTHS, rate=10)
    path = folder / "joined.ts"
    path.write_bytes(part.read_bytes() * 2)
    return path


def write_growing(folder: Path) -> Path:
    """Three seconds of 128x96 pixels, then three of 256x144."""
    small = write_clip(folder / "small.ts", _TENTHS, rate=10)
    large = write_clip(
        folder / "large.ts",
        [time + 3 for time in _TENTHS],
        rate=10,
        picture=lambda number: counter_frame(number, width=256, height=144),
    )
    path = folder / "growing.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    return path


def overwritten(source: Path, target: Path, *, part: tuple[float, float]) -> Path:
    """Copy an mp4 with zeros in a part of its data."""
    content = bytearray(source.read_bytes())
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    first, last = (start + int((end - start) * share) for share in part)
    content[first:last] = bytes(last - first)
    target.write_bytes(content)
    return target


def with_rotation(source: Path, target: Path, *, degrees: int) -> Path:
    """Copy an mp4 with another display matrix (clockwise)."""
    content = source.read_bytes()
    one, minus = 0x10000, 0x100000000 - 0x10000
    identity = _matrix(one, 0, 0, one)
    turned = {
        90: _matrix(0, one, minus, 0),
        180: _matrix(minus, 0, 0, minus),
        270: _matrix(0, minus, one, 0),
    }[degrees]
    track = content.index(b"tkhd")
    at = content.index(identity, track)
    target.write_bytes(content[:at] + turned + content[at + len(turned) :])
    return target


def _matrix(a: int, b: int, c: int, d: int) -> bytes:
    cells = (a, b, 0, c, d, 0, 0, 0, 0x40000000)
    return b"".join(cell.to_bytes(4, "big") for cell in cells)


def _plain(
    name: str,
    times: Sequence[Fraction],
    rate: Fraction | int = 30,
    options: dict[str, str] | None = None,
) -> Callable[[Path], Path]:
    return lambda folder: write_clip(folder / name, times, rate=rate, options=options)


def _rotated(folder: Path) -> Path:
    straight = write_clip(folder / "straight.mp4", THIRTIETHS)
    return with_rotation(straight, folder / "rotated.mp4", degrees=90)


STREAMS: Mapping[str, Callable[[Path], Path]] = {
    "constant": _plain("clip.mp4", THIRTIETHS),
    "matroska": _plain("clip.mkv", THIRTIETHS),
    "short-gops": _plain("clip.mp4", THIRTIETHS, options={"g": "12", "bf": "3"}),
    "29.97": _plain("clip.mp4", [i / NTSC for i in range(200)], NTSC),
    "variable": _plain("clip.mp4", UNEVEN),
    "variable-matroska": _plain("clip.mkv", UNEVEN),
    "held-for-seconds": _plain("clip.mp4", SPARSE),
    "begins-at-5s": _plain("clip.mp4", [t + 5 for t in THIRTIETHS]),
    "transport-stream": _plain("clip.ts", [t + 5 for t in THIRTIETHS]),
    "one-frame": _plain("clip.mp4", [Fraction(0)]),
    "half-a-frame-per-second": _plain(
        "clip.mp4", [Fraction(2 * i) for i in range(4)], Fraction(1, 2)
    ),
    "raw": _plain("clip.h264", [Fraction(i, 25) for i in range(100)], 25),
    "rotated": _rotated,
    "truncated": write_truncated,
    "damaged-beginning": write_damaged_beginning,
    "damaged-middle": write_damaged_middle,
    "leap": write_leap,
    "joined": write_joined,
    "growing": write_growing,
}
"""Name → writes the stream into a folder and returns its path."""
