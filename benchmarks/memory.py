"""Memory while a video of two hours is read at one frame a second; flat, whatever its length.

Each way runs in a process of its own: ``python -m benchmarks.memory WAY FILE`` reads the file and
prints what it and its children held as it went, in megabytes.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.clips import Clip, make_clips, repeated
from benchmarks.harness import megabytes
from benchmarks.report import Section, Verdict

if TYPE_CHECKING:
    from vidsearch.encoders.base import Vectors
    from vidsearch.media.frames import FrameBatch, MediaReader

TITLE = "Memory of a two-hour video"

WAYS = {
    "direct": "in process",
    "isolated": "child process (the default), both together",
    "embedding": "child process, thumbnails and the `demo` encoder in torch, both together",
}
_HOUR = 3600
_MARKS = (600, 1800, 3600, 5400, 7190)
"""Seconds of video."""
_MOST_MEGABYTES = 400
_WHAT_IS_COUNTED = (
    "RSS of the process and its children, the libraries they load included; peak: the sum of their "
    "high-water marks (VmHWM)"
)
_MOST_GROWTH = 1.05
"""Of what is held at the end over what was after ten minutes."""


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """One section; ``rounds`` does not matter."""
    minute = make_clips(folder, [Clip("minute.mp4", "", seconds=60)])["minute.mp4"]
    film = repeated(minute, folder / "film.mp4", times=2 * _HOUR // 60)
    rows, verdicts = [], []
    for way, title in WAYS.items():
        held, peak = _watched(way, film)
        rows.append((title, *(f"{held[mark]:.0f}" for mark in _MARKS), f"{peak:.0f}"))
        growth = held[_MARKS[-1]] / held[_MARKS[0]]
        verdicts.append(
            Verdict.of_figure(
                f"Memory, {title}: flat, at the end at most {_MOST_GROWTH:g}× of after 10 min",
                f"{growth:.3f}×",
                missed_by=growth / _MOST_GROWTH - 1,
            )
        )
        if way != "embedding":
            verdicts.append(
                Verdict.of_figure(
                    f"Memory, {title}: peak under {_MOST_MEGABYTES} MB",
                    f"{peak:.0f} MB",
                    missed_by=peak / _MOST_MEGABYTES - 1,
                )
            )
    film.unlink()
    yield Section(
        title="Resident memory in MB, 360p, 7200 frames read",
        columns=("way", *(f"{mark / 60:.0f} min" for mark in _MARKS), "peak"),
        rows=tuple(rows),
        verdicts=tuple(verdicts),
        notes=(_WHAT_IS_COUNTED,),
    )


def _watched(way: str, path: Path) -> tuple[dict[int, float], float]:
    command = [sys.executable, "-m", "benchmarks.memory", way, str(path)]
    root = Path(__file__).resolve().parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"reading {path.name} ({way}) failed:\n{done.stderr}")
    found = json.loads(done.stdout)
    return {int(mark): size for mark, size in found["held"].items()}, float(found["peak"])


def watch(way: str, path: Path) -> dict[str, object]:
    """Read ``path``; what was held when each mark was passed, and the peak."""
    from vidsearch.config import IngestSettings
    from vidsearch.media.frames import MediaLimits
    from vidsearch.media.readers import open_reader

    reader = open_reader(IngestSettings(isolate=way != "direct"), limits=MediaLimits())
    held: dict[int, float] = {}

    def passed(batch: FrameBatch) -> None:
        for mark in _MARKS:
            if mark not in held and batch.pts_seconds[-1] >= mark:
                held[mark] = megabytes("VmRSS")

    if way == "embedding":
        _embed(reader, path, passed)
    else:
        for batch in reader.frames(path):
            passed(batch)
    peak = megabytes("VmHWM")
    reader.close()
    return {"held": held, "peak": peak}


def _embed(reader: MediaReader, path: Path, passed: Callable[[FrameBatch], None]) -> None:
    import tempfile

    from vidsearch.config import ThumbnailSettings
    from vidsearch.embeddings import FrameEmbedder, SegmentPolicy, embed_video
    from vidsearch.encoders import TorchEncoder
    from vidsearch.media import ThumbnailStore

    class Watched(TorchEncoder):
        def encode_frames(self, frames: FrameBatch) -> Vectors:
            passed(frames)
            return super().encode_frames(frames)

    with tempfile.TemporaryDirectory() as folder:
        embed_video(
            lambda: path,
            embedder=FrameEmbedder(reader, Watched("demo", device="cpu")),
            segments=SegmentPolicy(),
            thumbnails=ThumbnailStore.of(ThumbnailSettings(url=folder)),
        )


if __name__ == "__main__":
    print(json.dumps(watch(sys.argv[1], Path(sys.argv[2]))))
