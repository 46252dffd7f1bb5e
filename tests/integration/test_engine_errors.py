"""What a user reads when the search engine is away, refuses, or rejects."""

from __future__ import annotations

import logging
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import self_signed
from tests.http_stub import ELASTIC, Asked, Reply, http_stub, wait_until

from vidsearch.config import EngineSettings
from vidsearch.engines import Engine, Write, connect
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.engines.steps import Steps
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendError,
    BackendUnavailableError,
    BulkError,
    ConfigError,
    IndexNotFoundError,
    MappingConflictError,
    RequestTooLargeError,
    VersionConflictError,
    VidsearchError,
)
from vidsearch.local import SearchNode
from vidsearch.testing.small_index import small_index

pytestmark = pytest.mark.integration

SECRET = "c3VwZXJzZWNyZXQ="
KINDS = ("elasticsearch", "opensearch")
WHY = {"error": {"type": "x", "reason": "because", "root_cause": [{"reason": "because"}]}}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Any:
    """Both adapters in turn."""
    return request.param


def raised(attempt: Callable[[], object]) -> VidsearchError:
    with pytest.raises(VidsearchError) as found:
        attempt()
    assert found.value.__cause__ is not found.value
    return found.value


def message(attempt: Callable[[], object], type_: type[VidsearchError]) -> str:
    error = raised(attempt)
    assert type(error) is type_
    return str(error)


# -- nobody answers


def test_refused_connection_is_reported_with_its_url(kind: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        engine = connect(EngineSettings(url=url, kind=kind))
        assert message(lambda: engine.count("videos"), BackendUnavailableError) == (
            f"{url} does not answer: Connection refused. "
            "Is the search engine running, and is engine.url right?"
        )
        engine.close()


def test_refused_connection_while_detecting_the_kind_is_reported() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        assert message(lambda: connect(EngineSettings(url=url)), BackendUnavailableError) == (
            f"{url} does not answer: Connection refused. "
            "Is the search engine running, and is engine.url right?"
        )


def test_timed_out_request_is_reported_and_not_repeated(kind: Any) -> None:
    with http_stub(lambda _: Reply(delay=30, headers=ELASTIC)) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind, timeout=0.5))
        assert message(lambda: engine.count("videos"), BackendUnavailableError) == (
            f"{stub.url} did not answer in time (engine.timeout)"
        )
        assert wait_until(lambda: len(stub.asked), reaches=1)  # it may be read late
        engine.close()
    assert stub.paths() == ["POST /videos/_count"]


def test_connection_that_the_server_closed_is_reopened(kind: Any) -> None:
    whole = {"count": 7, "_shards": {"failed": 0}}
    with http_stub(lambda _: Reply(body=whole, headers=ELASTIC, hang_up=True)) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        for times in (1, 2, 3):
            assert engine.count("videos") == 7
            assert wait_until(lambda: stub.closed, reaches=times)
            time.sleep(0.05)  # until the end of the connection has arrived on our side
        engine.close()


# -- somebody refuses


@pytest.mark.parametrize(
    ("status", "type_", "said"),
    [
        (
            401,
            BackendAccessDeniedError,
            (
                "{url} refused the credentials (401): because. Check engine.api_key, "
                "or engine.username and engine.password"
            ),
        ),
        (
            403,
            BackendAccessDeniedError,
            "index 'videos' at {url} refused the request (403): because",
        ),
        (404, BackendError, "index 'videos' at {url} answered the request with 404: because"),
        (
            409,
            VersionConflictError,
            (
                "index 'videos' at {url} rejected the request, as the document has changed "
                "(409): because"
            ),
        ),
        (
            413,
            RequestTooLargeError,
            (
                "index 'videos' at {url} does not take a request of that size (413): because. "
                "Raise http.max_content_length of the cluster, or the limit of the proxy in front "
                "of it, or store shorter fields, or fewer segments (index.segment_seconds, "
                "index.max_segments)"
            ),
        ),
        (
            429,
            BackendUnavailableError,
            "index 'videos' at {url} is overloaded or failing (429): because",
        ),
        (
            503,
            BackendUnavailableError,
            "index 'videos' at {url} is overloaded or failing (503): because",
        ),
    ],
)
def test_status_is_mapped_to_its_error_and_not_repeated(
    kind: Any, status: int, type_: type[VidsearchError], said: str
) -> None:
    with http_stub(lambda _: Reply(status, WHY, ELASTIC)) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        assert message(lambda: engine.count("videos"), type_) == said.format(url=stub.url)
        engine.close()
    assert len(stub.asked) == 1


