"""Clips for a drill: tiny ones that differ in content, and twenty kinds of poison."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidsearch.registry import State
from vidsearch.testing.clips import solid, write_clip

__all__ = ["Library", "Poison", "is_deadly"]

_DEADLY = (255, 0, 255)
_NEAR = 40.0
_LEAST_GREEN = 90
"""Of other clips, which are so far from the deadly colour."""


def is_deadly(frame: NDArray[np.uint8]) -> bool:
    """Whether a frame kills the process that embeds it."""
    return bool(np.linalg.norm(frame.mean((0, 1)) - np.array(_DEADLY)) < _NEAR)


_STRUCK = ("DecoderKilledError",)
"""What a video says whose last attempt the drill itself ended, in its decoder."""


@dataclass(frozen=True)
class Poison:
    """A video that must not be indexed."""

    uri: str
    state: State
    """In which it ends."""
    errors: tuple[str, ...]
    """Classes of which its error is one."""


class Library:
    """Clips in a folder that a server offers, too.

    Args:
        folder: to write them to.
        url: where the same folder is served.
        originals: number of clips that look different.
        films: number of clips among them that are long enough for slices.
    """

    def __init__(self, folder: Path, url: str, *, originals: int, films: int) -> None:
        folder.mkdir()
        self._folder = folder
        self._url = url
        self.originals = [
            _drawn(folder / f"original-{n}.mp4", seed=n, seconds=40 if n < films else 4)
            for n in range(originals)
        ]
        self._films = films
        self._copies = 0

    def copies(self, count: int) -> Iterator[dict[str, Any]]:
        """More videos to register, each a file with content of its own.

        What they show is that of an original: see :meth:`original_of`. Every fifth is fetched.
        """
        for _ in range(count):
            number, self._copies = self._copies, self._copies + 1
            original = self.original_of(f"v{number}")
            path = self._folder / f"copy-{number}.mp4"
            path.write_bytes(original.read_bytes() + _free_box(number))
            is_remote = number % 5 == 4
            yield {
                "id": f"v{number}",
                "uri": f"{self._url}/{path.name}" if is_remote else str(path),
            }

    def original_of(self, id: str) -> Path:
        """The clip that looks as the video with that id; of films there is one copy each."""
        number = int(id[1:])
        if number >= len(self.originals):
            short = len(self.originals) - self._films
            number = self._films + (number - self._films) % short
        return self.originals[number]

    def poison(self, deadly: int, others: int) -> dict[str, Poison]:
        """Videos that end without vectors, by their ids; the deadly ones kill their workers."""
        makers: list[Callable[[Path], Poison]] = [_noise, _cut, self._absent, self._gone, _crash]
        made = {f"p{n}": makers[n % 5](self._folder / f"poison-{n}.mp4") for n in range(others)}
        for n in range(others, others + deadly):
            path = write_clip(
                self._folder / f"deadly-{n}.mp4",
                [k / 5 for k in range(10 + n)],
                picture=solid(_DEADLY),
                rate=5,
            )
            made[f"p{n}"] = Poison(str(path), State.DEAD, ("WorkerLost", *_STRUCK))
        return made

    def _absent(self, path: Path) -> Poison:
        return Poison(str(path), State.FAILED, ("SourceNotFoundError",))

    def _gone(self, path: Path) -> Poison:
        return Poison(f"{self._url}/{path.name}", State.FAILED, ("SourceNotFoundError",))


def _noise(path: Path) -> Poison:
    path.write_bytes(np.random.default_rng(0).bytes(5000) + path.name.encode())
    return Poison(str(path), State.FAILED, ("VideoOpenError",))


def _cut(path: Path) -> Poison:
    whole = _drawn(path, seed=_number(path), seconds=4).read_bytes()
    path.write_bytes(whole[: whole.index(b"moov")])  # the index is at the end
    return Poison(str(path), State.FAILED, ("VideoOpenError",))


def _crash(path: Path) -> Poison:
    path.with_suffix("").mkdir()
    named = path.with_suffix("") / "segfault@1.mp4"
    _drawn(named, seed=_number(path), seconds=4)
    return Poison(str(named), State.FAILED, ("DecoderFailedError",))


def _drawn(path: Path, *, seed: int, seconds: int) -> Path:
    """A clip that has another colour in every second."""
    colours = np.random.default_rng(seed).integers(0, 255, (seconds, 3))
    colours[:, 1] = _LEAST_GREEN + colours[:, 1] * (255 - _LEAST_GREEN) // 255
    shades = [solid((int(r), int(g), int(b))) for r, g, b in colours]
    return write_clip(
        path,
        [k / 5 for k in range(seconds * 5)],
        picture=lambda k: shades[k // 5](k),
        rate=5,
        options={"g": "5", "preset": "ultrafast"},
    )


def _number(path: Path) -> int:
    return 10_000 + int(path.stem.rpartition("-")[2])


def _free_box(number: int) -> bytes:
    """What an MP4 file may hold anywhere, and players pass over."""
    return (16).to_bytes(4, "big") + b"free" + number.to_bytes(8, "big")
