"""Drawn clips: a small world whose videos, words and right answers are known.

`vidsearch demo`, the tests and the training of the demo checkpoint all draw from here. Importing
this package loads neither OpenCV nor PyAV.
"""

from __future__ import annotations

from vidsearch.demo.clips import DemoClip, DemoScene, Shot, demo_clips, shot_frames, write_clip
from vidsearch.demo.draw import BACKGROUNDS, COLOURS, Look, draw
from vidsearch.demo.scenes import (
    ATTRIBUTES,
    VALUES,
    Scene,
    Split,
    neighbours,
    paraphrase,
    random_scene,
    scenes,
)

__all__ = [
    "ATTRIBUTES",
    "BACKGROUNDS",
    "COLOURS",
    "VALUES",
    "DemoClip",
    "DemoScene",
    "Look",
    "Scene",
    "Shot",
    "Split",
    "demo_clips",
    "draw",
    "neighbours",
    "paraphrase",
    "random_scene",
    "scenes",
    "shot_frames",
    "write_clip",
]
