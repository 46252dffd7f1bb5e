"""Searches of any arguments together find, sort and count what brute force does, page by page."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.search_index import TableEncoder, Video, create_index, make_videos, unit_vectors
from tests.search_reference import Expected, Found, Question, Unclear, expected
from tests.services import RunningServices

from vidsearch.config import SearchSettings
from vidsearch.engines import Engine
from vidsearch.search import Facet, Hit, SearchResult, VideoSearch

pytestmark = [pytest.mark.integration, pytest.mark.newest_nodes]

WINDOW = 20


def _videos() -> list[Video]:
    """Of one to five segments, all of which are read for a moment; with copies."""
    videos = [
        replace(
            video,
            segments=video.segments[:5],
            fields={**video.fields, "rating": 1.1 + at % 4, "live": at % 3 == 0},
        )
        for at, video in enumerate(make_videos(44))
    ]
    copies = [replace(videos[at], id=f"a-copy-{at}") for at in (3, 8, 8, 21)]
    copies[2] = replace(copies[2], id="z-copy-8")
    return [*videos, *copies]


VIDEOS = _videos()
TEXTS = ["circle", "red dog", "blue river at night", "house", "nothing of the kind"]
CONDITIONS: dict[str, tuple[Any, Callable[[Video], bool], dict[str, Callable[[Video], bool]]]] = {}
"""A filter, what it means, and what it means without what it says about a field."""


def _all(video: Video) -> bool:
    return True


def _condition(
    name: str,
    filter: Any,
    where: Callable[[Video], bool],
    **without: Callable[[Video], bool],
) -> None:
    CONDITIONS[name] = (filter, where, without)


_condition("none", None, _all)
_condition("odd", {"tags": "odd"}, lambda v: "odd" in v.fields["tags"], tags=_all)
_condition("new", [{"year": {"gte": 2012}}], lambda v: v.fields["year"] >= 2012, year=_all)
_condition(
    "red or blue, and old",
    {"tags": ["red", "blue"], "year": {"lt": 2018}},
    lambda v: {"red", "blue"} & {*v.fields["tags"]} != set() and v.fields["year"] < 2018,
    tags=lambda v: v.fields["year"] < 2018,
    year=lambda v: {"red", "blue"} & {*v.fields["tags"]} != set(),
)
_condition(
    "no licence", {"licence": {"exists": False}}, lambda v: "licence" not in v.fields, licence=_all
)
_condition("nothing", {"tags": "purple"}, lambda v: False, tags=_all)

FACETS = [
    Facet(field="tags"),
    Facet(field="tags", size=2, own_filter=False),
    Facet(field="licence", order="value"),
    Facet(field="year", interval=5.0, order="value", own_filter=False),
    Facet(field="year", size=3),
    Facet(field="recorded", interval="month"),
    Facet(field="video.duration"),
    Facet(field="live"),
    Facet(field="rating", order="value"),
]
MERGE_GAPS = st.sampled_from([None, 0.0, 1.0])
"""Seconds; segments are 0.7 apart."""
SORTS = ["year", "-year", "-recorded", "licence", "tags", "-tags", "-rating", "video.duration"]


def _unless_none(name: str, values: Any) -> Any:
    return st.one_of(st.none(), values).map(lambda value: {} if value is None else {name: value})


def _rarely_the_last(values: list[str]) -> Any:
    """The last one finds nothing, and leaves little to compare."""
    return st.sampled_from([*values[:-1] * 4, values[-1]])


searches = st.fixed_dictionaries(
    {
        "input": st.sampled_from(["text", "vector", "like", "like at"]),
        "number": st.integers(0, len(VIDEOS) - 1),
        "text": _rarely_the_last(TEXTS),
        "mode": st.sampled_from(["vector", "hybrid", "keyword"]),
        "where": _rarely_the_last([*CONDITIONS]),
        "page": st.integers(1, 12),
        "options": st.tuples(
            st.sampled_from([{}, {"level": "segment"}, {"level": "video"}, {"level": "both"}]),
            _unless_none("gap", st.sampled_from([0.0, 0.05, 0.1, 0.2, 0.4])),
            _unless_none("min_cosine", st.sampled_from([-0.05, 0.06, 0.11, 0.16])),
            _unless_none("collapse", st.sampled_from(["licence", "tags", "year", 0.99, 0.3])),
            _unless_none("sort", st.sampled_from(SORTS)),
            _unless_none(
                "facets",
                st.lists(st.sampled_from(FACETS), max_size=4, unique_by=lambda facet: facet.field),
            ),
            st.one_of(
                st.just({}),
                st.fixed_dictionaries({"moments": st.integers(0, 3), "merge_gap": MERGE_GAPS}),
                st.fixed_dictionaries(
                    {
                        "group_by": st.just("moment"),
                        "moments": st.integers(1, 3),
                        "merge_gap": MERGE_GAPS,
                    }
                ),
            ),
        ),
    }
)


@dataclass(frozen=True)
class Stage:
    """An index of the videos."""

    search: VideoSearch
    words: dict[str, dict[str, float]]
    """What the engine gives each video for the words of each text."""


def stage_of(engine: Engine, name: str, *, shards: int) -> Stage:
    # A graph may pass over a near video.
    create_index(engine, name, VIDEOS, quantization="flat", shards=shards)
    wide = VideoSearch(engine, TableEncoder(), index=name)
    found = {text: wide.search(text, mode="keyword", k=100) for text in TEXTS}
    return Stage(
        VideoSearch(engine, TableEncoder(), index=name, settings=SearchSettings(window=WINDOW)),
        {text: {hit.id: hit.score for hit in result} for text, result in found.items()},
    )


@pytest.fixture(scope="module", params=[1, 3], ids=["one shard", "three shards"])
def stage(
    request: pytest.FixtureRequest, shared_engine: Engine, services: RunningServices
) -> Iterator[Stage]:
    name = f"test-random-{uuid.uuid4().hex[:8]}"
    yield stage_of(shared_engine, name, shards=request.param)
    services.drop(name)


@settings(max_examples=15)
@given(asked=searches)
def test_a_search_finds_and_counts_what_brute_force_does_page_by_page(
    stage: Stage, asked: dict[str, Any]
) -> None:
    require_brute_force(stage, asked)


def require_brute_force(stage: Stage, asked: dict[str, Any]) -> None:
    request, question = _request(asked, stage.words)
    try:
        want = expected(VIDEOS, question, window=WINDOW)
    except Unclear:
        assume(False)
    _compare(stage.search.search(**request, k=WINDOW), want, 0, question, WINDOW)
    for at in range(0, WINDOW - asked["page"] + 1, asked["page"]):
        page = stage.search.search(**request, k=asked["page"], from_=at)
        _compare(page, want, at, question, asked["page"])


def _request(
    asked: dict[str, Any], words: dict[str, dict[str, float]]
) -> tuple[dict[str, Any], Question]:
    """The arguments of a search, and what they ask for."""
    options = {name: value for each in asked["options"] for name, value in each.items()}
    mode, text, video = asked["mode"], asked["text"], VIDEOS[asked["number"]]
    if options.get("group_by") == "moment":
        mode = "vector" if mode == "keyword" else mode
        options.pop("level", None)
    filter, where, without = CONDITIONS[asked["where"]]
    request = {**options, "mode": mode}
    if filter is not None:
        request["filter"] = filter
    vector = unit_vectors(text, 1)[0]
    itself = ""
    if mode != "vector" or asked["input"] == "text":
        request["text"] = text
    if mode == "keyword":
        options = {
            name: value
            for name, value in options.items()
            if name not in {"gap", "min_cosine", "level"}
        }
    elif asked["input"] == "vector":
        vector = unit_vectors(f"query {asked['number']}", 1)[0]
        request["vector"] = vector.tolist()
    elif asked["input"] != "text":
        itself = request["like"] = video.id
        vector = video.mean
        if asked["input"] == "like at":
            vector, request["at"] = video.segments[0], 1.0
    options["facets"] = tuple(options.get("facets", ()))

    def also(condition: Callable[[Video], bool]) -> Callable[[Video], bool]:
        return lambda video: video.id != itself and condition(video)

    return request, Question(
        vector=None if mode == "keyword" else np.asarray(vector),
        words=None if mode == "vector" else words[text],
        where=also(where),
        without_own=lambda field: also(without.get(field, where)),
        **options,
    )


def _compare(result: SearchResult, want: Expected, at: int, question: Question, k: int) -> None:
    """Compare a page of ``k`` hits that begins behind ``at`` others."""
    hits = want.hits[at : at + k]
    assert [_places(hit) for hit in result] == [_places(hit) for hit in hits]
    for hit, due in zip(result, hits, strict=True):
        assert hit.cosine == pytest.approx(due.cosine, abs=1e-5)
        cosines = [moment.cosine for moment in due.moments]
        assert [moment.cosine for moment in hit.moments] == pytest.approx(cosines, abs=1e-5)
    counted = {
        name: ([(each.value, each.count) for each in facet.values], facet.other, facet.missing)
        for name, facet in result.facets.items()
    }
    assert counted == want.facets
    total = result.total
    reads_page_only = (
        question.words is None
        and not question.facets
        and question.sort is None
        and question.collapse is None
        and question.group_by == "video"
    )
    if total.relation == "eq":
        assert (total.value, want.is_whole) == (want.total, True)
    elif reads_page_only:
        assert total.value <= want.total
    else:
        assert (total.value, want.is_whole) == (want.total, False)
    assert total.reachable == min(total.value, WINDOW)
    if hits:
        assert total.reachable >= at + len(hits)


def _places(hit: Hit | Found) -> tuple[str, list[tuple[float, float]]]:
    """Of its moments; bounds are stored in single precision."""
    return hit.id, [(round(each.start, 3), round(each.end, 3)) for each in hit.moments]
