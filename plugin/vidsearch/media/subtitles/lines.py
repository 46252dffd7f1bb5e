"""From the lines of a subtitle format to plain ones: no markup, nothing said twice."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from itertools import islice

from vidsearch.media.frames import Cue

__all__ = ["MOST_LINES", "Line", "cues_of", "plain_lines"]

MOST_LINES = 50_000
"""Of one track."""
MOST_CHARACTERS = 2_000_000
"""Of one track; three hours of talk are a tenth of that."""
_MOST_IN_A_LINE = 2000

# SubStation's overrides, and what follows them; SubRip's and WebVTT's tags (among them the names of
# voices: `<v Anna>`) and times of words. What is left in braces or angles was meant to be read.
_BRACES = re.compile(r"\{([^{}]*)\}([^{}]*)")
_DRAWS = re.compile(r"\\p[1-9]")
_TAG = re.compile(r"</?(?:[A-Za-z][^<>]*|[0-9:.]+)?>")
_BREAK = re.compile(r"\\[Nn]|[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]+")
_UNSEEN = re.compile(r"[\x00-\x08\x0e-\x1b\x7f\u200b\u200e\u200f\u2060\u202a-\u202e\ufeff]|\\h")
_TURN = re.compile(r"^(?:>>+|[-–—](?=\s|[^\W\d]))\s*")
_MOST_ROLLING = 8
"""Lines on display at a time."""
_CLOSE_SECONDS = 0.25
"""A line that follows the one before within this time may be the same one, shown on."""

Line = tuple[float, float, str]
"""Start and end in seconds, and text with markup and line breaks."""


def plain_lines(text: str) -> list[str]:
    """What a viewer reads: without markup, entities and the dash of a speaker's turn.

    Letters and their marks are put together (NFC), as in what people search for.
    """
    text = _BRACES.sub(_without_override, text[: 2 * _MOST_IN_A_LINE])
    text = unicodedata.normalize("NFC", html.unescape(_TAG.sub("", text)))
    lines = (" ".join(_UNSEEN.sub(" ", line).split()) for line in _BREAK.split(text))
    return [line for line in (_TURN.sub("", line) for line in lines) if line]


def cues_of(lines: Iterable[Line]) -> tuple[Cue, ...]:
    """Plain cues in order.

    Captions that roll (a line is shown again above the next one) or grow by the word, and lines
    that are drawn twice for effect, are said once.

    What is shown before the first frame is left out, as are lines beyond ``MOST_LINES`` and text
    beyond ``MOST_CHARACTERS``.
    """
    cues: list[Cue] = []
    shown: list[str] = []
    characters = 0
    for start, end, text in sorted(islice(lines, MOST_LINES), key=lambda line: line[:2]):
        if characters > MOST_CHARACTERS:
            break
        read = plain_lines(text)
        if not read or end <= 0:
            continue
        start, end = max(start, 0.0), max(start, end)
        follows = bool(cues) and start <= cues[-1].end + _CLOSE_SECONDS
        fresh = read[_repeated(shown, read) :] if follows else read
        words = " ".join(fresh)[:_MOST_IN_A_LINE]
        if follows and (not fresh or words.startswith(cues[-1].text + " ")):
            last = cues.pop()
            start, end, words = last.start, max(end, last.end), words or last.text
            characters -= len(last.text)
        characters += len(words)
        cues.append(Cue(start=start, end=end, text=words))
        shown = read if fresh else shown
    return tuple(cues)


def _without_override(match: re.Match[str]) -> str:
    inside, after = match.groups()
    if "\\" not in inside:
        return match[0]
    return "" if _DRAWS.search(inside) else after


def _repeated(shown: list[str], read: list[str]) -> int:
    """How many lines at the beginning of ``read`` are the last ones of ``shown``."""
    for count in range(min(len(shown), len(read), _MOST_ROLLING), 0, -1):
        if shown[-count:] == read[:count]:
            return count
    return 0
