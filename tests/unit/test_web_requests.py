"""Search requests of clients: query strings, forms and JSON, their limits, and what is shown."""

from __future__ import annotations

import base64
import re
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from vidsearch.config import SearchSettings, Settings, WebSettings
from vidsearch.errors import QueryError
from vidsearch.search import Explanation, Hit, Moment, SearchRequest, SearchResult, request_fields
from vidsearch.web.api.openapi import description
from vidsearch.web.limits import check_limits
from vidsearch.web.parameters import request_from_json, request_from_pairs
from vidsearch.web.public import public_result

SETTINGS = Settings()
PNG = b"\x89PNG\r\n\x1a\n and so on"
DEEP = "[" * 1000 + "]" * 1000


def test_query_string_gives_the_request_of_the_same_json() -> None:
    pairs = [
        ("text", "12"),
        ("k", "5"),
        ("from", "10"),
        ("mode", ""),
        ("filter", '{"tags": ["a", "b"]}'),
        ("filter", '{"year": {"gte": 2020}}'),
        ("source", "title, tags"),
        ("highlight", "true"),
        ("collapse", "0.9"),
        ("merge_gap", "null"),
        ("min_cosine", "0.2"),
        ("fusion", "linear"),
    ]
    data: dict[str, Any] = {
        "text": "12",
        "k": 5,
        "from": 10,
        "filter": [{"tags": ["a", "b"]}, {"year": {"gte": 2020}}],
        "source": ["title", "tags"],
        "highlight": True,
        "collapse": 0.9,
        "merge_gap": None,
        "min_cosine": 0.2,
        "fusion": "linear",
    }
    assert request_from_pairs(pairs, SETTINGS) == request_from_json(data, SETTINGS)
    by_field = request_from_pairs([("text", "x"), ("collapse", "licence")], SETTINGS)
    assert by_field.collapse == "licence"
    sort = ("sort", '[{"recorded": "desc"}]')
    assert request_from_pairs([("text", "x"), sort], SETTINGS).sort == "-recorded"


@pytest.mark.parametrize(
    ("pairs", "argument", "message"),
    [
        ([("text", "x"), ("k", "many")], "k", "whole number"),
        ([("text", "x"), ("k", "1"), ("k", "2")], "k", "given 2 times"),
        ([("text", "x"), ("colour", "red")], "colour", "no argument"),
        ([("text", "x"), ("filter", "tags=a")], "filter", "must be JSON"),
        ([("text", "x"), ("filter", f'{{"a": {DEEP}}}')], "filter", "inside each other"),
        ([("clip", "file:///etc/passwd")], "clip", "over HTTP"),
        ([("image", "/etc/passwd")], "image", "paths and URLs are not read"),
        ([("image", "http://169.254.169.254/latest")], "image", "paths and URLs are not read"),
        ([("text", "x"), ("k", "5"), ("from", "99")], "from_", "within search.window"),
        (
            [("text", "x"), ("k", "1"), ("colour", "red"), ("colour", "red")],
            "colour",
            "no argument",
        ),
        ([("text", "x"), ("facets", ",".join("a" * 501))], "facets", "more than 500 values"),
        ([], None, "nothing to search for"),
    ],
)
def test_wrong_parameter_is_named(
    pairs: list[tuple[str, str]], argument: str | None, message: str
) -> None:
    with pytest.raises(QueryError, match=message) as raised:
        request_from_pairs(pairs, SETTINGS)
    assert raised.value.argument == argument


@pytest.mark.parametrize(
    "data",
    [
        b"%!PS-Adobe-3.0 EPSF-3.0 (a format whose reader runs a program)",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"",
    ],
)
def test_file_of_another_format_is_no_image(data: bytes) -> None:
    with pytest.raises(QueryError, match="JPEG, PNG, WebP, GIF or AVIF"):
        request_from_json({"image": base64.b64encode(data).decode()}, SETTINGS)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf", "HEIC"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"II*\0\x08\0\0\0", "TIFF"),
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"BM\x46\0\0\0", "BMP"),
    ],
)
def test_picture_of_a_format_that_people_have_is_called_by_its_name(data: bytes, kind: str) -> None:
    with pytest.raises(QueryError, match=f"; this is {kind}: save it as JPEG") as raised:
        request_from_pairs([], SETTINGS, image=data)
    assert raised.value.argument == "image"


def test_avif_may_be_named_behind_other_brands() -> None:
    data = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf"
    assert request_from_pairs([], SETTINGS, image=data).image == data
    with pytest.raises(QueryError, match="JPEG, PNG"):
        request_from_pairs([], SETTINGS, image=data.replace(b"avif", b"isom"))


