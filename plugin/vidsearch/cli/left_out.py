"""Names the videos that a command on captions could not take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vidsearch.cli import output

if TYPE_CHECKING:
    from vidsearch.evaluation import LeftOut

__all__ = ["tell_left_out"]

_SHOWN = 10


def tell_left_out(left_out: Sequence[LeftOut], *, part_of: str) -> None:
    """Say on stderr how many were left out, and the first ones with their reasons.

    Args:
        left_out: videos, or captions of them.
        part_of: what they are not part of, such as ``the table``.
    """
    if not left_out:
        return
    output.talk(f"left out: {len(left_out)}, and not part of {part_of}")
    for video, reason in left_out[:_SHOWN]:
        output.talk(f"  {video}: {reason}")
    if len(left_out) > _SHOWN:
        output.talk(f"  … and {len(left_out) - _SHOWN} more; --json names all")
