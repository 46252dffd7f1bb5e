"""The arguments of a search, checked as far as that goes without the index."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, get_args

from vidsearch.errors import QueryError
from vidsearch.search.filters import Filter
from vidsearch.search.types import Level, Mode

if TYPE_CHECKING:
    from vidsearch.search.fusion import Fusion

__all__ = ["Asked", "Leg", "SearchOptions", "ask", "require_text"]

Leg = str
"""``vector`` or ``keyword``."""

_LEGS: dict[Mode, tuple[Leg, ...]] = {
    "hybrid": ("vector", "keyword"),
    "vector": ("vector",),
    "keyword": ("keyword",),
}
_MOST_MOMENTS = 100  # the engines' own limit of inner hits
_INPUTS = ("image", "clip", "like", "vector")


class SearchOptions(TypedDict, total=False):
    """The keyword arguments of a search; see :meth:`vidsearch.search.VideoSearch.search`."""

    image: Any
    clip: Any
    like: str
    vector: Sequence[float]
    at: float
    k: int
    from_: int
    mode: Mode | None
    level: Level
    filter: Filter | None
    min_cosine: float | None
    gap: float | None
    moments: int
    merge_gap: float | None
    source: bool | Sequence[str]
    highlight: bool | Sequence[str]
    explain: bool
    fusion: str | Fusion | None
    collapse: str | float | None
    diversity: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A search whose arguments were checked."""

    text: str | None
    """Of the keyword leg, and of the vector leg where no other input is given."""
    input: tuple[str, Any]
    """What the vector leg compares with: ``text``, ``image``, ``clip``, ``like`` or ``vector``."""
    at: float | None
    """With ``like``: seconds into the video; the moment there, not the whole video."""
    k: int
    from_: int
    mode: Mode
    level: Level
    filter: Filter | None
    min_cosine: float | None
    gap: float | None
    moments: int
    merge_gap: float | None
    source: bool | tuple[str, ...]
    highlight: bool | tuple[str, ...]
    explain: bool
    fusion: Any
    collapse: str | float | None
    diversity: float | None

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs that the mode has."""
        return _LEGS[self.mode]

    @property
    def fuses(self) -> bool:
        """Whether there are several legs to fuse."""
        return len(self.legs) > 1

    @property
    def in_two(self) -> bool:
        """Whether the window is ranked first, and documents are read for the hits of a page only.

        Words give many hits of the same score, so only the whole window makes pages fit together.
        """
        return self.fuses or not self.needs_vector

    @property
    def reorders(self) -> bool:
        """Whether hits are folded together or made to differ, which takes the whole window."""
        return self.collapse is not None or self.diversity is not None

    @property
    def needs_vector(self) -> bool:
        """Whether there is something to embed."""
        return "vector" in self.legs

    @property
    def last(self) -> int:
        """Rank of the last hit that is asked for."""
        return self.from_ + self.k


def ask(
    text: str | None = None,
    *,
    window: int,
    image: Any = None,
    clip: Any = None,
    like: str | None = None,
    vector: Sequence[float] | None = None,
    at: float | None = None,
    k: int = 10,
    from_: int = 0,
    mode: Mode | None = None,
    level: Level = "segment",
    filter: Filter | None = None,
    min_cosine: float | None = None,
    gap: float | None = None,
    moments: int = 3,
    merge_gap: float | None = 0.0,
    source: bool | Sequence[str] = True,
    highlight: bool | Sequence[str] = False,
    explain: bool = False,
    fusion: Any = None,
    collapse: str | float | None = None,
    diversity: float | None = None,
) -> Asked:
    """Check the arguments.

    Raises:
        QueryError: one of them is wrong; the message names it and what is allowed.
    """
    values = (image, clip, like, vector)
    given = [pair for pair in zip(_INPUTS, values, strict=True) if pair[1] is not None]
    if len(given) > 1:
        names = " and ".join(name for name, _ in given)
        raise QueryError(f"{names} cannot be searched for at once: give one of them")
    if text is None and not given:
        raise QueryError(f"nothing to search for: give a text, or one of {', '.join(_INPUTS)}")
    if text is not None:
        text = require_text(text)
    mode = _mode(mode, has_text=text is not None)
    if mode == "keyword" and given:
        raise QueryError(f"mode=keyword compares words only: leave out {given[0][0]}")
    if like is not None and not (isinstance(like, str) and like.strip(".")):
        raise QueryError(f"like must be the id of a video, not {like!r}")
    if at is not None and not (like is not None and _is_real(at) and at >= 0):
        raise QueryError(f"at must be seconds into the video of like, not {at!r}")
    if level not in get_args(Level):
        raise QueryError(f"level must be {' or '.join(get_args(Level))}, not {level!r}")
    _require_int("k", k, 1, window, why=" (the setting search.window)")
    _require_int("from_", from_, 0, window - k, why=" (from_ and k within search.window)")
    _require_int("moments", moments, 0, _MOST_MOMENTS)
    if min_cosine is not None and not (_is_real(min_cosine) and -1 <= min_cosine <= 1):
        raise QueryError(f"min_cosine must be a number between -1 and 1, not {min_cosine!r}")
    for name, value in (("gap", gap), ("merge_gap", merge_gap)):
        if value is not None and not (_is_real(value) and 0 <= value < math.inf):
            raise QueryError(f"{name} must be a number from 0 on, not {value!r}")
    if diversity is not None and not (_is_real(diversity) and 0 <= diversity <= 1):
        raise QueryError(f"diversity must be a number between 0 and 1, not {diversity!r}")
    _require_collapse(collapse)
    return Asked(
        text=text,
        input=given[0] if given else ("text", text),
        at=at,
        k=k,
        from_=from_,
        mode=mode,
        level=level,
        filter=filter,
        min_cosine=min_cosine,
        gap=gap,
        moments=moments,
        merge_gap=merge_gap,
        source=_names("source", source),
        highlight=_names("highlight", highlight),
        explain=bool(explain),
        fusion=fusion,
        collapse=collapse,
        diversity=diversity,
    )


def require_text(text: object) -> str:
    """The text without blanks around it.

    Raises:
        QueryError: not a text, or nothing in it.
    """
    if not isinstance(text, str):
        raise QueryError(f"the search text must be a str, not {type(text).__name__}")
    text = text.strip()
    if not text:
        raise QueryError("the search text is empty: say what the video should show")
    return text


def _mode(mode: Mode | None, *, has_text: bool) -> Mode:
    if mode is None:
        return "hybrid" if has_text else "vector"
    if mode not in get_args(Mode):
        raise QueryError(f"mode must be hybrid, vector or keyword, not {mode!r}")
    if mode != "vector" and not has_text:
        raise QueryError(f"mode={mode} compares words: give a text, too, or mode=vector")
    return mode


def _names(name: str, value: bool | Sequence[str]) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    listed = isinstance(value, Sequence) and not isinstance(value, (str, bytes))
    if not listed or not all(isinstance(item, str) and item for item in value):
        raise QueryError(f"{name} must be true, false or a list of names of fields, not {value!r}")
    return tuple(value)


def _require_int(name: str, value: Any, low: int, high: int, *, why: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise QueryError(f"{name} must be a whole number from {low} to {high}{why}, not {value!r}")


def _require_collapse(collapse: Any) -> None:
    if collapse is None or (isinstance(collapse, str) and collapse):
        return
    if not (_is_real(collapse) and 0 < collapse <= 1):
        raise QueryError(
            "collapse must be a cosine above 0 and up to 1, or the name of a field, "
            f"not {collapse!r}"
        )


def _is_real(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