def test_a_document_of_a_bulk_that_is_too_large_is_refused_with_its_size(kind: Any) -> None:
    def answer(asked: Asked) -> Reply:
        if "_nodes" in asked.path:
            limits = {"n": {"http": {"max_content_length_in_bytes": 1_000_000}}}
            return Reply(200, {"nodes": limits}, ELASTIC)
        if not asked.path.endswith("/_bulk"):
            return Reply(200, {"videos": {"aliases": {}}}, ELASTIC)
        return Reply(413, "<h1>Request Entity Too Large</h1>", ELASTIC)

    with http_stub(answer) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        with pytest.raises(BulkError) as found:
            engine.bulk("videos", [Write("index", "a", {"text": "x" * 2000})])
        engine.close()
    assert isinstance(found.value.failures["a"], RequestTooLargeError)
    assert "The request has 2,0" in str(found.value.failures["a"])
    assert "is 1,000,000 bytes, so a proxy in front of it allows less" in str(found.value)


def test_error_page_of_a_proxy_is_shown_in_one_line(kind: Any) -> None:
    with http_stub(lambda _: Reply(502, "<h1>Bad\n gateway</h1>")) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        assert message(lambda: engine.count("videos"), BackendUnavailableError) == (
            f"index 'videos' at {stub.url} is overloaded or failing (502): <h1>Bad gateway</h1>"
        )
        engine.close()


def test_forbidden_version_is_reported_with_the_setting_to_change() -> None:
    with http_stub(lambda _: Reply(403, WHY, ELASTIC)) as stub:
        assert message(lambda: connect(EngineSettings(url=stub.url)), BackendAccessDeniedError) == (
            f"{stub.url} refused the request (403): because. "
            "If they may not ask for the version, set engine.kind"
        )


def test_server_that_is_no_search_engine_is_reported() -> None:
    with http_stub(lambda _: Reply(body={"hello": "world"})) as stub:
        assert message(lambda: connect(EngineSettings(url=stub.url)), BackendError) == (
            f"{stub.url} is neither Elasticsearch nor OpenSearch, or too old; "
            "set engine.kind if it is one of them behind a proxy"
        )
        engine = connect(EngineSettings(url=stub.url, kind="opensearch"))
        assert message(engine.info, BackendError) == (
            f"{stub.url} is not OpenSearch; set engine.kind to what it is, or to auto"
        )
        engine.close()


def test_wrong_engine_kind_is_reported(
    opensearch_2: SearchNode, elasticsearch_9: SearchNode
) -> None:
    engine = connect(EngineSettings(url=opensearch_2.url, kind="elasticsearch"))
    for attempt in (engine.info, lambda: engine.count("videos")):
        error = raised(attempt)
        assert isinstance(error, BackendError)
        assert str(error) == (
            f"{opensearch_2.url} is not Elasticsearch; set engine.kind to what it is, or to auto"
        )
    engine.close()

    engine = connect(EngineSettings(url=elasticsearch_9.url, kind="opensearch"))
    assert message(engine.info, BackendError) == (
        f"{elasticsearch_9.url} is not OpenSearch; set engine.kind to what it is, or to auto"
    )
    engine.close()


# -- no secret is shown


@pytest.mark.parametrize(
    ("kind", "credentials"),
    [
        ("elasticsearch", {"api_key": SECRET}),
        ("elasticsearch", {"username": "me", "password": SECRET}),
        ("opensearch", {"username": "me", "password": SECRET}),
    ],
)
def test_secrets_are_in_no_error_and_no_log(
    kind: Any, credentials: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    replies = [Reply(status, WHY, ELASTIC) for status in (400, 401, 403, 404, 409, 429, 500)]
    replies += [Reply(502, "no JSON"), Reply(body="no JSON"), Reply(delay=30)]
    waiting = iter(replies)
    shown = []
    with http_stub(lambda _: next(waiting)) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind, timeout=0.2, **credentials))
        for _ in replies:
            error = raised(lambda: engine.count("videos"))
            shown += [str(error), repr(error), *traceback.format_exception(error)]
        sent = {asked.headers.get("authorization") for asked in stub.asked}
        shown += [repr(engine), str(engine), *(record.getMessage() for record in caplog.records)]
        engine.close()
    (header,) = sent
    assert header is not None
    text = "\n".join(shown)
    assert len(text) > 1000
    assert SECRET not in text
    assert header.split()[1] not in text