def test_image_comes_in_base64_as_a_data_url_or_as_a_file() -> None:
    encoded = base64.b64encode(PNG).decode()
    for given in (encoded, f"data:image/png;base64,{encoded}"):
        assert request_from_json({"image": given}, SETTINGS).image == PNG
    assert request_from_pairs([], SETTINGS, image=PNG).image == PNG


_LIMITED = Settings(
    search=SearchSettings(window=200),
    web=WebSettings(max_k=20, max_text=10, max_conditions=3, hidden_fields=("notes", "-odd")),
)


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ({"text": "x", "k": 21}, "k"),
        ({"text": "x" * 11}, "text"),
        ({"image": "/etc/passwd"}, "image"),
        ({"clip": "/etc/passwd"}, "clip"),
        ({"text": "x", "filter": {"script": {"script": "true"}}}, "filter"),
        ({"text": "x", "filter": [{"terms": {"id": {"index": "other", "id": "1"}}}]}, "filter"),
        # A field may be called as a key of a range is.
        ({"text": "x", "filter": {"terms": {"format": {"index": "other", "id": "1"}}}}, "filter"),
        ({"text": "x", "filter": [{"terms_set": {"exists": {"terms": ["a"]}}}]}, "filter"),
        ({"text": "x", "filter": {"tags": ["a", "b", "c", "d"]}}, "filter"),
        ({"text": "x", "filter": {"video.uri": {"gte": "file:///a"}}}, "filter"),
        ({"text": "x", "filter": [{"notes": "b"}]}, "filter"),
        ({"text": "x", "filter": {"notes.of_us": {"exists": True}}}, "filter"),
        ({"text": "x", "filter": {"tags": "long" * 10}}, "filter"),
        ({"text": "x", "source": [f"a{at}" for at in range(51)]}, "source"),
        ({"text": "x", "filter": {"a": [], "b": [], "c": [], "d": []}}, "filter"),
        ({"like": "x" * 513}, "like"),
        ({"text": "x", "highlight": ["notes"]}, "highlight"),
        ({"text": "x", "collapse": "video.uri"}, "collapse"),
        ({"text": "x", "sort": "-notes"}, "sort"),
        ({"text": "x", "facets": ["tags", {"field": "video.uri"}]}, "facets"),
        ({"text": "x", "facets": ["-odd"]}, "facets"),
    ],
)
def test_request_beyond_a_limit_is_refused(options: dict[str, Any], argument: str) -> None:
    with pytest.raises(QueryError) as raised:
        check_limits(SearchRequest(**options), _LIMITED)
    assert raised.value.argument == argument


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("facets", [1] * 501, "facets has more than 500 values"),
        ("facets", [{f"a{at}": 1 for at in range(500)}], "facets has more than 500 values"),
        ("source", [["a"] * 500], "source has more than 500 values"),
        ("highlight", ["a" * 1001], "highlight has a text of more than 1000 characters"),
        ("filter", {"tags": ["a"] * 500}, "filter has more than 500 values"),
        ("filter", {"a" * 1001: 1}, "filter has a text of more than 1000 characters"),
        ("like", "a" * 1001, "like has a text of more than 1000 characters"),
        ("vector", [0.5] * 20_001, "vector has more than 20000 values"),
        ("k", {"a": [[]] * 500}, "k has more than 500 values"),
    ],
)
def test_what_is_larger_than_any_request_is_refused_before_it_is_looked_into(
    argument: str, value: Any, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: object, **__: object) -> SearchRequest:
        raise AssertionError("each value would be looked at")

    monkeypatch.setattr(SearchRequest, "of", look)
    with pytest.raises(QueryError, match=message) as raised:
        request_from_json({"text": "x", argument: value}, SETTINGS)
    assert raised.value.argument == argument


def test_text_beyond_the_limit_is_refused_before_its_letters_are_composed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def compose(*_: object) -> str:
        raise AssertionError("takes time that grows by the square of the length")

    monkeypatch.setattr(request_fields, "unicodedata", SimpleNamespace(normalize=compose))
    text = "a" + "\u0315" * 500 + "\u0300" * 501
    with pytest.raises(QueryError, match="text has 1002 characters, more than 1000"):
        request_from_json({"text": text}, SETTINGS)
    with pytest.raises(QueryError, match="text has 1002 characters, more than 1000"):
        request_from_pairs([("text", text)], SETTINGS)


