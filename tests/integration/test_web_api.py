"""The HTTP API behind a real port, on a real node."""

from __future__ import annotations

import base64
import copy
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import hypothesis
import jsonschema
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.integration.web_stage import GATE, VIDEOS, png, web_settings
from tests.search_index import nearest, unit_vectors
from tests.services import RunningServices, call
from tests.serving import serving
from tests.waiting import until

from vidsearch.config import Settings
from vidsearch.engines import Write, connect
from vidsearch.local import SearchNode
from vidsearch.search import VideoSearch
from vidsearch.web import create_app

pytestmark = pytest.mark.integration

TOKEN = "a-token-of-these-tests"


@pytest.fixture(scope="module")
def settings(
    services: RunningServices, elasticsearch_9: SearchNode, redis_url: str
) -> Iterator[Settings]:
    with web_settings(
        services, elasticsearch_9, redis_url, token=TOKEN, allow_writes=True
    ) as settings:
        yield settings


@pytest.fixture(scope="module")
def client(settings: Settings) -> Iterator[httpx.Client]:
    with serving(create_app(settings)) as url:
        headers = {"authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
            until(lambda: client.get("/readyz").status_code == 200, what="the model is loaded")
            yield client


@pytest.fixture(scope="module")
def document(client: httpx.Client) -> dict[str, Any]:
    described: dict[str, Any] = client.get("/api/openapi.json").json()
    return described


def _ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["id"] for hit in answer.json()["hits"]]


def test_while_the_model_is_loaded_words_are_searched_already(settings: Settings) -> None:
    GATE.clear()
    try:
        with serving(create_app(settings)) as url:
            headers = {"authorization": f"Bearer {TOKEN}"}
            with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
                assert client.get("/healthz").status_code == 200
                not_yet = client.get("/readyz")
                assert (not_yet.status_code, not_yet.headers["retry-after"]) == (503, "5")
                refused = client.get("/api/search", params={"text": "red circle"})
                assert refused.status_code == 503
                assert "being loaded" in refused.json()["detail"]
                words = {"text": "red circle", "mode": "keyword"}
                assert _ids(client.get("/api/search", params=words))
                GATE.set()
                until(lambda: client.get("/readyz").status_code == 200, what="the model is loaded")
                assert _ids(client.get("/api/search", params={"text": "red circle"}))
    finally:
        GATE.set()


def test_get_post_and_python_find_the_same(
    client: httpx.Client, document: dict[str, Any], settings: Settings
) -> None:
    options: dict[str, Any] = {
        "k": 7,
        "filter": {"year": {"gte": 2003}},
        "source": ["title"],
        "highlight": True,
        "explain": True,
        "facets": ["tags", {"field": "year", "interval": 10}],
    }
    with VideoSearch.from_settings(settings) as videos:
        expected = videos.search("red circle", **options)
    posted = client.post("/api/search", json={"text": "red circle", **options})
    asked = client.get(
        "/api/search",
        params={
            "text": "red circle",
            "k": 7,
            "source": "title",
            "highlight": "true",
            "explain": "true",
            "filter": '{"year": {"gte": 2003}}',
            "facets": ["tags", '{"field": "year", "interval": 10}'],
        },
    )
    assert _ids(posted) == _ids(asked) == [hit.id for hit in expected.hits]
    shown = posted.json()
    assert shown["facets"] == asked.json()["facets"] == expected.to_dict()["facets"]
    assert shown["total"] == expected.to_dict()["total"]
    first, hit = shown["hits"][0], expected.hits[0]
    assert first["cosine"] == pytest.approx(hit.cosine)
    assert first["fields"] == {"title": hit.fields["title"]}
    assert [one["start"] for one in first["moments"]] == [one.start for one in hit.moments]
    jsonschema.validate(
        shown, {"$ref": "#/components/schemas/SearchResult", "components": document["components"]}
    )
    everything = client.get("/api/search", params={"text": "red circle"}).text
    assert '"duration"' in everything
    assert "file:" not in everything
    assert "thumb-" not in everything


