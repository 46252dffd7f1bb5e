"""Words that say nothing of what a video shows, by language."""

from __future__ import annotations

import functools
import unicodedata
from importlib import resources

from vidsearch_mappings.words import WORD

__all__ = ["stop_words", "without_stop_words"]


@functools.cache
def _lists() -> dict[str, frozenset[str]]:
    text = resources.files(__package__).joinpath("stop_words.txt").read_text(encoding="utf-8")
    lines = (line.split(": ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {language: frozenset(map(_normal, words.split())) for language, words in lines}


@functools.cache
def stop_words(entries: tuple[str, ...]) -> frozenset[str]:
    """The words that entries such as ``_english_`` and ``video`` stand for, normalised.

    Raises:
        ValueError: there is no list for a language.
    """
    words: set[str] = set()
    for entry in entries:
        if not (entry.startswith("_") and entry.endswith("_")):
            words.add(_normal(entry))
        elif entry[1:-1] in _lists():
            words |= _lists()[entry[1:-1]]
        else:
            known = ", ".join(f"_{language}_" for language in _lists())
            raise ValueError(f"no list of stop words is called {entry!r}; there are {known}")
    return frozenset(words)


def without_stop_words(text: str, stop: frozenset[str]) -> str:
    """The text itself where it has no stop words; empty where it has no others."""
    words = [_normal(match[0]) for match in WORD.finditer(text)]
    if stop.isdisjoint(words):
        return text
    if stop.issuperset(words):
        return ""
    kept = WORD.sub(lambda match: "" if _normal(match[0]) in stop else match[0], text)
    return " ".join(kept.split())


def _normal(word: str) -> str:
    return unicodedata.normalize("NFC", word).casefold().replace("’", "'")