@pytest.mark.parametrize(
    "data",
    [
        {"text": ["y" * 900] * 2},
        {"text": "x", "k": "y" * 900},
        {"text": "x", "facets": [1] * 499},
        {"text": "x", "facets": [{"field": "a", "y" * 900: 1}]},
        {"text": "x", "facets": [{"field": "a", "size": "y" * 900}]},
        {"text": "x", "filter": "y" * 900, "k": {"y" * 900: 1}},
        {"y" * 900: 1},
    ],
)
def test_message_quotes_a_long_value_in_part(data: dict[str, Any]) -> None:
    with pytest.raises(QueryError) as raised:
        request_from_json(data, SETTINGS)
    assert len(str(raised.value)) < 450


def test_request_within_the_limits_passes() -> None:
    for options in (
        {"text": "x" * 10, "k": 20},
        {"text": "x", "filter": {"tags": ["a", "b"], "year": {"gte": 2000}}},
        {"text": "x", "filter": {"licence": {"exists": False}}, "source": [*"abcdefgh"]},
        {"image": PNG},
        {"vector": [0.5] * 4096},
    ):
        request_from_json({**options, "k": 1}, _LIMITED)
        check_limits(SearchRequest(**options), _LIMITED)


def test_request_without_k_asks_for_no_more_than_is_allowed() -> None:
    few = Settings(web=WebSettings(max_k=4))
    request = request_from_json({"text": "x"}, few)
    check_limits(request, few)
    described = description(few)["components"]["schemas"]["SearchRequest"]["properties"]["k"]
    assert request.k == described["default"] == 4
    assert request_from_json({"text": "x"}, SETTINGS).k == SearchRequest(text="x").k


def test_result_is_shown_without_uris_and_hidden_fields() -> None:
    uri = "file:///srv/videos/a.mp4"
    fields = {
        "title": "a",
        "path": uri,
        "files": [uri, "b"],
        "notes": {"of_us": "x"},
        "media": {"url": uri, "size": 3},
        "crew": [[{"name": "c", "url": uri}, uri], {"name": "d"}],
        "video": {"uri": uri, "duration": 3.0},
    }
    moment = Moment(0.0, 2.0, 0.5, thumbnail="file:///srv/thumbnails/a.jpg")
    highlights = {"title": ("<em>a</em>",), "notes": ("<em>x</em>",), "nick": ("<em>x</em>",)}
    explanation = Explanation({}, matched_fields=("title", "notes.of_us", "nick"))
    hit = Hit("a", 1.0, 0.5, None, {}, fields, (moment,), highlights, explanation)
    result = SearchResult((hit,), "vector", "segment", "videos-000001", 1.0)
    shown = public_result(
        result,
        _LIMITED,
        tells=lambda name: name.startswith(("notes", "nick")),
        thumbnail_url=lambda id, moment: f"/thumbnails/{id}",
    )
    assert shown["hits"][0]["fields"] == {
        "title": "a",
        "files": ["b"],
        "media": {"size": 3},
        "crew": [[{"name": "c"}], {"name": "d"}],
        "video": {"duration": 3.0},
    }
    assert shown["hits"][0]["explanation"]["matched_fields"] == ["title"]
    assert shown["hits"][0]["highlights"] == {"title": ["<em>a</em>"]}
    assert shown["hits"][0]["moments"][0]["thumbnail"] == "/thumbnails/a"
    assert "srv" not in str(shown)


def test_every_text_of_a_result_is_one_that_every_reader_of_json_takes() -> None:
    half = "\ud83d"
    explanation = Explanation({}, matched_fields=(half,))
    highlights = {half: (half,)}
    hit = Hit("a", 1.0, 0.5, None, {}, {half: [half]}, (), highlights, explanation, (half,))
    result = SearchResult((hit,), "vector", "segment", "videos-000001", 1.0, (half,))
    tells, thumbnail_url = (lambda name: False), (lambda id, moment: None)
    shown = public_result(result, SETTINGS, tells=tells, thumbnail_url=thumbnail_url)
    assert orjson.dumps(shown).decode().count("\ufffd") == 7


def test_description_has_every_argument_that_clients_may_give_with_its_limits() -> None:
    document = description(_LIMITED)
    properties = document["components"]["schemas"]["SearchRequest"]["properties"]
    names = {"from" if name == "from_" else name for name in SearchRequest.model_fields}
    assert set(properties) == names - {"clip"}
    assert properties["k"]["maximum"] == 20
    assert properties["text"]["anyOf"][0]["maxLength"] == 10
    in_query = {each["name"] for each in document["paths"]["/api/search"]["get"]["parameters"]}
    assert in_query == names - {"clip", "image"}
    assert "securitySchemes" not in document["components"]
    assert not re.search(r":\w+:`|``", str(document))
