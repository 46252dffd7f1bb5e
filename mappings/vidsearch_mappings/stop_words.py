"""Words that say nothing of what a video shows, by language."""

from __future__ import annotations

import functools
import re
from importlib import resources

__all__ = ["stop_words", "without_stop_words"]

# What the standard analyzer takes for one word: "don't", "o'clock", "a.m" and "red_car" are one.
_WORD = re.compile(r"\w+(?:['’.]\w+)*")
_LANGUAGE = re.compile(r"_([a-z]+)_")


@functools.cache
def _lists() -> dict[str, frozenset[str]]:
    text = resources.files(__package__).joinpath("stop_words.txt").read_text(encoding="utf-8")
    lines = (line.split(": ", 1) for line in text.splitlines() if not line.startswith("#"))
    return {language: frozenset(words.split()) for language, words in lines}


@functools.cache
def stop_words(entries: tuple[str, ...]) -> frozenset[str]:
    """The words that entries such as ``_english_`` and ``video`` stand for, in lower case.

    Raises:
        ValueError: there is no list for a language.
    """
    words: set[str] = set()
    for entry in entries:
        match = _LANGUAGE.fullmatch(entry)
        if match is None:
            words.add(_normal(entry))
        elif match[1] in _lists():
            words |= _lists()[match[1]]
        else:
            known = ", ".join(f"_{language}_" for language in _lists())
            raise ValueError(f"no list of stop words is called {entry!r}; there are {known}")
    return frozenset(words)


def without_stop_words(text: str, stop: frozenset[str]) -> str:
    """The text itself where it has no stop words; empty where it has no others."""
    words = [_normal(match[0]) for match in _WORD.finditer(text)]
    if stop.isdisjoint(words):
        return text
    if stop.issuperset(words):
        return ""
    kept = _WORD.sub(lambda match: "" if _normal(match[0]) in stop else match[0], text)
    return " ".join(kept.split())


def _normal(word: str) -> str:
    return word.casefold().replace("’", "'")