def test_no_highlight_tells_of_a_hidden_field(
    services: RunningServices, elasticsearch_9: SearchNode, redis_url: str
) -> None:
    fields: dict[str, Any] = {
        "crew": {"type": "text", "copy_to": ["everyone"]},
        "everyone": {"type": "text"},
        "team": {"type": "alias", "path": "crew"},
    }
    words = {"keyword_fields": ["title", "team", "everyone"]}
    asked: dict[str, Any] = {"mode": "keyword", "highlight": True, "explain": True}
    with web_settings(
        services, elasticsearch_9, redis_url, search=words, hidden_fields=["crew"]
    ) as hiding:
        with closing(connect(hiding.engine)) as engine:
            engine.put_mapping(f"{hiding.index.name}-000001", {"properties": fields})
            document = {**VIDEOS[0].document("video"), "title": "Ada dives", "crew": "Ada Lovelace"}
            engine.bulk(hiding.index.name, [Write("index", "ada", document)], refresh=True)
        with VideoSearch.from_settings(hiding) as videos:
            (hit,) = videos.search("ada", **asked)
        assert {*hit.highlights} == {"title", "team", "everyone"}, "the engine shows all"
        with serving(create_app(hiding)) as url:
            answer = httpx.post(f"{url}/api/search", json={"text": "ada", **asked}, timeout=60)
        (shown,) = answer.json()["hits"]
        assert shown["highlights"] == {"title": ["<em>Ada</em> dives"]}
        assert shown["explanation"]["matched_fields"] == ["title"]
        assert "Lovelace" not in answer.text


def test_uploaded_and_encoded_image_find_the_video_that_looks_so(client: httpx.Client) -> None:
    picture = png(7)
    uploaded = client.post(
        "/api/search",
        data={"k": "3", "level": "video", "filter": '{"year": {"gte": 2000}}'},
        files={"image": ("grey.png", picture, "image/png")},
    )
    encoded = base64.b64encode(picture).decode()
    sent = client.post("/api/search", json={"image": encoded, "k": 3, "level": "video"})
    expected = [id for id, _ in nearest(VIDEOS, VIDEOS[7].mean, level="video")[:3]]
    assert _ids(uploaded) == _ids(sent) == expected
    assert expected[0] == "v07"


def test_vector_and_similar_videos(client: httpx.Client) -> None:
    vector = unit_vectors("anything", 1)[0]
    by_vector = client.post("/api/search", json={"vector": vector.tolist(), "k": 4})
    assert _ids(by_vector) == [id for id, _ in nearest(VIDEOS, vector)[:4]]
    similar = client.get("/api/similar", params={"like": "v05", "at": 1.0, "k": 4})
    expected = [id for id, _ in nearest(VIDEOS, VIDEOS[5].segments[0]) if id != "v05"]
    assert _ids(similar) == expected[:4]
    embedded = client.get("/api/embed", params={"text": "anything"}).json()["vector"]
    assert embedded == pytest.approx(vector.tolist())


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "argument"),
    [
        ("GET", "/api/search?text=x&k=101", {}, 422, "k"),
        ("GET", "/api/search?text=x&from=-1", {}, 422, "from"),
        ("GET", "/api/search?text=x&filter={}x", {}, 422, "filter"),
        ("GET", "/api/search?like=nothing", {}, 422, "like"),
        ("GET", "/api/search?image=/etc/passwd", {}, 422, "image"),
        ("GET", "/api/similar?k=3", {}, 422, "like"),
        ("GET", "/api/embed?text=+", {}, 422, "text"),
        ("GET", "/api/embed?text=a&text=b", {}, 422, "text"),
        ("GET", "/api/embed?text=a&level=video", {}, 422, "level"),
        ("GET", "/api/similar?like=v01&text=x", {}, 422, "text"),
        ("POST", "/api/search", {"json": {"clip": "http://169.254.169.254/"}}, 422, "clip"),
        ("POST", "/api/search", {"json": ["text"]}, 422, None),
        ("POST", "/api/search", {"json": {"text": "x", "filter": {"ids": {}}}}, 422, "filter"),
        ("POST", "/api/search", {"json": {"vector": [1, 2]}}, 422, "vector"),
        ("POST", "/api/search", {"files": {"video": b"x"}}, 422, "video"),
        ("POST", "/api/search", {"content": "{", "headers": {}}, 415, None),
        ("POST", "/api/search", {"content": "{"}, 400, None),
        ("PUT", "/api/search", {"json": {}}, 405, None),
        ("GET", "/api/nothing", {}, 404, None),
        ("GET", "/api/videos/nobody", {}, 404, None),
        ("POST", "/api/videos", {"json": {"id": "a"}}, 422, "uri"),
        ("POST", "/api/videos", {"json": {"id": "a", "uri": "/etc/passwd"}}, 422, "uri"),
        ("POST", "/api/videos", {"json": {"id": "a", "uri": "file:///etc/x.mp4"}}, 422, "uri"),
        ("POST", "/api/videos", {"json": {"id": "a", "uri": "http://127.0.0.1/x"}}, 422, "uri"),
        ("POST", "/api/videos", {"json": {"id": "a", "uri": "s3://other/x.mp4"}}, 422, "uri"),
    ],
)
def test_wrong_request_is_a_problem_that_names_the_argument(
    client: httpx.Client,
    method: str,
    path: str,
    options: dict[str, Any],
    status: int,
    argument: str | None,
) -> None:
    if "content" in options and "headers" not in options:
        options = {**options, "headers": {"content-type": "application/json"}}
    answer = client.request(method, path, **options)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem.get("argument") == argument
    assert not re.search(r"/srv/|127\.0\.0\.1:|videos\.example", answer.text)


