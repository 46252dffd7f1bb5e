"""How an engine is reached: which client, whose it is, what it asks, what it leaves behind."""

from __future__ import annotations

import base64
import subprocess
import sys
from typing import Any

import elasticsearch
import opensearchpy
import pytest
from elasticsearch import Elasticsearch
from opensearchpy import OpenSearch
from tests.http_stub import ELASTIC, Asked, Reply, http_stub
from tests.services import call
from tests.waiting import until

from vidsearch.config import EngineSettings
from vidsearch.engines import Engine, Write, connect
from vidsearch.errors import ConfigError, MissingExtraError
from vidsearch.local import SearchNode
from vidsearch.testing.small_index import small_index

pytestmark = pytest.mark.integration

WHOLE = {"count": 7, "_shards": {"failed": 0}}


def test_import_of_engines_loads_no_client() -> None:
    code = (
        "import sys, vidsearch.engines\n"
        "print(sorted({'elasticsearch', 'elastic_transport', 'opensearchpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_kind_auto_detects_the_engine(search_node: SearchNode) -> None:
    engine = connect(EngineSettings(url=search_node.url))
    info = engine.info()
    engine.close()
    assert (engine.kind, info.kind) == (search_node.kind, search_node.kind)
    assert ".".join(map(str, info.version)) == search_node.version
    assert str(info) == f"{search_node.kind} {search_node.version} at {search_node.url}"
    assert search_node.url in repr(engine)


@pytest.mark.alone
def test_opensearch_in_compatibility_mode_is_itself(opensearch_2: SearchNode) -> None:
    mode = {"persistent": {"compatibility.override_main_response_version": True}}
    call(opensearch_2.url, "PUT", "/_cluster/settings", mode)
    try:
        root = call(opensearch_2.url, "GET", "/")
        assert root["version"]["number"] == "7.10.2", "else this tests nothing"
        for kind in ("auto", "opensearch"):
            engine = connect(EngineSettings(url=opensearch_2.url, kind=kind))
            assert engine.kind == "opensearch"
            assert ".".join(map(str, engine.info().version)) == opensearch_2.version
            engine.close()
    finally:
        mode["persistent"] = dict.fromkeys(mode["persistent"])
        call(opensearch_2.url, "PUT", "/_cluster/settings", mode)


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_version_is_read_from_the_nodes_where_the_root_is_missing(kind: Any) -> None:
    def answer(asked: Asked) -> Reply:
        if asked.path == "/":
            return Reply(405, {"error": "Incorrect HTTP method for uri [/]"}, ELASTIC)
        return Reply(body={"nodes": {"abc": {"version": "9.1.2-SNAPSHOT"}}}, headers=ELASTIC)

    with http_stub(answer) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        assert engine.info().version == (9, 1, 2)
        assert engine.info().version == (9, 1, 2)
        engine.close()
    assert stub.paths() == ["GET /", "GET /_nodes/_local/http"]


# -- an Elasticsearch that is one major version behind the client


CLIENT: int = elasticsearch.__version__[0]


def behind(asked: Asked) -> Reply:
    """Refuses, as 8.19 does with the client of 9, what only a newer server knows."""
    if f"compatible-with={CLIENT}" in asked.headers.get("accept", ""):
        return Reply(400, {"error": {"type": "media_type_header_exception"}}, ELASTIC)
    if "_source_exclude_vectors" in asked.path:
        reason = "request contains unrecognized parameter: [_source_exclude_vectors]"
        return Reply(
            400, {"error": {"type": "illegal_argument_exception", "reason": reason}}, ELASTIC
        )
    if "_doc" in asked.path:
        found = {"_id": "a", "_seq_no": 1, "_primary_term": 1, "found": True, "_source": {"n": 1}}
        return Reply(body=found, headers=ELASTIC)
    return Reply(body=WHOLE, headers=ELASTIC)


def test_older_elasticsearch_gets_requests_of_its_version() -> None:
    with http_stub(behind) as stub:
        engine = connect(EngineSettings(url=stub.url, kind="elasticsearch"))
        assert [engine.count("videos"), engine.count("videos")] == [7, 7]
        for _ in range(2):
            found = engine.get("videos", "a")
            assert found is not None
            assert found.source == {"n": 1}
        engine.close()
    older = f"application/vnd.elasticsearch+json; compatible-with={CLIENT - 1}"
    assert [asked.headers.get("accept") for asked in stub.asked[1:4]] == [older, older, None]
    # One refusal each is enough to know it for good.
    assert stub.paths() == [
        "POST /videos/_count",
        "POST /videos/_count",
        "POST /videos/_count",
        "GET /videos/_doc/a",
        "GET /videos/_doc/a",
        "GET /videos/_doc/a",
    ]


# -- whose client


def make_client(node: SearchNode) -> Any:
    if node.kind == "elasticsearch":
        return Elasticsearch(node.url)
    return OpenSearch([node.url])


def test_given_client_is_used_and_stays_open(search_node: SearchNode, index_name: str) -> None:
    client = make_client(search_node)
    engine = connect(EngineSettings(url="http://elsewhere:1"), client=client)
    assert engine.kind == search_node.kind
    assert engine.info().url == search_node.url
    engine.create_index(index_name, small_index(engine))
    engine.put(index_name, "a", {"n": 1}, refresh=True)
    engine.close()
    assert engine.count(index_name) == 1
    client.close()


def test_subclass_of_a_client_is_accepted(elasticsearch_9: SearchNode) -> None:
    class Ours(Elasticsearch):
        """As host applications have them."""

    client = Ours(elasticsearch_9.url)
    assert connect(EngineSettings(), client=client).info().kind == "elasticsearch"
    client.close()


def test_credentials_of_a_client_are_in_no_message() -> None:
    with http_stub(lambda _: Reply(body=WHOLE, headers=ELASTIC)) as stub:
        url = stub.url.replace("://", "://me:hidden@")
        for client in (Elasticsearch(url), OpenSearch([url])):
            engine = connect(EngineSettings(), client=client)
            assert engine.count("videos") == 7
            assert stub.asked[-1].headers["authorization"].startswith("Basic ")
            assert "hidden" not in repr(engine)
            assert stub.url in repr(engine)
            client.close()


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_password_beyond_ascii_is_sent_as_utf_8(kind: Any) -> None:
    with http_stub(lambda _: Reply(body=WHOLE, headers=ELASTIC)) as stub:
        settings = EngineSettings(
            url=stub.url,
            kind=kind,
            username="j\u00fcrgen",
            password="\u043a\u043b\u044e\u0447",
        )
        engine = connect(settings)
        assert engine.count("videos") == 7
        scheme, sent = stub.asked[-1].headers["authorization"].split()
        engine.close()
    assert scheme == "Basic"
    assert base64.b64decode(sent).decode() == "j\u00fcrgen:\u043a\u043b\u044e\u0447"


def test_client_of_another_library_is_refused() -> None:
    with pytest.raises(ConfigError) as raised:
        connect(EngineSettings(), client=object())
    assert str(raised.value) == (
        "a client of type builtins.object is not usable: "
        "pass in an elasticsearch.Elasticsearch or an opensearchpy.OpenSearch"
    )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"api_key": "x", "username": "me", "password": "y"},
            "set engine.api_key or engine.username, not both",
        ),
        (
            {"username": "me"},
            "engine.username and engine.password belong together: set both",
        ),
        (
            {"password": "y"},
            "engine.username and engine.password belong together: set both",
        ),
        (
            {"kind": "opensearch", "api_key": "x"},
            (
                "engine.api_key is for Elasticsearch; for OpenSearch set engine.username and "
                "engine.password, or pass in a client"
            ),
        ),
        *(
            (
                {"api_key": key},
                "engine.api_key must be ASCII on one line; is there a line break in it?",
            )
            for key in ("hunter2\n", "hunter\u00fc")
        ),
    ],
)
def test_contradicting_settings_are_refused(settings: Any, said: str) -> None:
    with pytest.raises(ConfigError) as raised:
        connect(EngineSettings(**settings))
    assert str(raised.value) == said


