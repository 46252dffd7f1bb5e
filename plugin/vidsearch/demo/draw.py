"""Draw a scene at a moment as an RGB frame, anti-aliased, with gentle motion."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from vidsearch.demo.scenes import Scene

    Floats = NDArray[np.float32]

__all__ = ["BACKGROUNDS", "COLOURS", "SIZES", "Look", "draw", "is_light"]

Rgb = tuple[int, int, int]
Texture = Callable[[Any, Any, int], Any]
"""Share of ink, 0 to 1, by x, y and the pixels of a frame's side; see :func:`_texture`."""

# All but green turn into another colour of the list when red and blue are swapped, so that a
# pipeline that feeds BGR fails loudly.
COLOURS: Mapping[str, Rgb] = MappingProxyType(
    {
        "red": (235, 20, 20),
        "blue": (20, 20, 235),
        "yellow": (245, 235, 20),
        "cyan": (20, 235, 245),
        "orange": (250, 125, 10),
        "azure": (10, 125, 250),
        "pink": (250, 20, 150),
        "purple": (150, 20, 250),
        "green": (20, 190, 40),
    }
)

# All but black and white come in pairs that swap under BGR, dark, middling and light, because a
# missing mean/std normalisation shifts brightness.
BACKGROUNDS: Mapping[str, Rgb] = MappingProxyType(
    {
        "black": (10, 10, 10),
        "white": (248, 248, 248),
        "navy": (10, 15, 95),
        "maroon": (95, 15, 10),
        "peach": (255, 205, 155),
        "sky": (155, 205, 255),
        "olive": (105, 95, 10),
        "teal": (10, 95, 105),
        "tan": (165, 130, 105),
        "steel": (105, 130, 165),
    }
)

# Extent of one object and texture periods, as fractions of the frame's shorter side. In a frame
# scaled to 64 px a small object is 20 px wide and a stripe 3 px.
SIZES: Mapping[str, float] = MappingProxyType({"small": 0.31, "large": 0.45})
_STRIPE_PERIOD = 0.095
_DOT_PITCH = 0.1
_DOT_RADIUS = 0.034
_CHECK_CELL = 0.06

_LIGHT_LUMA = 110
_LIGHT_INK: Rgb = (255, 240, 205)  # warm, so that this swaps under BGR as well
_DARK_INK: Rgb = (12, 8, 4)
_SHIFT = 4  # fractional bits of polygon coordinates


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colour and texture of a scene's objects, in place of those that the scene names."""

    colour: Rgb
    texture: Texture
    """A function of a module, so that it can be sent to another process."""


@dataclass(frozen=True, kw_only=True)
class _Item:
    """One object's path; lengths are fractions of the shorter side, angles radians."""

    x: float
    y: float
    sway: float
    size: float
    period: float
    phase: float
    tilt: float

    def pose(self, time: float) -> tuple[float, float, float]:
        """Centre x, centre y and rotation at a time in seconds."""
        angle = 2 * math.pi * time / self.period + self.phase
        return (
            self.x + self.sway * math.sin(angle),
            self.y + self.sway * math.cos(0.7 * angle),
            self.tilt + 0.1 * math.sin(1.3 * angle),
        )


def draw(
    scene: Scene,
    *,
    time: float,
    seed: int,
    width: int = 320,
    height: int = 240,
    look: Look | None = None,
) -> NDArray[np.uint8]:
    """The frame of a scene `time` seconds after its start.

    Returns an array `[height, width, 3]`, uint8, RGB. Objects stay inside the centred square, so
    a centre crop loses none of them. `seed` decides where they are and how they move.
    """
    import numpy as np

    side = min(width, height)
    rng = random.Random(f"{seed}:{scene.key}")
    background = tuple(channel + rng.uniform(-5, 5) for channel in BACKGROUNDS[scene.background])
    rgb = COLOURS[scene.colour] if look is None else look.colour
    colour = np.array([channel + rng.uniform(-8, 8) for channel in rgb], dtype=np.float32)
    texture = _texture_of(scene) if look is None else look.texture
    # Texture ink contrasts with the background, so that the outline of the shape stays visible.
    ink = np.array(_DARK_INK if is_light(scene) else _LIGHT_INK, dtype=np.float32)
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    canvas[:] = np.array(background).round().clip(0, 255).astype(np.uint8)
    for item in _layout(scene, rng):
        _paint(canvas, scene, item.pose(time), item.size, side, colour, ink, texture)
    return canvas


def is_light(scene: Scene) -> bool:
    """True if the background is light."""
    red, green, blue = BACKGROUNDS[scene.background]
    return 0.3 * red + 0.6 * green + 0.1 * blue > _LIGHT_LUMA


def _layout(scene: Scene, rng: random.Random) -> list[_Item]:
    size = SIZES[scene.size] * rng.uniform(0.96, 1.04)
    if scene.count == 1:
        centres = [(0.5, 0.5)]
        slack_x = slack_y = min(0.22, (1 - size) / 2)
    elif scene.count == 2 and rng.random() < 0.6:
        upright = rng.random() < 0.5
        centres = [(0.5, 0.25), (0.5, 0.75)] if upright else [(0.25, 0.5), (0.75, 0.5)]
        slack_x, slack_y = (0.2, (0.5 - size) / 2) if upright else ((0.5 - size) / 2, 0.2)
    else:
        centres = rng.sample([(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)], scene.count)
        slack_x = slack_y = (0.5 - size) / 2
    sway = min(slack_x, slack_y, 0.05) * 0.6
    return [
        _Item(
            x=x + rng.uniform(-1, 1) * max(0.0, slack_x - sway),
            y=y + rng.uniform(-1, 1) * max(0.0, slack_y - sway),
            sway=sway,
            size=size,
            period=rng.uniform(4, 8),
            phase=rng.uniform(0, 2 * math.pi),
            tilt=rng.uniform(-0.1, 0.1),
        )
        for x, y in centres
    ]


