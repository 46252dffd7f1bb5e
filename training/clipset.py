"""Held-out clips for measuring: real H.264 files, written, decoded again at 1 fps and deleted."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from vidsearch.demo.clips import Shot, write_clip
from vidsearch.demo.draw import BACKGROUNDS, COLOURS
from vidsearch.demo.scenes import Scene, neighbours, random_scene, scenes

GROUP = 5
SECONDS = 6.0
SCENE_SECONDS = 10.0
# Four drawn frames a second are enough: one in four is looked at, the rest exercise the codec.
_FPS = 4
_SIZES = ((320, 240), (256, 256))


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """A clip's scenes and its decoded frames, one a second, `[seconds, height, width, 3]` RGB."""

    scenes: tuple[Scene, ...]
    frames: NDArray[np.uint8]


def random_gallery(number: int, *, seed: int) -> list[Sampled]:
    """One clip of one scene for each of `number` different held-out combinations."""
    return _sampled([(scene,) for scene in scenes(number, seed=seed, split="held_out")], seed=seed)


def twin_gallery(number: int, *, seed: int) -> list[Sampled]:
    """The same, but the combinations come in pairs that are each other under BGR, both held out.

    Harder than a random gallery, and the one that shows BGR: at random, other attributes tell most
    of 200 clips apart even when the colours are wrong.
    """
    rng = random.Random(seed)
    chosen: dict[Scene, None] = {}
    while len(chosen) < number:
        scene = random_scene(rng, split="held_out")
        twin = swapped(scene)
        if twin != scene and twin.held_out:
            chosen |= {scene: None, twin: None}
    return _sampled([(scene,) for scene in chosen][:number], seed=seed)


def swapped(scene: Scene) -> Scene:
    """What a scene looks like when red and blue are swapped; itself if nothing changes."""
    for name, table in (("colour", COLOURS), ("background", BACKGROUNDS)):
        value = scene.value(name)
        others = [other for other, rgb in table.items() if rgb == table[value][::-1]]
        scene = scene.with_value(name, others[0] if others else value)
    return scene


def hard_gallery(groups: int, *, seed: int) -> list[Sampled]:
    """Groups of five different held-out scenes: one, and four that differ from it in one attribute.

    No scene is in two groups; the attributes that differ are drawn with equal chances.
    """
    rng = random.Random(seed)
    chosen: dict[Scene, None] = {}
    while len(chosen) < groups * GROUP:
        base = random_scene(rng, split="held_out")
        by_attribute: dict[str, list[Scene]] = {}
        for name, scene in neighbours(base, split="held_out"):
            by_attribute.setdefault(name, []).append(scene)
        if sum(map(len, by_attribute.values())) < GROUP - 1:
            continue
        group = {base: None}
        while len(group) < GROUP:
            group[rng.choice(by_attribute[rng.choice(list(by_attribute))])] = None
        if not group.keys() & chosen.keys():
            chosen.update(group)
    return _sampled([(scene,) for scene in chosen], seed=seed)


def two_scene_clips(number: int, *, seed: int) -> list[Sampled]:
    """Clips of two different held-out scenes of ten seconds each."""
    pool = scenes(number * 2, seed=seed, split="held_out")
    return _sampled(list(zip(pool[::2], pool[1::2], strict=True)), seed=seed)


def _sampled(clips: Sequence[tuple[Scene, ...]], *, seed: int) -> list[Sampled]:
    numbers = range(len(clips))
    with ProcessPoolExecutor(2) as executor:
        return list(executor.map(_one, clips, numbers, [seed] * len(clips), chunksize=8))


def _one(clip: tuple[Scene, ...], number: int, seed: int) -> Sampled:
    seconds = SECONDS if len(clip) == 1 else SCENE_SECONDS
    width, height = _SIZES[number % len(_SIZES)]
    shots = [
        Shot(scene=scene, seconds=seconds, seed=seed * 1_000_003 + number * 10 + position)
        for position, scene in enumerate(clip)
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = write_clip(
            Path(folder) / "clip.mp4", shots, fps=_FPS, gop=8, width=width, height=height
        )
        return Sampled(scenes=clip, frames=_one_per_second(path))


def _one_per_second(path: Path) -> NDArray[np.uint8]:
    """Frames played at 0 s, 1 s, 2 s …"""
    frames: list[NDArray[np.uint8]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            if frame.time is not None and frame.time >= len(frames) - 1e-6:
                frames.append(frame.to_ndarray(format="rgb24").astype(np.uint8))
    return np.stack(frames)
