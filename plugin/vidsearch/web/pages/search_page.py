"""The search page: one box, results as cards, facets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from starlette.requests import Request
from starlette.responses import Response

from vidsearch.config import FusionName
from vidsearch.errors import VidsearchError
from vidsearch.search import Facet, Hit, SearchResult
from vidsearch.search.timecode import seconds_text
from vidsearch.web.limits import check_text, max_k
from vidsearch.web.pages.cards import CARD_FIELDS, card_of
from vidsearch.web.pages.facets import asked_facets, date_fields, facet_views
from vidsearch.web.pages.picture_vector import from_text
from vidsearch.web.pages.query import NUMBERS, PER_PAGE, PageQuery
from vidsearch.web.pages.rendering import failure_of, render, root_of
from vidsearch.web.problems import Problem, problem_of
from vidsearch.web.public import public_fields, tells_of_hidden

if TYPE_CHECKING:
    from vidsearch.index.description import IndexDescription
    from vidsearch.web.context import WebContext

__all__ = ["SearchPage"]

_RELOAD_SECONDS = 2
_MODES = (
    ("", "Look and words", "What is seen, and the words of titles, tags and subtitles"),
    ("vector", "Look", "What is seen, alone"),
    ("keyword", "Words", "The words of titles, tags and subtitles, alone"),
)
_LEVELS = (
    ("segment", "its best moment"),
    ("video", "the whole of it"),
    ("both", "the better of both"),
)
_FUSION_WORDS: dict[FusionName, str] = {
    "rrf": "by ranks",
    "linear": "by scores",
    "sum": "sum of scores",
    "native": "by the engine, by scores",
    "native_rrf": "by the engine, by ranks",
}
_FUSIONS = (
    ("", "as the server is set"),
    *((name, f"{_FUSION_WORDS[name]} ({name})") for name in get_args(FusionName)),
)
_TWINS = (("fold", "folded into the best"), ("show", "all shown"))
_MODE_WORDS = {"hybrid": "by look and words", "vector": "by look", "keyword": "by words"}


class SearchPage:
    """Answers ``/``.

    Args:
        context: of the app.
    """

    def __init__(self, context: WebContext) -> None:
        self._context = context
        self._settings = context.settings

    async def answer(self, request: Request) -> Response:
        """The first page, results, or what is in their way."""
        root, given = root_of(request), request.query_params.multi_items()
        query = PageQuery.of(pair for pair in given if pair[0] not in NUMBERS)
        try:
            query = PageQuery.of(given)
            if not query.asks:
                return self._start(request, query)
            if self._waits_for_model(query):
                return _loading(request, query)
            return await self._results(request, query)
        except (VidsearchError, Problem) as error:
            problem = problem_of(error)
            values = {
                **self._form(query, root),
                "carried": query.beside_the_form,
                "facets": [],
                "failure": failure_of(problem, path="/"),
                "cards": [],
                "start": False,
            }
            headers = problem.all_headers
            return render(request, "search.html", values, status=problem.status, headers=headers)

    def _start(self, request: Request, query: PageQuery) -> Response:
        notices = []
        if self._context.readiness.state == "loading":
            notices.append("The model is loading; a first search waits for it.")
        values = {**self._form(query, root_of(request)), "start": True, "notices": notices}
        return render(request, "search.html", {**values, "cards": []})

    def _waits_for_model(self, query: PageQuery) -> bool:
        embeds = bool(query.q) and not query.by_words and not query.compares_with_other
        return embeds and self._context.readiness.state == "loading"

    async def _results(self, request: Request, query: PageQuery) -> Response:
        check_text(query.q, self._settings)
        root, index = root_of(request), await self._context.describe_index()
        vector = from_text(query.v, index.identity) if query.v else None
        facets = self._facets(index, query)
        shown = [*CARD_FIELDS, f"{index.field}.duration"]
        size = min(PER_PAGE, max_k(self._settings))
        wanted = query.request(
            size=size,
            window=self._settings.search.window,
            vector=vector,
            facets=facets,
            source=shown,
        )
        found = await self._context.find(wanted, own=("source", "facets"))
        values = {
            **self._form(query, root),
            **_pages(found, query, root, size=size),
            "start": False,
            "facets": facet_views(found.facets, query=query),
            "sorts": self._sorts(index, query),
            "heading": _heading(found),
            "subheading": f"{_MODE_WORDS[found.mode]}, {found.took:.0f} ms",
            "notices": list(found.warnings),
            "cards": [self._card(hit, query, root) for hit in found],
            "nothing": _nothing(query),
            "hints": _hints(found, query, root),
        }
        return render(request, "search.html", values)

    def _card(self, hit: Hit, query: PageQuery, root: str) -> Any:
        return card_of(
            hit,
            fields=public_fields(hit.fields, self._settings),
            query=query,
            root=root,
            settings=self._settings,
        )

    def _facets(self, index: IndexDescription, query: PageQuery) -> list[Facet]:
        return asked_facets(index, query, is_shown=self._shown_of(index))

    def _shown_of(self, index: IndexDescription) -> Callable[[str], bool]:
        """Tells of the fields of an index whether clients may know of them."""
        tells = tells_of_hidden(index, self._settings)
        return lambda field: not tells(field)

    def _sorts(self, index: IndexDescription, query: PageQuery) -> list[tuple[str, str]]:
        """The orders to choose from; that of a URL which somebody typed among them."""
        shown = list(filter(self._shown_of(index), date_fields(index)))
        told = [
            "newest in the index" if name.startswith(f"{index.field}.") else f"newest ({name})"
            for name in shown
        ]
        sorts = [
            ("", "best first"),
            *((f"-{n}", text) for n, text in zip(shown, told, strict=True)),
        ]
        if query.sort not in dict(sorts):
            way = "downwards" if query.sort.startswith("-") else "upwards"
            sorts.append((query.sort, f"{query.sort.removeprefix('-')}, {way}"))
        return sorts

    def _form(self, query: PageQuery, root: str) -> dict[str, Any]:
        """What the form of a search shows."""
        modes = [each for each in _MODES if each[0] != "keyword" or not query.compares_with_other]
        return {
            "query": query,
            "chips": _chips(query, root),
            "modes": modes,
            "levels": _LEVELS,
            "fusions": _FUSIONS,
            "twins": _TWINS,
            "max_text": self._settings.web.max_text,
            "failure": None,
            "notices": [],
            "carried": [],
        }


def _loading(request: Request, query: PageQuery) -> Response:
    values = {"by_words": query.url(root_of(request), mode="keyword")}
    # As a header, as it takes no script and no element that assistive software stumbles over.
    headers = {"retry-after": str(_RELOAD_SECONDS), "refresh": str(_RELOAD_SECONDS)}
    return render(request, "loading.html", values, status=503, headers=headers)


def _chips(query: PageQuery, root: str) -> list[dict[str, str]]:
    """What is compared with besides the text, each with a link to the search without it."""
    if query.v:
        text = f"Picture: {query.pic}" if query.pic else "A picture"
        return [{"text": text, "without": query.url(root, v="", pic=""), "picture": query.v[-24:]}]
    if query.like is not None:
        at = "" if query.at is None else f" at {seconds_text(round(query.at, 3))} s"
        return [
            {
                "text": f"Like {query.pic or query.like}{at}",
                "without": query.url(root, like=None, at=None, pic=""),
                "picture": "",
            }
        ]
    return []


def _heading(found: SearchResult) -> str:
    noun = "video" if found.total.value == 1 and found.total.relation == "eq" else "videos"
    text = str(found.total)
    return f"{text[:1].upper()}{text[1:]} {noun}" if found.total.value else "No videos"


def _pages(found: SearchResult, query: PageQuery, root: str, *, size: int) -> dict[str, Any]:
    last = math.ceil(found.total.reachable / size)
    return {
        "first": size * (query.page - 1) + 1,
        "previous": query.url(root, page=min(query.page - 1, last)) if query.page > 1 else None,
        "next": query.url(root, page=query.page + 1) if query.page < last else None,
    }


def _nothing(query: PageQuery) -> str:
    """Why nothing was found. By look the nearest are found, however far they are."""
    if query.page > 1:
        return "The results end before this page."
    has_words = query.by_words and query.q
    if query.chosen or query.where:
        both = "No video that matches the filters contains these words."
        return both if has_words else "No video matches the filters."
    if has_words:
        return "No video contains these words."
    if query.like is not None:
        return "There is no other video in the index."
    return "There are no videos in the index yet."


def _hints(found: SearchResult, query: PageQuery, root: str) -> list[dict[str, str]]:
    """What to try where nothing was found."""
    if found.hits:
        return []
    hints = []
    if query.page > 1:
        hints.append({"text": "Go back to the first page", "url": query.url(root)})
    if query.chosen or query.where:
        hints.append({"text": "Leave out the filters", "url": query.url(root, facets={}, where="")})
    if query.by_words:
        url = query.url(root, mode="")
        hints.append({"text": "Search by look and words", "url": url})
    if query.by_words and query.q and query.page == 1:
        hints.append({"text": "Use other words, or fewer", "url": ""})
    if not hints:
        hints.append({"text": "See what waits to be indexed", "url": f"{root}/admin"})
    return hints