def _paint(
    canvas: NDArray[np.uint8],
    scene: Scene,
    pose: tuple[float, float, float],
    size: float,
    side: int,
    colour: Floats,
    ink: Floats,
    texture: Texture | None,
) -> None:
    """Blend one object into the canvas, in place."""
    import cv2
    import numpy as np

    height, width = canvas.shape[:2]
    centre_x = (width - side) / 2 + pose[0] * side
    centre_y = (height - side) / 2 + pose[1] * side
    reach = size * side * 0.62 + 2
    left, right = max(0, int(centre_x - reach)), min(width, int(centre_x + reach) + 1)
    top, bottom = max(0, int(centre_y - reach)), min(height, int(centre_y + reach) + 1)
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    turn = np.array([[cos, sin], [-sin, cos]], dtype=np.float32)
    offset = np.array([centre_x - left - 0.5, centre_y - top - 0.5], dtype=np.float32)
    # Even-odd filling: a ring is two outlines.
    outlines = [
        np.rint((points @ turn * (size * side) + offset) * (1 << _SHIFT)).astype(np.int32)
        for points in _outlines(scene.shape)
    ]
    mask = np.zeros((bottom - top, right - left), dtype=np.uint8)
    cv2.fillPoly(mask, outlines, color=255, lineType=cv2.LINE_AA, shift=_SHIFT)  # type: ignore[call-overload,unused-ignore]
    alpha = (mask.astype(np.float32) / 255)[..., None]
    fill: Any = colour
    if texture is not None:
        xs = (np.arange(left, right, dtype=np.float32) + 0.5 - centre_x) / side
        ys = (np.arange(top, bottom, dtype=np.float32)[:, None] + 0.5 - centre_y) / side
        inked = texture(xs * cos + ys * sin, ys * cos - xs * sin, side)[..., None]
        fill = colour + (ink - colour) * inked
    region = canvas[top:bottom, left:right].astype(np.float32)
    region += (fill - region) * alpha
    canvas[top:bottom, left:right] = (region + 0.5).clip(0, 255).astype(np.uint8)


def _texture_of(scene: Scene) -> Texture | None:
    return None if scene.texture == "solid" else partial(_texture, scene.texture)


def _texture(name: str, xs: Floats, ys: Floats, side: int) -> Floats:
    """Share of ink 0..1 at object coordinates (fractions of the side), soft over one pixel."""
    import numpy as np

    if name == "striped":
        distance = np.abs((ys / _STRIPE_PERIOD) % 1 - 0.5) * _STRIPE_PERIOD - _STRIPE_PERIOD / 4
    elif name == "dotted":
        dx = (xs / _DOT_PITCH) % 1 - 0.5
        dy = (ys / _DOT_PITCH) % 1 - 0.5
        distance = _DOT_RADIUS - np.sqrt(dx * dx + dy * dy) * _DOT_PITCH
    else:
        wave = np.sin(np.pi * xs / _CHECK_CELL) * np.sin(np.pi * ys / _CHECK_CELL)
        distance = wave * (_CHECK_CELL / math.pi)
    result: Floats = np.clip(distance * side + 0.5, 0, 1).astype(np.float32)
    return result


@cache
def _outlines(shape: str) -> tuple[Floats, ...]:
    """Closed outlines `[points, 2]` of a shape in a box of about one by one around (0, 0)."""
    import numpy as np

    def circle(radius: float) -> list[tuple[float, float]]:
        angles = [2 * math.pi * i / 48 for i in range(48)]
        return [(radius * math.cos(a), radius * math.sin(a)) for a in angles]

    def heart() -> list[tuple[float, float]]:
        angles = [2 * math.pi * i / 60 for i in range(60)]
        return [
            (
                math.sin(a) ** 3 * 0.5,
                -(13 * math.cos(a) - 5 * math.cos(2 * a) - 2 * math.cos(3 * a) - math.cos(4 * a))
                / 29
                - 0.08,
            )
            for a in angles
        ]

    def star() -> list[tuple[float, float]]:
        radii = (0.52, 0.21)
        return [
            (radii[i % 2] * math.sin(math.pi * i / 5), -radii[i % 2] * math.cos(math.pi * i / 5))
            for i in range(10)
        ]

    arm = 0.16
    shapes: dict[str, list[list[tuple[float, float]]]] = {
        "circle": [circle(0.5)],
        "ring": [circle(0.5), circle(0.26)],
        "square": [[(-0.46, -0.46), (0.46, -0.46), (0.46, 0.46), (-0.46, 0.46)]],
        "triangle": [[(0, -0.5), (0.5, 0.42), (-0.5, 0.42)]],
        "diamond": [[(0, -0.52), (0.35, 0), (0, 0.52), (-0.35, 0)]],
        "star": [star()],
        "heart": [heart()],
        "cross": [
            [
                (-arm, -0.5), (arm, -0.5), (arm, -arm), (0.5, -arm), (0.5, arm), (arm, arm),
                (arm, 0.5), (-arm, 0.5), (-arm, arm), (-0.5, arm), (-0.5, -arm), (-arm, -arm),
            ]
        ],
    }  # fmt: skip
    return tuple(np.array(points, dtype=np.float32) for points in shapes[shape])
