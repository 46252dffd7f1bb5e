"""What decoding in a child process costs: CPU of both processes against decoding in process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.clips import Clip, make_clips
from benchmarks.harness import measure
from benchmarks.report import Section, comparison
from benchmarks.ways import Frames, decoded, digest_of
from vidsearch.config import IngestSettings
from vidsearch.media.frames import MediaLimits
from vidsearch.media.readers import open_reader

TITLE = "Decoding in a child process"

DIRECT, ISOLATED, COLD = "in process", "child process", "child process, started anew"


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """Two sizes; the child is kept from video to video, as in a worker."""
    clips = (
        Clip("gop2.mp4", "360p", seconds=30),
        Clip("hd-gop2.mp4", "1080p", height=1080, seconds=10),
    )
    paths = make_clips(folder, clips)
    direct = open_reader(IngestSettings(isolate=False), limits=MediaLimits())
    isolated = open_reader(IngestSettings(isolate=True), limits=MediaLimits())
    for clip in clips:
        path = paths[clip.name]

        def anew(path: Path = path) -> Frames:
            isolated.close()
            return decoded(isolated, path)

        ways: dict[str, Callable[[], Frames]] = {
            DIRECT: partial(decoded, direct, path),
            ISOLATED: partial(decoded, isolated, path),
            COLD: anew,
        }
        if len({digest_of(way) for way in ways.values()}) != 1:
            raise SystemExit(f"the child process gives other frames of {clip.name}")
        yield comparison(
            f"{clip.title}, {clip.seconds} s, B-frames, GOP 2 s",
            measure(ways, rounds=rounds),
            references=[DIRECT],
            notes=["frames byte-identical"],
        )
    isolated.close()
