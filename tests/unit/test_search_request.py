"""``SearchRequest``: its fields, its errors, its JSON, and the methods that take its arguments."""

from __future__ import annotations

import inspect
import pickle
import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
from pydantic import ValidationError
from tests.search_index import TableEncoder, create_index, make_videos, unit_vectors

from vidsearch.config import FusionName
from vidsearch.errors import QueryError
from vidsearch.search import AsyncVideoSearch, Linear, SearchRequest, VideoSearch
from vidsearch.testing.memory_engine import MemoryEngine

FIELDS = SearchRequest.model_fields


@pytest.fixture
def search() -> VideoSearch:
    engine = MemoryEngine()
    create_index(engine, "videos", make_videos(20))
    return VideoSearch(engine, TableEncoder())


def parameters(method: Any) -> list[inspect.Parameter]:
    return list(inspect.signature(method).parameters.values())[1:]


# -- one request, several methods


def test_search_has_the_fields_of_the_request_as_arguments() -> None:
    own = {parameter.name: parameter.default for parameter in parameters(VideoSearch.search)}
    assert own == {name: field.default for name, field in FIELDS.items()}
    hints = get_type_hints(VideoSearch.search)
    of_request = get_type_hints(SearchRequest)
    assert hints.pop("text") == SearchRequest | of_request["text"]
    assert {name: hints[name] for name in FIELDS if name != "text"} == {
        name: of_request[name] for name in FIELDS if name != "text"
    }


def test_search_documents_its_arguments_as_the_request_does() -> None:
    documentation = inspect.getdoc(VideoSearch.search) or ""
    arguments = documentation.partition("Args:\n")[2].partition("\nRaises:")[0]
    described = {
        name: " ".join(text.split()).casefold()
        for name, text in re.findall(r"^    (\w+): (.*?)(?=^    \w|\Z)", arguments, re.S | re.M)
    }
    assert described == {
        name: (field.description or "").casefold() for name, field in FIELDS.items()
    }


@pytest.mark.parametrize(
    "method", [VideoSearch.body, AsyncVideoSearch.search, AsyncVideoSearch.body]
)
def test_every_method_has_the_arguments_of_search(method: Any) -> None:
    assert parameters(method) == parameters(VideoSearch.search)


@pytest.mark.parametrize("method", [VideoSearch.search_many, AsyncVideoSearch.search_many])
def test_search_many_has_the_options_of_search(method: Any) -> None:
    texts, *options = parameters(method)
    assert texts.name == "texts"
    assert options == parameters(VideoSearch.search)[1:]


def test_a_request_in_place_of_the_text_gives_the_same_hits(search: VideoSearch) -> None:
    request = SearchRequest(text="red circle", k=3, source=["title"], level="both")
    expected = search.search("red circle", k=3, source=["title"], level="both")
    assert search.search(request).hits == expected.hits
    assert search.search(**dict(request)).hits == expected.hits
    assert search.body(request) == search.body("red circle", k=3, source=["title"], level="both")


@pytest.mark.parametrize(
    ("sort", "plain"),
    [
        ([{"recorded": "desc"}], "-recorded"),
        ({"recorded": "asc"}, "recorded"),
        ([{"recorded": {"order": "desc"}}], "-recorded"),
        (["-recorded"], "-recorded"),
        ('[{"recorded": "desc"}]', "-recorded"),
        (' {"recorded": {"order": "asc"}}', "recorded"),
        ('["-recorded"]', "-recorded"),
        ("[recorded", "[recorded"),
    ],
)
def test_a_sort_may_be_written_as_for_an_engine(sort: Any, plain: str) -> None:
    assert SearchRequest(text="red", sort=sort).sort == plain


@pytest.mark.parametrize(
    "sort",
    [
        *([{"a": "asc"}, {"b": "asc"}], {"a": "up"}, {"a": {"mode": "min"}}, {"-a": "asc"}),
        *([], [None], "[]", '{"a": "up"}', '[{"a": "asc"}, "b"]'),
    ],
)
def test_another_sort_of_an_engine_is_refused_by_name(sort: Any) -> None:
    with pytest.raises(QueryError, match=r"^sort must be the name of a field"):
        SearchRequest(text="red", sort=sort)


def test_a_text_is_searched_for_in_composed_letters() -> None:
    assert SearchRequest(text=" cafe\u0301 ").text == "caf\u00e9"


def test_a_request_takes_no_arguments_beside_it(search: VideoSearch) -> None:
    request = SearchRequest(text="red circle")
    for name, value in (("k", 3), ("vector", unit_vectors("query", 1)[0]), ("explain", True)):
        with pytest.raises(QueryError, match=f"{name} belongs into the SearchRequest") as caught:
            search.search(request, **{name: value})
        assert caught.value.argument == name


def test_a_request_is_held_to_the_window_of_the_search(search: VideoSearch) -> None:
    with pytest.raises(QueryError, match=r"k must be a whole number from 1 to 100 \(the setting"):
        search.search(SearchRequest(text="dog", k=101))
    with pytest.raises(QueryError, match="from_ must be a whole number from 0 to 90"):
        search.search(SearchRequest(text="dog", from_=91))


