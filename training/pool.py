"""A pool of small frames in groups that differ in one attribute, drawn once and kept in memory."""

from __future__ import annotations

import hashlib
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from inspect import getsourcefile
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vidsearch.demo.draw import draw
from vidsearch.demo.scenes import ATTRIBUTES, VALUES, Scene, neighbours, random_scene

GROUP = 4  # scenes of a group: one and three that differ from it in one attribute each
_CHUNK = 500
# Shape and count are the hard attributes, so their hard negatives come more often.
_WEIGHTS = {
    "shape": 4.0,
    "colour": 2.0,
    "count": 3.0,
    "size": 2.0,
    "texture": 2.0,
    "background": 2.0,
}
_WORLD = [getsourcefile(draw) or "", getsourcefile(Scene) or ""]


@dataclass(frozen=True, kw_only=True)
class Pool:
    """Frames `[groups, GROUP, size, size, 3]` uint8 RGB, labels `[groups, GROUP, 6]` int8."""

    frames: NDArray[np.uint8]
    labels: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.frames)


def labels_of(scene: Scene) -> list[int]:
    """Index of each attribute's value in `VALUES`, in the order of `ATTRIBUTES`."""
    return [VALUES[name].index(scene.value(name)) for name in ATTRIBUTES]


def scene_of(labels: NDArray[np.int8]) -> Scene:
    """The inverse of `labels_of`."""
    values = {name: VALUES[name][index] for name, index in zip(ATTRIBUTES, labels, strict=True)}
    count = int(values.pop("count"))
    return Scene(count=count, **values)


def random_group(rng: random.Random) -> list[Scene]:
    """A scene of the train split and `GROUP - 1` of its neighbours, attributes drawn by weight."""
    base = random_scene(rng, split="train")
    by_attribute: dict[str, list[Scene]] = {}
    for name, scene in neighbours(base, split="train"):
        by_attribute.setdefault(name, []).append(scene)
    group = {base: None}
    while len(group) < GROUP:
        (name,) = rng.choices(list(by_attribute), [_WEIGHTS[key] for key in by_attribute])
        group[rng.choice(by_attribute[name])] = None
    return list(group)


def small_frame(scene: Scene, *, rng: random.Random, size: int) -> NDArray[np.uint8]:
    """A random moment of a scene, through 4:2:0 chroma and blocks of a lossy codec, scaled down."""
    side = 2 * rng.randrange(52, 100)
    frame = draw(
        scene, time=rng.uniform(0, 20), seed=rng.randrange(1 << 30), width=side, height=side
    )
    chroma = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
    frame = cv2.cvtColor(chroma, cv2.COLOR_YUV2RGB_I420).astype(np.uint8)
    if rng.random() < 0.3:
        quality = [cv2.IMWRITE_JPEG_QUALITY, rng.randrange(40, 90)]
        _, coded = cv2.imencode(".jpg", frame, quality)
        frame = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return cv2.resize(frame, (size, size), interpolation=cv2.INTER_AREA).astype(np.uint8)


def _chunk(seed: int, groups: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
    cv2.setNumThreads(1)
    rng = random.Random(seed)
    frames = np.empty((groups, GROUP, size, size, 3), dtype=np.uint8)
    labels = np.empty((groups, GROUP, len(ATTRIBUTES)), dtype=np.int8)
    for row in range(groups):
        for column, scene in enumerate(random_group(rng)):
            frames[row, column] = small_frame(scene, rng=rng, size=size)
            labels[row, column] = labels_of(scene)
    return frames, labels


def load_pool(folder: Path, *, groups: int, size: int, seed: int, processes: int = 2) -> Pool:
    """The pool of a seed, drawn on the first call and kept as two `.npy` files in `folder`."""
    # Frames of an older world must not be taken for those of this one.
    code = b"".join(Path(file).read_bytes() for file in _WORLD)
    stem = f"pool-{hashlib.blake2b(code, digest_size=4).hexdigest()}-{seed}-{groups}-{size}"
    frames_path, labels_path = folder / f"{stem}-frames.npy", folder / f"{stem}-labels.npy"
    if not labels_path.exists():
        counts = [min(_CHUNK, groups - start) for start in range(0, groups, _CHUNK)]
        seeds = [seed * 1_000_003 + number for number in range(len(counts))]
        with ProcessPoolExecutor(processes) as executor:
            parts = list(executor.map(_chunk, seeds, counts, [size] * len(counts)))
        folder.mkdir(parents=True, exist_ok=True)
        np.save(frames_path, np.concatenate([part[0] for part in parts]))
        np.save(labels_path, np.concatenate([part[1] for part in parts]))
    return Pool(frames=np.load(frames_path), labels=np.load(labels_path))
