"""What the keyword leg looks for, within the limits of the engines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from vidsearch.config import SearchSettings
from vidsearch.engines import Json
from vidsearch.errors import QueryError
from vidsearch.index.description import IndexDescription, found_once
from vidsearch.search.mapping_fields import expand_fields, find_name, nested_fields
from vidsearch.search.request import Leg, SearchRequest
from vidsearch_mappings.queries import highlighted
from vidsearch_mappings.stop_words import stop_words, without_stop_words
from vidsearch_mappings.words import PIECE

__all__ = ["Keywords", "scored_by_whole_index"]

# Lucene counts one clause per word and field, and OpenSearch stops at 1,024 of them.
_MAX_CLAUSES = 900


class Keywords(NamedTuple):
    """What the keyword leg looks for, and where."""

    text: str
    words: str
    fields: tuple[str, ...]
    warnings: list[str]

    @classmethod
    def of(cls, text: str, index: IndexDescription, settings: SearchSettings) -> Keywords:
        """The words of a text, in the fields of an index that the settings name."""
        named = settings.keyword_fields
        fields, nested = found_once(
            index,
            ("word fields", (named, index.field)),
            lambda: (
                expand_fields(index.properties, named, hidden=index.field),
                nested_fields(index.properties, named),
            ),
        )
        found = cls.within_limits(text, fields, stop=stop_words(settings.stop_words))
        for name in nested:
            found.warnings.append(
                f"search.keyword_fields names {name}, which lies in a nested object, where words "
                "are not looked for: copy them to a field of the video (copy_to in the mapping)"
            )
        return found

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

    def highlighted_in(
        self,
        body: Json,
        request: SearchRequest,
        properties: Mapping[str, Any],
        *,
        tags: tuple[str, str],
    ) -> Json:
        """A body that brings the highlights of a request; ``explain`` tells matched fields by them.

        Raises:
            QueryError: the index has no field of that name.
        """
        fields = [name.partition("^")[0] for name in self.fields]
        if not isinstance(request.highlight, bool):
            for name in request.highlight:
                if find_name(properties, name) is None:
                    message = f"highlight: the index has no field {name!r}"
                    raise QueryError(message, argument="highlight")
            fields = list(dict.fromkeys([*request.highlight, *(fields if request.explain else [])]))
        if not fields:
            return body
        return highlighted(body, text=self.text, words=self.words, fields=fields, tags=tags)


def _first_words(text: str, limit: int) -> tuple[str, int]:
    """The text up to so many words, and how many it has."""
    words = list(PIECE.finditer(text))
    return (text[: words[limit - 1].end()] if len(words) > limit else text), len(words)


def scored_by_whole_index(leg: Leg, body: Json) -> Json:
    """The body, with words scored by the whole index.

    By itself each shard counts how rare a word is among its own documents, and the engines deal
    ids out to shards differently: BM25 would depend on the neighbours of a document. Of an index
    with one shard the engines ask nothing more. OpenSearch's hybrid query cannot do it.
    """
    if leg.startswith("vector") or "retriever" in body or "hybrid" in body.get("query", {}):
        return body
    return {**body, "search_type": "dfs_query_then_fetch"}