def test_missing_opensearch_library_is_reported_with_its_extra(
    opensearch_2: SearchNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, opensearchpy.__name__, None)
    for kind in ("auto", "opensearch"):
        with pytest.raises(MissingExtraError) as raised:
            connect(EngineSettings(url=opensearch_2.url, kind=kind))
        assert str(raised.value) == (
            f"OpenSearch at {opensearch_2.url} needs an extra: pip install 'vidsearch[opensearch]'"
        )


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_url_with_a_path_and_without_a_port_works(kind: Any) -> None:
    with http_stub(lambda _: Reply(body=WHOLE, headers=ELASTIC)) as stub:
        engine = connect(EngineSettings(url=f"{stub.url}/search/", kind=kind))
        assert engine.count("videos") == 7
        engine.close()
    assert stub.paths() == ["POST /search/videos/_count"]
    connect(EngineSettings(url="https://search.example.org", kind=kind)).close()


# -- what is left behind


def open_contexts(node: SearchNode, index: str) -> int:
    stats = call(node.url, "GET", f"/{index}/_stats/search")
    number: int = stats["_all"]["total"]["search"]["open_contexts"]
    return number


def test_scan_leaves_no_scroll_open(
    engine: Engine, index_name: str, search_node: SearchNode
) -> None:
    engine.create_index(index_name, small_index(engine))
    engine.bulk(index_name, [Write("index", str(n), {"n": n}) for n in range(9)], refresh=True)

    def none_is_open() -> bool:
        return open_contexts(search_node, index_name) == 0

    assert len(list(engine.scan(index_name, page_size=2))) == 9
    until(none_is_open, what="the scroll is closed")

    started = engine.scan(index_name, page_size=2)
    next(started)
    assert not none_is_open()
    started.close()  # type: ignore[attr-defined]
    until(none_is_open, what="the scroll is closed")
