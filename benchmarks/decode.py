"""Sampled frames of a file, in RGB at full size, by every way that is in use; byte-identical."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

from benchmarks.clips import GOP_2, GOP_10, Clip, make_clips
from benchmarks.harness import measure
from benchmarks.report import Bar, Section, comparison
from benchmarks.ways import (
    Frames,
    decoded,
    digest_of,
    grab_skip,
    shown_frames,
    torchcodec_exact,
    why_no_torchcodec,
)
from vidsearch.media import open_decoder
from vidsearch.media.ffmpeg_messages import allow_listening
from vidsearch.media.frames import Sampling
from vidsearch.testing.notebook import notebook_frames

TITLE = "Decode at one frame a second"

SEEK, GRAB, GRAB_1 = "notebook's seek", "cv2 grab-skip", "cv2 grab-skip, 1 thread"
OPENCV, PYAV, TORCHCODEC = "vidsearch opencv", "vidsearch pyav", "torchcodec exact, 1 thread"
_PRICE = (
    "the decoder `opencv` is dearer than a plain loop by what PyAV takes to read the packets: they "
    "tell the frames' times, and which are missing"
)


@dataclass(frozen=True, slots=True)
class Stream:
    """A clip and how many times cheaper than other ways ours must be on it."""

    clip: Clip
    seek: float | None = None
    grab: float = 1.0
    torchcodec: float | None = 1.0
    sampling: Sampling = "played-at"
    note: str | None = None

    @property
    def bars(self) -> Iterator[Bar]:
        """Those that the stream has."""
        for reference, bar in (
            (SEEK, self.seek),
            (GRAB_1, self.grab),
            (TORCHCODEC, self.torchcodec),
        ):
            if bar is not None:
                yield Bar(PYAV, reference, bar)


_NO_B = {**GOP_2, "bf": "0"}
_HEVC = {
    "preset": "veryfast",
    "x265-params": "keyint=60:min-keyint=60:scenecut=0:log-level=none",
}
_VP9 = {"deadline": "realtime", "cpu-used": "8", "g": "60", "b": "1M"}

STREAMS = (
    Stream(Clip("gop2.mp4", "360p, B-frames, GOP 2 s", seconds=30), seek=4, grab=1.4),
    Stream(
        Clip("gop10.mp4", "360p, B-frames, GOP 10 s", seconds=30, options=GOP_10), seek=9, grab=1.4
    ),
    Stream(
        Clip("hd-gop2.mp4", "1080p, B-frames, GOP 2 s", height=1080, seconds=10), seek=4, grab=1.4
    ),
    Stream(
        Clip("hd-gop10.mp4", "1080p, B-frames, GOP 10 s", height=1080, seconds=20, options=GOP_10),
        seek=9,
        grab=1.4,
    ),
    Stream(Clip("no-b.mp4", "360p, no B-frames, GOP 2 s", options=_NO_B), seek=2.5),
    Stream(
        Clip("one-gop.mp4", "360p, no B-frames, one GOP", options={**_NO_B, "g": "9999"}), seek=2.5
    ),
    Stream(
        Clip("intra.mp4", "360p, all-intra", options={**_NO_B, "g": "1"}), seek=2.5, torchcodec=None
    ),
    Stream(Clip("medium.mp4", "360p, x264 medium", options={"preset": "medium"}), grab=1.4),
    Stream(
        Clip("hevc.mp4", "360p, HEVC, B-frames, GOP 2 s", codec="libx265", options=_HEVC),
        seek=2.5,
        grab=1.4,
    ),
    Stream(
        Clip("vp9.webm", "360p, VP9, GOP 2 s", codec="libvpx-vp9", options=_VP9), seek=2.5
    ),
    Stream(Clip("uneven.mp4", "360p, B-frames, GOP 2 s, variable rate", uneven=True), grab=1.4),
    Stream(
        Clip("ntsc.mp4", "360p, B-frames, GOP 2 s, 29.97 fps", rate=Fraction(30_000, 1001)),
        seek=4,
        grab=1.4,
        sampling="notebook",
        note="steps of 29 frames end further into a GOP of 60 each time, so that nearly all of "
        "most GOPs has to be decoded",
    ),
)  # fmt: skip


def run(*, rounds: int, folder: Path) -> Iterator[Section]:
    """A section per stream. A way whose frames differ is named, and gets no ratio."""
    allow_listening()  # as a worker's decoding process does
    paths = make_clips(folder, [stream.clip for stream in STREAMS])
    for stream in STREAMS:
        ways, notes = _same_frames(_ways(stream, paths[stream.clip.name]))
        yield comparison(
            stream.clip.title,
            measure(ways, rounds=rounds),
            references=[name for name in (SEEK, GRAB_1, TORCHCODEC) if name in ways],
            bars=stream.bars,
            notes=[
                _sampling_note(stream),
                _PRICE,
                *([stream.note] if stream.note else []),
                *notes,
            ],
        )


def _ways(stream: Stream, path: Path) -> dict[str, Callable[[], Frames]]:
    clip, arguments = stream.clip, {"sampling": stream.sampling}
    if stream.sampling == "notebook":
        wanted = list(range(0, clip.frames, int(clip.rate)))
    else:
        wanted = shown_frames(path, count=int(clip.seconds))
    ways: dict[str, Callable[[], Frames]] = {
        SEEK: partial(notebook_frames, path),
        GRAB: partial(grab_skip, path, wanted),
        GRAB_1: partial(grab_skip, path, wanted, threads=1),
        OPENCV: partial(decoded, open_decoder("opencv"), path, **arguments),
        PYAV: partial(decoded, open_decoder("pyav"), path, **arguments),
    }
    if why_no_torchcodec() is None:
        ways[TORCHCODEC] = partial(torchcodec_exact, path, wanted)
    return ways


def _same_frames(
    ways: dict[str, Callable[[], Frames]],
) -> tuple[dict[str, Callable[[], Frames]], list[str]]:
    """The ways whose frames equal those of grab-skip, byte for byte, and a note on the others."""
    digests = {name: digest_of(way) for name, way in ways.items()}
    same = {name: way for name, way in ways.items() if digests[name] == digests[GRAB_1]}
    if PYAV not in same:
        raise SystemExit(f"our own frames differ from {GRAB_1}: nothing to compare")
    notes = [f"{name}: other frames, so no ratio" for name in ways if name not in same]
    if len(same) > 1:
        notes.append(f"frames byte-identical: {', '.join(same)}")
    missing = why_no_torchcodec()
    return same, [*notes, *([f"torchcodec: {missing}"] if missing else [])]


def _sampling_note(stream: Stream) -> str:
    size = f"{stream.clip.seconds} s at {float(stream.clip.rate):.4g} fps, {stream.clip.codec}"
    return f"{size}, sampling `{stream.sampling}`"
