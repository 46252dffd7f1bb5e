"""The drawn world: what a scene may hold, how it is put into words, and which scenes are held out.

A scene is six attributes. Everything here is pure Python and seeded, so the same seed gives the
same scenes and the same words on every machine.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

__all__ = [
    "ATTRIBUTES",
    "HELD_OUT_PERCENT",
    "SHAPES",
    "VALUES",
    "WORDS",
    "Scene",
    "Split",
    "neighbours",
    "paraphrase",
    "random_scene",
    "scenes",
]

ATTRIBUTES = ("shape", "colour", "count", "size", "texture", "background")

# Percentage of all attribute combinations that training never sees.
HELD_OUT_PERCENT = 20

Split = Literal["train", "held_out", "any"]

# value -> words for it, the first one canonical. Shapes list (singular, plural) pairs.
SHAPES: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "circle": (("circle", "circles"), ("disc", "discs"), ("ball", "balls")),
        "square": (("square", "squares"), ("box", "boxes")),
        "triangle": (("triangle", "triangles"), ("pyramid", "pyramids")),
        "star": (("star", "stars"),),
        "heart": (("heart", "hearts"),),
        "ring": (("ring", "rings"), ("hoop", "hoops")),
        "cross": (("cross", "crosses"), ("plus", "pluses")),
        "diamond": (("diamond", "diamonds"), ("rhombus", "rhombuses")),
    }
)

WORDS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "colour": {
            "red": ("red", "scarlet"),
            "blue": ("blue",),
            "yellow": ("yellow",),
            "cyan": ("cyan", "turquoise"),
            "orange": ("orange",),
            "azure": ("azure",),
            "pink": ("pink", "rose"),
            "purple": ("purple", "violet"),
            "green": ("green",),
        },
        "count": {
            "1": ("one", "a single"),
            "2": ("two", "2", "a pair of"),
            "3": ("three", "3"),
        },
        "size": {"small": ("small", "little", "tiny"), "large": ("large", "big", "huge")},
        "texture": {
            "solid": ("solid", "plain"),
            "striped": ("striped", "stripy"),
            "dotted": ("dotted", "spotted"),
            "checkered": ("checkered", "chequered", "checked"),
        },
        "background": {
            "black": ("black",),
            "white": ("white",),
            "navy": ("navy", "dark blue"),
            "maroon": ("maroon", "dark red"),
            "peach": ("peach", "light orange"),
            "sky": ("sky", "light blue"),
            "olive": ("olive",),
            "teal": ("teal",),
            "tan": ("tan", "light brown"),
            "steel": ("steel", "steel grey", "steel gray"),
        },
    }
)

VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"shape": tuple(SHAPES), **{name: tuple(words) for name, words in WORDS.items()}}
)

_OPENINGS = (
    *("",) * 8,
    "a video of ",
    "a clip of ",
    "a clip showing ",
    "a picture of ",
    "there is ",
    "show me ",
    "find ",
)
_PLACES = (
    *("on a {} background",) * 4,
    "against a {} background",
    "on a {} backdrop",
    "on {}",
    "in front of a {} wall",
    "with a {} background",
    "{} background",
)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One drawn scene; every field is one of `VALUES[field name]` (`count` is 1 to 3)."""

    shape: str
    colour: str
    count: int
    size: str
    texture: str
    background: str

    def __post_init__(self) -> None:
        for name in ATTRIBUTES:
            if self.value(name) not in VALUES[name]:
                raise ValueError(f"{name} must be one of {VALUES[name]}, not {self.value(name)!r}")

    def value(self, attribute: str) -> str:
        """The value of an attribute as text, as `VALUES` lists it."""
        return str(getattr(self, attribute))

    def with_value(self, attribute: str, value: str) -> Scene:
        """The same scene with one attribute changed."""
        changed: dict[str, Any] = {attribute: int(value) if attribute == "count" else value}
        return replace(self, **changed)

    @property
    def key(self) -> str:
        """A stable name of the combination, such as `circle-red-2-large-striped-black`."""
        return "-".join(self.value(name) for name in ATTRIBUTES)

    @property
    def held_out(self) -> bool:
        """True if this combination is never trained: decided by a hash that never changes."""
        digest = hashlib.blake2b(self.key.encode("ascii"), digest_size=4).digest()
        return int.from_bytes(digest, "big") % 100 < HELD_OUT_PERCENT

    @property
    def caption(self) -> str:
        """All six attributes in canonical words."""
        return _sentence(self, mention=ATTRIBUTES, rng=None)

    @property
    def short_caption(self) -> str:
        """Colour and shape alone, such as `a red circle`; says nothing about the count."""
        return _sentence(self, mention=("colour", "shape"), rng=None)