def test_a_method_that_a_path_does_not_take_is_answered_with_those_that_it_does(
    client: httpx.Client, document: dict[str, Any]
) -> None:
    for path, methods in document["paths"].items():
        answer = client.put(path.format(id="x", key="x"))
        assert answer.status_code == 405, path
        allowed = {each.strip() for each in answer.headers["allow"].split(",")}
        assert allowed - {"HEAD"} == {method.upper() for method in methods}, path


def test_documents_that_no_strict_reader_of_json_takes_are_found_all_the_same(
    services: RunningServices, elasticsearch_9: SearchNode, redis_url: str
) -> None:
    # As an application wrote them: half of a surrogate pair, and more than 64 bits.
    odd = {
        "title": "zebra \ud83d here",
        "note": "half a \ud83d pair",
        "rating": 10**30,
        "\udc00": 1,
    }
    document = {**VIDEOS[0].document("video"), **odd}
    asked: dict[str, Any] = {"text": "zebra", "mode": "keyword", "highlight": True, "explain": True}
    far = {"field": "year", "interval": 1e308}
    with web_settings(services, elasticsearch_9, redis_url) as settings:
        # No client of the engine writes such a text.
        path = f"/{settings.index.name}-000001/_doc/odd?refresh=true"
        call(elasticsearch_9.url, "PUT", path, document)
        with serving(create_app(settings)) as url:
            answer = httpx.post(f"{url}/api/search", json={**asked, "facets": [far]}, timeout=60)
    assert answer.status_code == 200, answer.text
    (hit,) = answer.json()["hits"]
    assert hit["highlights"]["title"] == ["<em>zebra</em> \ufffd here"]
    assert hit["fields"]["note"] == "half a \ufffd pair"
    assert hit["fields"]["rating"] == 1e30
    assert hit["fields"]["\ufffd"] == 1
    (bucket,) = answer.json()["facets"]["year"]["values"]
    assert bucket["filter"] == {"year": {"gte": 0, "lt": 1e308}}


def test_value_that_the_engine_refuses_is_the_mistake_of_the_client(client: httpx.Client) -> None:
    answer = client.get("/api/search", params={"text": "x", "filter": '{"recorded": "20x"}'})
    assert answer.status_code == 422
    assert "127.0.0.1" not in answer.text


def test_registered_video_waits_for_a_worker_and_is_shown_without_its_uri(
    client: httpx.Client, settings: Settings
) -> None:
    uri = "https://videos.example.com/a.mp4?signature=secret"
    body = {"id": "new/one", "uri": uri, "fields": {"title": "new", "source": uri}}
    registered = client.post("/api/videos", json=body)
    assert registered.status_code == 202, registered.text
    assert registered.json()["state"] == "queued"
    shown = client.get("/api/videos/new%2Fone")
    assert shown.status_code == 200
    assert shown.json()["fields"] == {"title": "new"}
    assert "secret" not in registered.text + shown.text
    again = client.post("/api/videos", json={"id": "new/one", "uri": uri})
    assert again.json()["fields"] == {"title": "new"}, "those of before"
    status = client.get("/api/status").json()
    assert status["states"]["queued"] == 1
    assert status["searchable"] == len(VIDEOS)
    assert status["workers"] == 0


