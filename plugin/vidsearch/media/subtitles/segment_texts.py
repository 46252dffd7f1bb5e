"""Which subtitles belong to which segment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from vidsearch.media.frames import Cue

__all__ = ["segment_texts", "transcript"]

_ENOUGH_SECONDS = 1.0
_MOST_IN_ALL = 4_000_000
"""Characters of all segments together: lines that are shown all the time would stand in each."""
_LEAST_EACH = 500


def segment_texts(cues: Sequence[Cue], segments: Sequence[tuple[float, float]]) -> Iterator[str]:
    """The lines of each segment, in one string per segment.

    A line at a boundary belongs to both segments, unless it only touches one of them: what counts
    is half of the line, a second of it, or half of the segment. So every line that is shown during
    the video belongs to at least one segment.

    A text is cut off where all of such a length would be more than four million characters.

    Args:
        cues: lines in order.
        segments: start and end of each, in seconds; the starts ascend.
    """
    most = max(_LEAST_EACH, _MOST_IN_ALL // max(len(segments), 1))
    near: list[Cue] = []
    read = 0
    for start, end in segments:
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
