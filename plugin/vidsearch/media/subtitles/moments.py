"""Which words belong to which moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vidsearch.media.frames import Cue

__all__ = ["spoken_in", "spoken_in_each", "transcript"]

_ENOUGH_SECONDS = 1.0
_MOST_IN_ALL = 4_000_000
"""Characters of all moments together: lines that are shown all the time would stand in each."""
_LEAST_EACH = 500


def spoken_in(cues: Sequence[Cue], start: float, end: float) -> str:
    """The lines of a moment, in one string.

    A line at a boundary belongs to both moments, unless it only touches one of them: what counts is
    half of the line, a second of it, or half of the moment. So every line that is shown during the
    video belongs to a moment at least.

    Args:
        cues: lines in order.
        start: of the moment, in seconds.
        end: of the moment, in seconds.
    """
    return next(spoken_in_each(cues, [(start, end)]))


def spoken_in_each(cues: Sequence[Cue], moments: Sequence[tuple[float, float]]) -> Iterator[str]:
    """:func:`spoken_in` for moments whose starts ascend, in one pass over the lines.

    A text is cut off where all of such a length would be more than four million characters.

    Args:
        cues: lines in order.
        moments: start and end of each, in seconds.
    """
    most = max(_LEAST_EACH, _MOST_IN_ALL // max(len(moments), 1))
    near: list[Cue] = []
    read = 0
    for start, end in moments:
        while read < len(cues) and cues[read].start < end:
            near.append(cues[read])
            read += 1
        near = [cue for cue in near if cue.end >= start]
        yield " ".join(cue.text for cue in near if _belongs(cue, start, end))[:most].rstrip()


def transcript(cues: Sequence[Cue]) -> str:
    """All lines of a video, in one string."""
    return " ".join(cue.text for cue in cues)


def _belongs(cue: Cue, start: float, end: float) -> bool:
    if cue.start == cue.end:
        return start <= cue.start < end
    shared = min(cue.end, end) - max(cue.start, start)
    return 0 < shared >= min((cue.end - cue.start) / 2, _ENOUGH_SECONDS, (end - start) / 2)
