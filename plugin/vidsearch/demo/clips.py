"""Write drawn scenes as real H.264 files, and the set of clips that `vidsearch demo` indexes."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from vidsearch.demo.draw import Look, draw, is_light
from vidsearch.demo.scenes import Scene, scenes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["DemoClip", "DemoScene", "Shot", "demo_clips", "shot_frames", "write_clip"]

_PLACES = ("Harbour", "Attic", "Garden", "Station", "Library", "Kitchen", "Rooftop", "Workshop")
_KINDS = ("test reel", "rehearsal", "camera check", "screen test", "morning take", "evening take")
_TWO_SCENES_EVERY = 4
_BT601 = 6  # SMPTE 170M in H.264's tables of matrices, primaries and transfer curves
_LIMITED = 1


@dataclass(frozen=True, kw_only=True)
class Shot:
    """A scene that lasts `seconds`; `seed` decides where its objects are and how they move, and
    `look` is that of the objects, where the scene does not say it."""

    scene: Scene
    seconds: float = 10.0
    seed: int = 0
    look: Look | None = None


@dataclass(frozen=True, kw_only=True)
class DemoScene:
    """One scene of a demo clip, from `start` to `end` seconds."""

    scene: Scene
    start: float
    end: float

    @property
    def caption(self) -> str:
        """All that there is to see, in canonical words."""
        return self.scene.caption

    @property
    def short_caption(self) -> str:
        """Colour and shape alone."""
        return self.scene.short_caption


@dataclass(frozen=True, kw_only=True)
class DemoClip:
    """A clip on disk with what a library would know about it."""

    path: Path
    id: str
    title: str
    tags: tuple[str, ...]
    scenes: tuple[DemoScene, ...]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.scenes[-1].end


def shot_frames(
    shots: Sequence[Shot], *, fps: int = 10, width: int = 320, height: int = 240
) -> Iterator[NDArray[np.uint8]]:
    """Frames `[height, width, 3]` uint8 RGB of shots one after another."""
    for shot in shots:
        for index in range(max(1, round(shot.seconds * fps))):
            yield draw(
                shot.scene,
                time=index / fps,
                seed=shot.seed,
                width=width,
                height=height,
                look=shot.look,
            )


def write_clip(
    path: Path,
    shots: Sequence[Shot],
    *,
    fps: int = 10,
    gop: int = 20,
    b_frames: int = 2,
    crf: int = 20,
    preset: str = "veryfast",
    width: int = 320,
    height: int = 240,
) -> Path:
    """Encode shots as an H.264 mp4 (4:2:0, BT.601, limited range); the file appears complete.

    `gop` is the distance of key frames in frames; width and height must be even.
    """
    import av
    from av.video.reformatter import ColorRange, Colorspace, VideoReformatter

    if not shots:
        raise ValueError("a clip needs at least one shot")
    if width % 2 or height % 2:
        raise ValueError(f"4:2:0 chroma needs even sides, not {width}x{height}")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with av.open(str(temporary), "w", format="mp4") as container:
            stream = container.add_stream(
                "libx264",
                rate=fps,
                options={"crf": str(crf), "preset": preset, "bf": str(b_frames)},
            )
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            context = stream.codec_context
            context.gop_size = gop
            context.thread_count = 1  # clips are short, and other processes have work to do
            context.color_range = _LIMITED
            context.colorspace = context.color_primaries = context.color_trc = _BT601
            reformatter = VideoReformatter()  # kept: setting one up costs more than its work
            for index, pixels in enumerate(shot_frames(shots, fps=fps, width=width, height=height)):
                picture = reformatter.reformat(
                    av.VideoFrame.from_ndarray(pixels, format="rgb24"),
                    format="yuv420p",
                    dst_colorspace=Colorspace.ITU601,
                    dst_color_range=ColorRange.MPEG,
                )
                picture.pts = index
                picture.time_base = Fraction(1, fps)
                container.mux(stream.encode(picture))
            container.mux(stream.encode(None))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def demo_clips(folder: Path, *, seed: int = 7, number: int = 24) -> tuple[DemoClip, ...]:
    """Write `number` varied clips of 6 to 20 seconds into `folder`, every fourth with two scenes.

    The scenes are combinations that training never saw. Titles do not describe the pictures, so
    only the vector leg can find them. The same seed gives the same clips.
    """
    rng = random.Random(seed)
    pool = iter(_varied(number * 2, seed=seed))
    clips = []
    for index in range(number):
        two = index % _TWO_SCENES_EVERY == _TWO_SCENES_EVERY - 1
        lengths = [10.0, 10.0] if two else [float(rng.randrange(6, 13))]
        shots = [
            Shot(scene=next(pool), seconds=seconds, seed=rng.randrange(1 << 30))
            for seconds in lengths
        ]
        name = f"demo-{index + 1:02d}"
        starts = [sum(lengths[:position]) for position in range(len(lengths))]
        clips.append(
            DemoClip(
                path=write_clip(folder / f"{name}.mp4", shots),
                id=name,
                title=f"{_PLACES[index % len(_PLACES)]} {_KINDS[(index * 5 + 1) % len(_KINDS)]}",
                tags=_tags(shots),
                scenes=tuple(
                    DemoScene(scene=shot.scene, start=start, end=start + shot.seconds)
                    for shot, start in zip(shots, starts, strict=True)
                ),
            )
        )
    return tuple(clips)


def _varied(number: int, *, seed: int) -> list[Scene]:
    """Held-out scenes in an order in which colour-shape pairs repeat as late as possible."""
    first: dict[tuple[str, str], Scene] = {}
    for scene in scenes(number * 8, seed=seed, split="held_out"):
        first.setdefault((scene.colour, scene.shape), scene)
    chosen = list(first.values())[:number]
    if len(chosen) == number:
        return chosen
    rest = scenes(number * 8, seed=seed, split="held_out")
    return (chosen + [scene for scene in rest if scene not in chosen])[:number]


def _tags(shots: Sequence[Shot]) -> tuple[str, ...]:
    light = is_light(shots[0].scene)
    return ("drawn", "light" if light else "dark", "two scenes" if len(shots) > 1 else "one scene")
