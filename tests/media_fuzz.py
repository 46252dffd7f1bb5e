"""Damages generated clips at random, and compares what both decoders give with the intact clip.

``python -m tests.media_fuzz --seeds 10`` prints a line per stream and kind of fault. Of the
pictures that are given, the *wrong* ones look like no frame of the intact clip, and the *misplaced*
ones like a frame that is on display at another time, though their own is in the file.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from tests.damage_clips import AV1, CLIPS, NUMBERLESS, RATE, WRONG, Clip, everything, read
from tests.remuxing import dropped, remuxed

from vidsearch.errors import VideoError

__all__ = ["FAULTS", "STREAMS", "Outcome", "damaged_copy", "outcome"]

_XVID = {"bf": "2", "b": "600k"}
_WMV = {"b": "600k"}
STREAMS: Mapping[str, Clip] = {
    **CLIPS,
    **NUMBERLESS,
    **AV1,
    "mpeg4-asp-avi": Clip("c.avi", "mpeg4", _XVID),
    "mpeg4-ts": Clip("c.ts", "mpeg4", _XVID),
    "h264-avi": Clip("c.avi", "libx264", {"preset": "veryfast", "bf": "0", "sc_threshold": "0"}),
    "wmv2-asf": Clip("c.asf", "wmv2", _WMV),
    "wmv2-avi": Clip("c.avi", "wmv2", _WMV),
    "flv1-flv": Clip("c.flv", "flv", _WMV),
    "mpeg2-ps": Clip("c.vob", "mpeg2video", {"bf": "2", "b": "600k"}),
    "vp8-avi": Clip("c.avi", "libvpx", {"deadline": "realtime", "cpu-used": "8"}),
}
_NEAR = 1.5 / RATE
"""Seconds by which a picture may be on display at another time: of a frame, and rounding."""

Fault = Callable[[Clip, Path, Path, random.Random], Path]


def _packets_gone(clip: Clip, whole: Path, path: Path, chance: random.Random) -> Path:
    gone = [
        number
        for _ in range(chance.randint(1, 3))
        for begin in [chance.randint(1, 78)]
        for number in range(begin, begin + chance.choice([1, 1, 2, 4, 12]))
    ]
    return remuxed(whole, path, dropped(*gone))


def _bytes_gone(clip: Clip, whole: Path, path: Path, chance: random.Random) -> Path:
    content = whole.read_bytes()
    begin, end = _part(whole, content, chance)
    path.write_bytes(content[:begin] + content[end:])
    return path


def _zeros(clip: Clip, whole: Path, path: Path, chance: random.Random) -> Path:
    content = whole.read_bytes()
    begin, end = _part(whole, content, chance)
    path.write_bytes(content[:begin] + bytes(end - begin) + content[end:])
    return path


def _noise(clip: Clip, whole: Path, path: Path, chance: random.Random) -> Path:
    numbers = {chance.randint(0, 79) for _ in range(chance.randint(1, 3))}

    def change(number: int, data: bytes) -> bytes:
        if number not in numbers:
            return data
        begin = len(data) // 3
        return data[:begin] + chance.randbytes(len(data) // 3) + data[begin + len(data) // 3 :]

    return remuxed(whole, path, change)


def _cut_off(clip: Clip, whole: Path, path: Path, chance: random.Random) -> Path:
    content = whole.read_bytes()
    path.write_bytes(content[: int(len(content) * chance.uniform(0.5, 0.98))])
    return path


FAULTS: Mapping[str, Fault] = {
    "packets": _packets_gone,
    "bytes": _bytes_gone,
    "zeros": _zeros,
    "noise": _noise,
    "cut": _cut_off,
}


def _part(whole: Path, content: bytes, chance: random.Random) -> tuple[int, int]:
    """Of the file, between the first packet and the last."""
    with av.open(str(whole)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size and packet.pos]
    first, last = min(places), max(places)
    begin = chance.randint(first + 500, last - 500)
    return begin, min(begin + int((last - first) * chance.uniform(0.002, 0.15)), last)


def damaged_copy(clip: Clip, fault: str, seed: int, folder: Path) -> tuple[Path, Path]:
    """The intact clip and one with a fault."""
    whole = folder / f"intact-{clip.codec}-{clip.name}"
    if not whole.exists():
        clip.write(folder).rename(whole)
    chance = random.Random(zlib.crc32(f"{clip.name} {clip.codec} {fault} {seed}".encode()))
    return whole, FAULTS[fault](clip, whole, folder / f"damaged-{clip.name}", chance)


@dataclass(frozen=True)
class Outcome:
    """What both decoders make of a damaged clip."""

    wrong: int
    """Pictures that look like no frame of the intact clip."""
    misplaced: int
    """Pictures of another time."""
    damaged: int
    points: int
    refused: bool
    agree: bool
    """The decoders gave the same frames, times and counts."""


def outcome(whole: Path, path: Path, *, decoders: Sequence[str] = ("pyav", "opencv")) -> Outcome:
    results = [_result(path, name) for name in decoders]
    pictures, summary = results[0]
    agree = all(_same(results[0], other) for other in results[1:])
    if summary is None:
        return Outcome(0, 0, 0, 0, True, agree)
    clean = everything(whole)
    there = _frames_of(whole, path)
    wrong = misplaced = 0
    for time, picture in pictures.items():
        if _difference(picture, clean[min(clean, key=lambda each: abs(each - time))]) < WRONG:
            continue
        near = min(clean, key=lambda each: _difference(picture, clean[each]))
        if _difference(picture, clean[near]) >= WRONG:
            wrong += 1
        elif abs(near - time) > _NEAR and (there is None or round(time, 1) in there):
            misplaced += 1
    return Outcome(wrong, misplaced, summary.damaged, summary.points, False, agree)


def _result(path: Path, decoder: str) -> tuple[dict[float, NDArray[np.uint8]], Any]:
    try:
        return read(path, decoder)
    except VideoError:
        return {}, None


def _same(one: Any, other: Any) -> bool:
    (pictures, summary), (others, their) = one, other
    return (
        summary == their
        and list(pictures) == list(others)
        and all(np.array_equal(pictures[time], others[time]) for time in pictures)
    )


def _frames_of(whole: Path, path: Path) -> set[float] | None:
    """When those frames are on display whose packets are in the damaged clip."""
    with av.open(str(whole)) as container:
        known = {bytes(p): p.pts for p in container.demux(video=0) if p.size and p.pts is not None}
        unit = container.streams.video[0].time_base
    if not known:
        return None
    first = min(known.values())
    try:
        with av.open(str(path)) as container:
            found = [known.get(bytes(p)) for p in container.demux(video=0) if p.size]
    except (av.FFmpegError, IndexError):
        return None
    return {round(float((pts - first) * unit), 1) for pts in found if pts is not None}


def _difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    if one.shape != other.shape:
        return 255.0
    return float(np.abs(one.astype(np.int16) - other).mean())


def _runs(names: Sequence[str], faults: Sequence[str], seeds: range) -> Iterator[tuple[Any, ...]]:
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            for fault in faults:
                for seed in seeds:
                    try:
                        whole, path = damaged_copy(STREAMS[name], fault, seed, Path(folder))
                    except av.FFmpegError as error:
                        _say(f"{name} {fault} {seed}: {error}")
                        continue
                    no_opencv = STREAMS[name].codec == "libsvtav1"
                    decoders = ("pyav",) if no_opencv else ("pyav", "opencv")
                    yield name, fault, seed, outcome(whole, path, decoders=decoders)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--streams", nargs="*", default=list(STREAMS))
    parser.add_argument("--faults", nargs="*", default=list(FAULTS))
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    totals: dict[tuple[str, str], Counter[str]] = {}
    seeds = range(given.first, given.first + given.seeds)
    for name, fault, seed, result in _runs(given.streams, given.faults, seeds):
        count = totals.setdefault((name, fault), Counter())
        is_silent = not result.damaged and not result.refused
        count["files"] += 1
        count["refused"] += result.refused
        count["disagree"] += not result.agree
        count["wrong"] += result.wrong
        count["misplaced"] += result.misplaced
        count["silent"] += is_silent and result.wrong + result.misplaced > 0
        count["silent_pictures"] += (result.wrong + result.misplaced) * is_silent
        if given.verbose and (result.wrong or result.misplaced or not result.agree):
            _say(f"{name} {fault} {seed}: {result}")
    keys = ("files", "refused", "disagree", "wrong", "misplaced", "silent", "silent_pictures")
    _say(f"{'stream':<18}{'fault':<9}" + "".join(f"{key:>16}" for key in keys))
    for (name, fault), count in totals.items():
        _say(f"{name:<18}{fault:<9}" + "".join(f"{count[key]:>16}" for key in keys))


if __name__ == "__main__":
    main()