# -- TLS


def test_untrusted_certificate_is_refused_with_advice(kind: Any, tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "127.0.0.1")
    whole = {"count": 7, "_shards": {"failed": 0}}
    with http_stub(lambda _: Reply(body=whole, headers=ELASTIC), certificate=certificate) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        assert message(lambda: engine.count("videos"), BackendUnavailableError) == (
            f"the TLS certificate of {stub.url} is not trusted: self-signed certificate. "
            "Set engine.ca_certs to the CA bundle that signed it"
        )
        engine.close()
        for trust in ({"ca_certs": certificate[0]}, {"verify_certs": False}):
            engine = connect(EngineSettings(url=stub.url, kind=kind, **trust))
            assert engine.count("videos") == 7
            engine.close()


def test_ca_bundle_without_a_certificate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bundle.pem"
    settings = EngineSettings(url="https://localhost:9200", ca_certs=path)
    assert message(lambda: connect(settings), ConfigError) == (
        f"engine.ca_certs: there is no file '{path}'"
    )
    path.write_text("hello", encoding="utf-8")
    assert message(lambda: connect(settings), ConfigError) == (
        f"engine.ca_certs: '{path}' holds no certificate in PEM format"
    )


# -- the index is not there, or does not fit


def test_every_call_on_a_missing_index_names_it(engine: Engine, index_name: str) -> None:
    url = engine.info().url
    said = f"there is no index or alias '{index_name}' at {url}"
    for attempt in (
        lambda: engine.count(index_name),
        lambda: engine.put(index_name, "a", {"n": 1}),
        lambda: engine.msearch(index_name, [{}]),
        lambda: next(engine.scan(index_name)),
    ):
        assert message(attempt, IndexNotFoundError) == said
    assert message(lambda: engine.delete_index(index_name), IndexNotFoundError) == (
        f"there is no index '{index_name}' at {url}"
    )


