"""Wanted frames are given as soon as nothing can follow that they depend on."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from vidsearch.media.frames import MediaLimits
from vidsearch.media.pyav.codec import prepare
from vidsearch.media.pyav.container import opened
from vidsearch.media.pyav.damage import B
from vidsearch.media.pyav.planned import _Run
from vidsearch.testing.clips import write_clip


def test_wanted_b_frames_are_not_kept_until_a_frame_of_another_type(tmp_path: Path) -> None:
    """All predicted frames of a stream may be coded as B-frames."""
    wanted = range(0, 3000, 15)
    path = write_clip(tmp_path / "clip.mp4", [Fraction(0)])
    with opened(path) as video:
        run = _Run(prepare(video, limits=MediaLimits(), threads=1), wanted, exact=True)
        came_out = []
        for number in range(3000):
            frame: Any = SimpleNamespace(pts=number, is_corrupt=False, pict_type=B)
            came_out += [frame.pts for frame in run._wanted_of([frame])]
            assert run.given - len(came_out) <= 2
        came_out += [frame.pts for frame in run._released()]
    assert came_out == list(wanted)
