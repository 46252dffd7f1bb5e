"""What the keyword leg looks for, within the limits of the engines."""

from __future__ import annotations

from typing import NamedTuple

from vidsearch_mappings.stop_words import without_stop_words
from vidsearch_mappings.words import PIECE

__all__ = ["Keywords"]

# Lucene counts one clause per word and field, and OpenSearch stops at 1,024 of them.
_MAX_CLAUSES = 900


class Keywords(NamedTuple):
    """What the keyword leg looks for, and where."""

    text: str
    words: str
    fields: tuple[str, ...]
    warnings: list[str]

    @classmethod
    def within_limits(cls, text: str, fields: tuple[str, ...], *, stop: frozenset[str]) -> Keywords:
        """As many fields, and words in all of them, as the engine can look for."""
        if not fields:
            warning = "the index has none of the fields of search.keyword_fields: no hit by keyword"
            return cls(text, text, fields, [warning])
        warnings = []
        words = without_stop_words(text, stop)
        most = _MAX_CLAUSES
        if not words:  # Nothing but the whole phrase finds: rather in fewer fields than cut short.
            text, count = _first_words(text, most)
            most //= min(count, most) or 1
        if len(fields) > most:
            warnings.append(f"words are looked for in {most} of {len(fields)} fields only")
            fields = fields[:most]
        if words:
            limit = _MAX_CLAUSES // len(fields)
            first, count = _first_words(words, limit)
            if count > limit:
                warnings.append(
                    f"only the first {limit} of {count} words are looked for by keyword"
                )
            # The phrase has clauses of its own, for which there may be no room.
            if first != text and count + _first_words(text, limit)[1] > limit:
                text = first
            words = first
        return cls(text, words, fields, warnings)


def _first_words(text: str, limit: int) -> tuple[str, int]:
    """The text up to so many words, and how many it has."""
    words = list(PIECE.finditer(text))
    return (text[: words[limit - 1].end()] if len(words) > limit else text), len(words)
