"""A search as the address bar holds it: read from a URL, and written into links."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from vidsearch.errors import QueryError
from vidsearch.search import SearchRequest
from vidsearch.search.conditions import parse_condition
from vidsearch.search.request_fields import plain_sort
from vidsearch.search.timecode import seconds_text

__all__ = ["FACET", "LONGEST_LABEL", "MOMENTS", "NUMBERS", "PER_PAGE", "PageQuery"]

PER_PAGE = 12
"""Videos on a page; fewer where the settings let no client ask for so many."""
MOMENTS = 6
FACET = "f."
"""Begins the parameters of facets: ``f.tags=harbour``."""
NUMBERS = frozenset({"at", "page"})
"""Parameters that are numbers; others are read whatever they hold."""
_FOLDED = 0.98
"""Cosine from which videos are near-duplicates."""
LONGEST_LABEL = 80
"""Characters of what a picture or a video is called."""


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What is asked for. Values are as they were given: the search checks them."""

    q: str = ""
    like: str | None = None
    """Id of a video, which may begin and end with blanks."""
    at: float | None = None
    """Seconds into it."""
    v: str = ""
    """The vector of a picture, see :mod:`vidsearch.web.pages.picture_vector`."""
    pic: str = ""
    """What the picture, or that video, is called."""
    mode: str = ""
    level: str = "segment"
    fusion: str = ""
    twins: str = "fold"
    """``fold`` shows one of several near-duplicates, ``show`` all."""
    sort: str = ""
    where: str = ""
    """Conditions, with semicolons between them."""
    facets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Chosen values by field."""
    page: int = 1

    @classmethod
    def of(cls, params: Iterable[tuple[str, str]]) -> PageQuery:
        """Read the parameters of a URL; what is unknown is passed over.

        Raises:
            QueryError: one that should be a number is none.
        """
        given: dict[str, Any] = {}
        facets: dict[str, list[str]] = {}
        for name, value in params:
            if name.startswith(FACET):  # whose value may be an empty text
                facets.setdefault(name.removeprefix(FACET), []).append(value)
            elif name in _TEXTS and value.strip():
                given[name] = value if name == "like" else value.strip()
            elif name in NUMBERS and value:
                given[name] = _number(name, value)
        given["pic"] = given.get("pic", "")[:LONGEST_LABEL]
        if isinstance(sort := plain_sort(given.get("sort")), str):
            given["sort"] = sort
        return cls(**given, facets={name: tuple(values) for name, values in facets.items()})

    @classmethod
    def of_string(cls, string: str) -> PageQuery:
        """Read a query string, without the question mark."""
        return cls.of(parse_qsl(string, keep_blank_values=True))

    @property
    def asks(self) -> bool:
        """Whether there is anything to search for."""
        return bool(self.q or self.compares_with_other)

    @property
    def compares_with_other(self) -> bool:
        """Whether a picture or a video is compared with, and not the text."""
        return self.like is not None or bool(self.v)

    @property
    def told(self) -> str:
        """What is searched for, in a few words."""
        return self.q or self.pic or self.like or ""

    @property
    def by_words(self) -> bool:
        """Whether words alone are compared, so that no model is needed."""
        return self.mode == "keyword"

    @property
    def shown_mode(self) -> str:
        """The mode that the switch shows as chosen."""
        is_default = self.mode == "hybrid" or (self.by_words and self.compares_with_other)
        return "" if is_default else self.mode

    @property
    def at_text(self) -> str:
        """The seconds as they stand in a URL."""
        return "" if self.at is None else seconds_text(self.at)

    @property
    def rarer(self) -> int:
        """Number of the rarer options that differ from their defaults."""
        return sum(getattr(self, name) != _DEFAULTS[name] for name in _RARER)

    @property
    def chosen(self) -> int:
        """Number of values chosen in facets."""
        return sum(map(len, self.facets.values()))

    @property
    def string(self) -> str:
        """The query string; what has its default is left out."""
        pairs = [
            (name, self.at_text if name == "at" else str(getattr(self, name)))
            for name in _ORDER
            if getattr(self, name) != _DEFAULTS[name]
        ]
        return urlencode([*pairs, *self._facet_pairs])

    @property
    def beside_the_form(self) -> list[tuple[str, str]]:
        """Names and values that controls beside the results hold, for where there are none."""
        return [*([("sort", self.sort)] if self.sort else []), *self._facet_pairs]

    @property
    def _facet_pairs(self) -> list[tuple[str, str]]:
        return [
            (f"{FACET}{name}", value) for name, values in self.facets.items() for value in values
        ]

    def url(self, root: str, **changes: Any) -> str:
        """The link to this search with some values changed; to its first page, unless that is one.

        Args:
            root: where the app is mounted, without a slash at its end.
            **changes: values by name.
        """
        string = replace(self, **{"page": 1, **changes}).string
        return f"{root}/?{string}" if string else f"{root}/"

    def filter(self) -> list[dict[str, Any]]:
        """The conditions of facets and of ``where``.

        Raises:
            QueryError: ``where`` holds something else than conditions.
        """
        typed = [
            parse_condition(condition, what="“Only where”:")
            for condition in self.where.split(";")
            if condition.strip()
        ]
        return [*({name: list(values)} for name, values in self.facets.items()), *typed]

    def request(
        self, *, size: int = PER_PAGE, window: int, vector: Any = None, **options: Any
    ) -> SearchRequest:
        """The search.

        Args:
            size: videos on a page.
            window: the setting ``search.window``, in which the last page has to end.
            vector: of the picture, where there is one.
            **options: further arguments of the search.

        Raises:
            QueryError: a value is wrong; the message says how.
        """
        before, last = size * (self.page - 1), math.ceil(window / size)
        if self.page > last:
            raise QueryError(
                f"page must be at most {last}, not {self.page}: no search goes further than its "
                f"{window} best hits (search.window)",
                argument="page",
            )
        return SearchRequest.model_validate(
            {
                "text": self.q or None,
                "like": self.like,
                "at": self.at if self.like is not None else None,
                "vector": vector,
                "k": min(size, window - before),
                "from": before,
                "mode": self._mode,
                "level": self.level,
                "fusion": self.fusion or None,
                "filter": self.filter() or None,
                "collapse": _FOLDED if self.twins == "fold" and not self.by_words else None,
                "moments": MOMENTS,
                "sort": self.sort or None,
                **options,
            }
        )

    @property
    def _mode(self) -> str | None:
        """Words alone cannot be compared with a picture: without a text, its look is."""
        if not self.q and self.compares_with_other:
            return None
        return self.mode or None


_DEFAULTS: dict[str, Any] = {
    name: getattr(PageQuery(), name) for name in PageQuery.__slots__ if name != "facets"
}
_ORDER = [name for name in PageQuery.__slots__ if name != "facets"]
_TEXTS = frozenset(_ORDER) - NUMBERS
_RARER = ("level", "fusion", "twins", "where")


def _number(name: str, value: str) -> float:
    try:
        if name == "page":
            page = int(value)
            return max(page, 1)
        return float(value)
    except ValueError:
        raise QueryError(f"{name} must be a number, not {value!r}", argument=name) from None