# -- errors


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        ({"text": " "}, "text", "the search text is empty"),
        ({"text": "dog", "k": 0}, "k", "k must be a whole number from 1 on, not 0"),
        ({"text": "dog", "from_": -1}, "from_", "from_ must be a whole number from 0 on, not -1"),
        ({"text": "dog", "mode": "fuzzy"}, "mode", "mode must be hybrid, vector or keyword, not"),
        ({"text": "dog", "gap": -0.1}, "gap", "gap must be a number from 0 on, not -0.1"),
        ({"text": "dog", "explain": "yes"}, "explain", "explain must be true or false, not 'yes'"),
        ({"text": "dog", "source": [""]}, "source", r"a list of names of fields, not \[''\]"),
        ({"text": "dog", "at": 3.0}, "at", "at must be seconds into the video of like, not 3.0"),
        ({"like": "a", "mode": "hybrid"}, "mode", "mode=hybrid compares words: give a text, too"),
        ({"like": "a", "mode": "keyword"}, "mode", "mode=keyword compares words only: leave out"),
        ({"text": "dog", "colour": "red"}, "colour", "a search has no argument 'colour'"),
        ({"image": "a", "clip": "b"}, None, "image and clip cannot be searched for at once"),
        ({}, None, "nothing to search for: give a text, or one of image, clip, like, vector"),
    ],
)
def test_a_wrong_argument_is_one_query_error_that_names_it(
    arguments: dict[str, Any], argument: str | None, message: str
) -> None:
    for make in (SearchRequest, lambda **given: SearchRequest.model_validate(given)):
        with pytest.raises(QueryError, match=message) as caught:
            make(**arguments)
        assert caught.value.argument == argument
        assert pickle.loads(pickle.dumps(caught.value)).argument == argument


@pytest.mark.parametrize(
    "name", sorted(FIELDS.keys() - {"image", "clip", "vector", "filter", "fusion"})
)
def test_every_field_that_is_checked_says_what_it_takes(name: str) -> None:
    with pytest.raises(QueryError, match=rf"^({name}|the search text) must be \w+") as caught:
        SearchRequest.model_validate({"like": "a", name: object()})
    assert caught.value.argument == name


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"filter": {"nope": 1}}, "filter"),
        ({"filter": 3}, "filter"),
        (
            {"filter": {"bool": {"should": [{"nested": {"path": "video.segments"}}]}}},
            "filter",
        ),
        ({"highlight": ["nope"]}, "highlight"),
        ({"collapse": "nope"}, "collapse"),
        ({"fusion": "borda"}, "fusion"),
        ({"fusion": "sum", "gap": 0.1}, "gap"),
        ({"fusion": "sum", "level": "both"}, "level"),
        ({"vector": [1.0]}, "vector"),
        ({"like": "nowhere"}, "like"),
        ({"image": b"no image"}, "image"),
        ({"clip": "/nowhere.mp4"}, "clip"),
    ],
)
def test_an_error_that_takes_the_index_names_its_argument(
    search: VideoSearch, arguments: dict[str, Any], argument: str
) -> None:
    with pytest.raises(QueryError) as caught:
        search.search("red circle", **arguments)
    assert caught.value.argument == argument


# -- as an object and as JSON


def test_a_request_is_frozen_and_copies_lists() -> None:
    names = ["title"]
    request = SearchRequest(text=" dog ", source=names)
    names.append("tags")
    assert (request.text, request.source) == ("dog", ("title",))
    with pytest.raises(ValidationError, match="frozen"):
        request.k = 3  # type: ignore[misc]


def test_a_request_is_read_from_json() -> None:
    request = SearchRequest.model_validate_json(
        '{"text": "dog", "from": 20, "filter": {"tags": "a"}, "fusion": "linear", "vector": [1, 2]}'
    )
    made = SearchRequest(text="dog", from_=20, filter={"tags": "a"}, fusion="linear", vector=[1, 2])
    assert request == made
    again = request.model_dump_json(by_alias=True, exclude_defaults=True)
    assert SearchRequest.model_validate_json(again) == request


def test_what_is_no_json_is_taken_as_it_is() -> None:
    vector, fusion, picture = np.zeros(3), Linear(), np.zeros((2, 2, 3), np.uint8)
    assert SearchRequest(vector=vector, fusion=fusion).vector is vector
    assert SearchRequest(vector=vector, fusion=fusion).fusion is fusion
    assert SearchRequest(image=picture).image is picture


def test_the_json_schema_describes_every_field() -> None:
    schema = SearchRequest.model_json_schema()
    names = {"from" if name == "from_" else name for name in FIELDS}
    assert schema["properties"].keys() == names
    assert schema["additionalProperties"] is False
    assert all(each["description"] for each in schema["properties"].values())
    assert schema["properties"]["fusion"]["anyOf"][0] == {"enum": list(get_args(FusionName))}
    assert schema["properties"]["image"]["anyOf"] == [{"type": "string"}, {"type": "null"}]
    assert (
        schema["properties"]["moments"] | {"minimum": 0, "maximum": 100}
        == (schema["properties"]["moments"])
    )


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("text", "boat\ud800"),
        ("like", "a\ud800"),
        ("filter", {"year": 2**70}),
        ("filter", [{"year": {"gte": -(2**70)}}]),
        ("filter", {"term": {"title": "\ud800"}}),
        ("filter", {"tags": float("nan")}),
        ("filter", [{"range": {"year": {"gte": float("-inf")}}}]),
        ("filter", {"tags": Decimal("NaN")}),
        ("source", ["title\ud800"]),
        ("highlight", ["title\ud800"]),
        ("collapse", "field\ud800"),
        ("k", 2**70),
        ("from_", 2**70),
        ("at", date(2026, 1, 1)),
        ("min_cosine", datetime(2026, 1, 1)),
        ("unknown", 1),
    ],
)
def test_a_value_that_cannot_be_sent_is_refused_by_the_argument(argument: str, value: Any) -> None:
    videos: Any = VideoSearch(MemoryEngine(), TableEncoder())
    text = {} if argument in {"text", "like"} else {"text": "boat"}
    for method in (videos.search, videos.body):
        with pytest.raises(QueryError, match=argument) as raised:
            method(**text, **{argument: value})
        assert raised.value.argument == argument