def test_requests_are_counted(client: httpx.Client) -> None:
    client.get("/api/search", params={"text": "x", "k": 0})
    text = client.get("/metrics").text
    assert 'vidsearch_web_requests_total{endpoint="/api/search",status="422"}' in text
    assert "vidsearch_web_ready 1.0" in text


CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def _hold(
    document: dict[str, Any], url: str, operation: str, mode: Any, examples: int
) -> list[int]:
    """Ask for what schemathesis makes of an operation; the statuses of the answers."""
    method, path = operation.split()
    strategy = schemathesis.openapi.from_dict(document)[path][method].as_strategy(
        generation_mode=mode
    )
    statuses: list[int] = []

    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def holds(case: schemathesis.Case) -> None:
        answer = case.call_and_validate(
            base_url=url, headers={"authorization": f"Bearer {TOKEN}"}, checks=CHECKS
        )
        statuses.append(answer.status_code)

    holds()
    return statuses


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
@pytest.mark.parametrize(
    ("operation", "examples"),
    [
        ("GET /api/search", 30),
        ("POST /api/search", 40),
        ("GET /api/similar", 20),
        ("GET /api/embed", 10),
        ("POST /api/videos", 30),
        ("GET /api/videos/{id}", 20),
        ("GET /api/status", 3),
        ("GET /video/{id}", 5),
        ("GET /thumbnail/{key}", 5),
    ],
)
def test_no_request_is_an_error_of_the_server_or_answered_otherwise_than_described(
    client: httpx.Client,
    document: dict[str, Any],
    operation: str,
    examples: int,
    mode: GenerationMode,
) -> None:
    assert _hold(document, str(client.base_url), operation, mode, examples)


@pytest.mark.parametrize("operation", ["GET /healthz", "GET /readyz", "GET /metrics"])
def test_what_takes_no_argument_is_answered_as_described(
    client: httpx.Client, document: dict[str, Any], operation: str
) -> None:
    statuses = _hold(document, str(client.base_url), operation, GenerationMode.POSITIVE, 1)
    assert statuses == [200]


FIELDS = {"type": "array", "items": {"enum": ["title", "tags", "licence"]}, "maxItems": 3}
FITTING: dict[str, Any] = {
    "text": {"enum": ["red circle", "a dog at night", "nothing of the kind"]},
    "filter": {"enum": [{"tags": "red"}, [{"year": {"gte": 2005}}, {"tags": ["odd", "even"]}]]},
    "source": FIELDS,
    "highlight": FIELDS,
    "facets": {"type": "array", "items": {"enum": ["tags", "year"]}, "uniqueItems": True},
    "sort": {"enum": ["year", "-recorded"]},
    "fusion": {"enum": ["rrf", "linear"]},
    "collapse": {"enum": ["licence", 0.9]},
}
"""What fits the index, which a description cannot know."""


@pytest.mark.parametrize("operation", ["GET /api/search", "POST /api/search"])
def test_requests_that_fit_the_index_are_answered_as_described(
    client: httpx.Client, document: dict[str, Any], operation: str
) -> None:
    left_out = {"like", "at", "vector", "image", "diversity"}
    document = copy.deepcopy(document)
    search = document["paths"]["/api/search"]
    body = document["components"]["schemas"]["SearchRequest"]
    body["required"] = ["text"]
    body["properties"] = {
        name: FITTING.get(name, each)
        for name, each in body["properties"].items()
        if name not in left_out
    }
    del search["post"]["requestBody"]["content"]["multipart/form-data"]
    search["get"]["parameters"] = [
        each for each in search["get"]["parameters"] if each["name"] not in left_out
    ]
    for each in search["get"]["parameters"]:
        each["required"] = each["name"] == "text"
        into = each["content"]["application/json"] if "content" in each else each
        into["schema"] = FITTING.get(each["name"], into["schema"])

    statuses = _hold(document, str(client.base_url), operation, GenerationMode.POSITIVE, 40)
    assert statuses.count(200) > len(statuses) / 4