def paraphrase(scene: Scene, *, rng: random.Random, mention: Sequence[str] = ATTRIBUTES) -> str:
    """Random words for the `mention`ed attributes of a scene (the shape is always named).

    The article `a` and a bare plural leave the count open: only number words state it.
    """
    return _sentence(scene, mention=mention, rng=rng)


def _sentence(scene: Scene, *, mention: Sequence[str], rng: random.Random | None) -> str:
    def word(attribute: str) -> str:
        words = WORDS[attribute][scene.value(attribute)]
        # The canonical word half of the time: people use it most.
        return words[0] if rng is None or rng.random() < 0.5 else rng.choice(words)

    nouns = SHAPES[scene.shape]
    noun = nouns[0] if rng is None or rng.random() < 0.6 else rng.choice(nouns)
    if "count" in mention:
        number = word("count")
        plural = scene.count > 1
    else:
        plural = rng is not None and rng.random() < 0.25
        number = "" if plural or (rng is not None and rng.random() < 0.2) else "a"
    adjectives = [word(name) for name in ("size", "texture", "colour") if name in mention]
    if rng is not None and rng.random() < 0.3:
        rng.shuffle(adjectives)
    if number == "a" and (adjectives or [noun[0]])[0][0] in "aeio":
        number = "an"
    text = " ".join(filter(None, [number, *adjectives, noun[1] if plural else noun[0]]))
    if "background" in mention:
        place = _PLACES[0] if rng is None else rng.choice(_PLACES)
        text = f"{text} {place.format(word('background'))}"
    return text if rng is None else rng.choice(_OPENINGS) + text


def random_scene(rng: random.Random, *, split: Split = "any") -> Scene:
    """One scene of the split, uniform over its combinations."""
    while True:
        scene = Scene(
            shape=rng.choice(VALUES["shape"]),
            colour=rng.choice(VALUES["colour"]),
            count=int(rng.choice(VALUES["count"])),
            size=rng.choice(VALUES["size"]),
            texture=rng.choice(VALUES["texture"]),
            background=rng.choice(VALUES["background"]),
        )
        if _in_split(scene, split):
            return scene


def scenes(number: int, *, seed: int, split: Split = "any") -> list[Scene]:
    """`number` different scenes of a split; the same list for the same seed.

    Raises:
        ValueError: the split has fewer.
    """
    # To count a split takes a moment, and each has more than a tenth of all.
    if number > _COMBINATIONS // 10 and number > (most := _number_of(split)):
        raise ValueError(f"the split {split!r} has {most} scenes, not {number}")
    rng = random.Random(seed)
    found: dict[Scene, None] = {}
    while len(found) < number:
        found[random_scene(rng, split=split)] = None
    return list(found)


def neighbours(scene: Scene, *, split: Split = "any") -> Iterator[tuple[str, Scene]]:
    """Every scene of the split that differs in one attribute, with that attribute's name."""
    for name in ATTRIBUTES:
        for value in VALUES[name]:
            other = scene.with_value(name, value)
            if other != scene and _in_split(other, split):
                yield name, other


_COMBINATIONS = math.prod(map(len, VALUES.values()))


@cache
def _number_of(split: Split) -> int:
    """Scenes of a split, by trying all."""
    every = (
        Scene(
            shape=shape, colour=colour, count=int(count), size=size, texture=texture,
            background=background,
        )
        for shape, colour, count, size, texture, background in itertools.product(*VALUES.values())
    )  # fmt: skip
    return sum(_in_split(scene, split) for scene in every)


def _in_split(scene: Scene, split: Split) -> bool:
    return split == "any" or scene.held_out == (split == "held_out")