def test_a_scan_whose_next_page_nobody_knows_of_is_an_outage(
    engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.create_index(index_name, small_index(engine))
    engine.bulk(index_name, [Write("index", id, {}) for id in "abc"])
    engine.refresh(index_name)
    dialect = engine.calls.dialect
    cursors: list[str] = []
    page = dialect.page

    def noted(*args: Any, **options: Any) -> Steps[Any]:
        response, cursor = yield from page(*args, **options)
        cursors.append(cursor)
        return response, cursor

    monkeypatch.setattr(dialect, "page", noted)
    scan = engine.scan(index_name, page_size=1)
    next(scan)
    engine.run(dialect.close_scan(cursors[0]))  # as where its node was restarted
    said = message(lambda: next(scan), BackendUnavailableError)
    assert said.startswith(f"the scan of index '{index_name}' broke off: {engine.info().url}")
    assert "(404): No search context found for id" in said


def test_index_with_a_bad_mapping_is_not_created(engine: Engine, index_name: str) -> None:
    body = {"mappings": {"properties": {"n": {"type": "no-such-type"}}}}
    said = message(lambda: engine.create_index(index_name, body), RequestRejectedError)
    assert said.startswith(
        f"index '{index_name}' at {engine.info().url} rejected the request (400): "
    )
    assert "no-such-type" in said
    assert engine.indices_of(index_name) == ()
    engine.create_index(index_name, small_index(engine))
    assert message(lambda: engine.create_index(index_name, {}), MappingConflictError) == (
        f"index '{index_name}' at {engine.info().url} exists already"
    )


WRONG_DIMS = {
    "elasticsearch": (
        "[1:28] failed to parse: The [dense_vector] field [video.vector] in doc [document with id "
        "'a'] has a different number of dimensions [2] than defined in the mapping [4]"
    ),
    "opensearch": (
        "failed to parse field [video.vector] of type [knn_vector] in document with id 'a'. "
        "Preview of field's value: 'null': Vector dimension mismatch. Expected: 4, Given: 2"
    ),
}


def test_vector_with_wrong_dims_is_refused_with_the_reason(engine: Engine, index_name: str) -> None:
    engine.create_index(index_name, small_index(engine))
    source = {"video": {"vector": [1.0, 0.0]}}
    reason = WRONG_DIMS[engine.kind]
    where = f"{index_name!r} at {engine.info().url}"
    assert message(lambda: engine.put(index_name, "a", source), RequestRejectedError) == (
        f"index {where} rejected the request (400): {reason}"
    )
    error = raised(
        lambda: engine.bulk(
            index_name, [Write("index", "a", source), Write("index", "b", {"n": 1})]
        )
    )
    assert isinstance(error, BulkError)
    said = f"index {where} rejected the request for document 'a' (400): {reason}"
    assert str(error) == f"1 of 2 writes were rejected, first: {said}"
    assert {id: str(one) for id, one in error.failures.items()} == {"a": said}


def test_document_that_is_not_json_is_refused(engine: Engine, index_name: str) -> None:
    engine.create_index(index_name, small_index(engine))
    error = raised(lambda: engine.put(index_name, "a", {"n": object()}))
    assert type(error) is BackendError
    assert str(error).startswith(
        f"a request to {engine.info().url} cannot be written as JSON: Type is not JSON serializable"
    )
    assert isinstance(
        raised(lambda: engine.put(index_name, "a", {"n": float("nan")})), BackendError
    )
    assert engine.get(index_name, "a") is None


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_id_that_would_change_the_path_is_refused(engine: Engine, index_name: str, id: str) -> None:
    engine.create_index(index_name, small_index(engine))
    for attempt in (
        lambda: engine.delete(index_name, id),
        lambda: engine.put(index_name, id, {"n": 1}),
        lambda: engine.get(index_name, id),
        lambda: engine.delete_index(id),
    ):
        assert message(attempt, BackendError) == (f"{id!r} cannot be an id or the name of an index")
    assert engine.indices_of(index_name) == (index_name,)


# -- half an answer is none


def shards(failed: int) -> dict[str, Any]:
    failures = [{"reason": {"type": "x", "reason": "disk is gone"}}] * failed
    return {"total": 2, "successful": 2 - failed, "failed": failed, "failures": failures}


def test_answer_of_only_some_shards_is_an_error(kind: Any) -> None:
    part: dict[str, Any] = {"_shards": shards(1), "count": 1, "hits": {"hits": []}}

    def answer(asked: Asked) -> Reply:
        body = {"responses": [part]} if asked.path.startswith("/videos/_msearch") else part
        return Reply(body=body, headers=ELASTIC)

    with http_stub(answer) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        for attempt in (
            lambda: engine.count("videos"),
            lambda: engine.search("videos", {}),
            lambda: engine.msearch("videos", [{}]),
        ):
            assert message(attempt, BackendUnavailableError) == (
                f"1 of 2 shards of index 'videos' at {stub.url} did not answer: disk is gone"
            )
        engine.close()
    search, msearch = stub.asked[1:]
    assert "allow_partial_search_results=false" in search.path
    assert '"allow_partial_search_results":false' in msearch.body.replace(" ", "")


def test_bulk_items_rejected_for_load_are_retried(kind: Any) -> None:
    full = {"type": "rejected", "reason": "queue is full"}
    items = [
        {"index": {"_id": "a", "status": 201, "_seq_no": 0, "_primary_term": 1}},
        {"index": {"_id": "b", "status": 400, "error": {"type": "x", "reason": "bad"}}},
        {"index": {"_id": "c", "status": 429, "error": full}},
        {"delete": {"_id": "d", "status": 404, "result": "not_found"}},
    ]

    def answer(asked: Asked) -> Reply:
        # Whoever was turned away comes back alone, and is turned away again.
        told = [i for i in items if f'"_id":"{next(iter(i.values()))["_id"]}"' in asked.body]
        body: Any = {"items": told} if asked.method == "POST" else {"videos": {"aliases": {}}}
        return Reply(body=body, headers=ELASTIC)

    with http_stub(answer) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        writes = [Write("index", id, {}) for id in "abc"] + [Write("delete", "d")]
        assert message(lambda: engine.bulk("videos", writes), BackendUnavailableError) == (
            f"1 of 4 writes to index 'videos' at {stub.url} were not accepted "
            "(2 written, 1 rejected): queue is full (429)"
        )
        engine.close()


def test_writes_to_an_index_whose_disk_is_full_say_so(engine: Engine, index_name: str) -> None:
    engine.create_index(index_name, {})
    engine.put_settings(index_name, {"blocks.read_only_allow_delete": True})  # as the engine does
    writes = [Write("index", "a", {}), Write("index", "b", {})]
    for attempt in (
        lambda: engine.put(index_name, "a", {}),
        lambda: engine.bulk(index_name, writes),
    ):
        said = message(attempt, BackendUnavailableError)
        assert "(429). The disk of a data node is full: free some, or add a node" in said
