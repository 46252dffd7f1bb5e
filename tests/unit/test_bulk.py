"""A bulk write loses nothing, sends nothing twice that was taken, and says what was rejected."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.http_stub import ELASTIC, Asked, Reply, http_stub

from vidsearch.config import EngineSettings
from vidsearch.engines import BulkResult, Json, Revision, Write, connect
from vidsearch.engines.bulk import ATTEMPTS, Item, Progress, as_stored, chunks, encoded
from vidsearch.engines.calls import Calls
from vidsearch.engines.elasticsearch import ElasticsearchDialect
from vidsearch.engines.errors import RequestRejectedError
from vidsearch.engines.steps import Answer, Request, run
from vidsearch.engines.vectors import decode_vector, encode_vector, holds_arrays, to_json
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendError,
    BackendUnavailableError,
    BulkError,
    IndexNotFoundError,
    RequestTooLargeError,
    VersionConflictError,
)

Handler = Callable[[list[Json]], Any]


def _actions(body: bytes | str) -> list[Json]:
    lines = map(json.loads, body.splitlines())
    return [action for action in lines if "delete" in action or next(lines)]


def _ids(body: Any) -> list[str]:
    return [next(iter(action.values()))["_id"] for action in _actions(body)]


def _answered(actions: Sequence[Json], **statuses: int) -> Json:
    """A response that says 201, or what is given for an id."""
    items = []
    for action in actions:
        ((op, about),) = action.items()
        status = statuses.get(about["_id"], 201)
        item = {"_id": about["_id"], "status": status, "_seq_no": 7, "_primary_term": 1}
        if status >= 300:
            item["error"] = {"type": "x_exception", "reason": f"reason {status}"}
        items.append({op: item})
    return {"items": items}


class _Server:
    """Carries a call out against a script: one entry per bulk request."""

    def __init__(self, *script: Handler, stored: Json | None = None) -> None:
        self.script = list(script)
        self.stored = stored
        self.sent: list[list[str]] = []
        self.pauses: list[float] = []
        self.read: list[list[str]] = []

    def run(self, writes: Sequence[Write]) -> BulkResult:
        calls = Calls(ElasticsearchDialect("http://search"))
        return run(calls.bulk("videos", writes, refresh=False), self._answer)

    def _answer(self, request: Request) -> Answer:
        if request.path.endswith("/_alias"):
            return Answer(200, {"videos": {}})
        if request.path == "/_nodes/_local/http":
            return Answer(200, {"nodes": {}})
        if request.path.endswith("/_mget"):
            assert request.body is not None
            self.read.append([doc["_id"] for doc in json.loads(request.body)["docs"]])
            found: Json = {"found": self.stored is not None, "_seq_no": 0, "_primary_term": 1}
            docs = [{"_id": id, "_source": self.stored, **found} for id in self.read[-1]]
            return Answer(200, {"docs": docs})
        self.pauses.append(request.pause)
        assert request.lines is not None
        self.sent.append(_ids(request.lines))
        said = self.script.pop(0)(_actions(request.lines))
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Answer) else Answer(200, said)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def _writes(*ids: str) -> list[Write]:
    return [Write("index", id, {"n": 1}) for id in ids]


def _lost(_: list[Json]) -> Exception:
    return BackendUnavailableError("no answer")


def test_only_items_rejected_for_load_are_sent_again() -> None:
    server = _Server(
        lambda sent: _answered(sent, b=429, d=503),
        lambda sent: _answered(sent, d=429),
        _answered,
    )
    done = server.run(_writes("a", "b", "c", "d"))
    assert (done.written, done.retried, done.requests) == (4, 3, 3)
    assert server.sent == [["a", "b", "c", "d"], ["b", "d"], ["d"]]
    first, second, third = server.pauses
    assert first == 0
    assert 0.25 <= second <= 0.5 <= third <= 1.0


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_request_rejected_for_load_is_sent_again(status: int) -> None:
    server = _Server(lambda _: Answer(status, "a page"), _lost, _answered)
    done = server.run(_writes("a", "b"))
    assert (done.written, done.retried, done.requests) == (2, 4, 3)
    assert server.sent == [["a", "b"]] * 3


def test_rejected_items_are_named_and_the_rest_is_written() -> None:
    server = _Server(lambda sent: _answered(sent, a=400, b=429, c=409), _answered)
    said = "index 'videos' at http://search rejected the request for document 'a' (400): reason 400"
    with pytest.raises(BulkError, match="2 of 4 writes were rejected, first: ") as raised:
        server.run(_writes("a", "b", "c", "d"))
    assert str(raised.value).endswith(f"first: {said}")
    assert str(raised.value.failures["a"]) == said
    assert str(raised.value.failures["c"]).endswith("(409): reason 409")
    assert raised.value.revisions == {"b": Revision(7, 1), "d": Revision(7, 1)}
    assert server.sent == [["a", "b", "c", "d"], ["b"]]


def test_rejected_items_have_the_errors_of_single_writes() -> None:
    server = _Server(lambda sent: _answered(sent, a=400, b=403, c=409, d=413, e=418))
    with pytest.raises(BulkError) as raised:
        server.run(_writes("a", "b", "c", "d", "e"))
    assert {id: type(error) for id, error in raised.value.failures.items()} == {
        "a": RequestRejectedError,
        "b": BackendAccessDeniedError,
        "c": VersionConflictError,
        "d": RequestTooLargeError,
        "e": BackendError,
    }


def test_request_that_is_too_large_is_halved_down_to_the_document_at_fault() -> None:
    def take(sent: list[Json]) -> Any:
        too_large = len(sent) > 2 or "c" in [about["_id"] for one in sent for about in one.values()]
        return Answer(413, "a proxy's page") if too_large else _answered(sent)

    server = _Server(*[take] * 9)
    with pytest.raises(BulkError, match="1 of 5 ") as raised:
        server.run(_writes("a", "b", "c", "d", "e"))
    assert server.sent == [[*"abcde"], [*"ab"], [*"cde"], ["c"], [*"de"]]
    assert raised.value.revisions.keys() == {*"abde"}
    assert isinstance(raised.value.failures["c"], RequestTooLargeError)


def test_item_that_is_not_json_is_rejected_alone() -> None:
    server = _Server(_answered)
    with pytest.raises(BulkError) as raised:
        server.run([Write("index", "a", {"x": object()}), *_writes("b")])
    assert {id: str(error) for id, error in raised.value.failures.items()} == {
        "a": "document 'a' cannot be written as JSON: Type is not JSON serializable: object"
    }
    assert server.sent == [["b"]]


def test_items_turned_away_at_every_attempt_are_counted_in_the_error() -> None:
    server = _Server(
        lambda sent: _answered(sent, b=429, c=400), *[lambda sent: _answered(sent, b=429)] * 3
    )
    with pytest.raises(BackendUnavailableError, match=r"1 of 3 .*\(1 written, 1 rejected\).*429"):
        server.run(_writes("a", "b", "c"))
    assert len(server.sent) == ATTEMPTS


def test_refused_request_is_not_repeated() -> None:
    server = _Server(lambda _: Answer(403, {"error": {"type": "x", "reason": "no"}}))
    with pytest.raises(BackendError, match="no"):
        server.run(_writes("a"))
    assert len(server.sent) == 1


def test_index_deleted_meanwhile_is_reported() -> None:
    gone = {"type": "index_not_found_exception", "index": "videos"}
    server = _Server(lambda _: {"items": [{"index": {"_id": "a", "status": 404, "error": gone}}]})
    with pytest.raises(IndexNotFoundError, match="videos"):
        server.run(_writes("a"))


def test_create_whose_answer_was_lost_counts_as_written() -> None:
    vector = np.array([0.1, -0.0, 0.7], np.float32)
    create = [Write("create", "a", {"n": 1, "video": {"vector": vector}})]
    stored = {"n": 1, "video": {"vector": [0.1, -0.0, 0.7]}}
    conflict: Handler = lambda sent: _answered(sent, a=409)  # noqa: E731
    assert _Server(_lost, conflict, stored=stored).run(_as_lists(create)).written == 1
    other, at_once = _Server(_lost, conflict, stored={"n": 2}), _Server(conflict, stored=stored)
    for server in (other, at_once):
        with pytest.raises(BulkError, match="'a', as the document has changed") as raised:
            server.run(_as_lists(create))
        assert isinstance(raised.value.failures["a"], VersionConflictError)
    assert other.read == [["a"]]
    assert at_once.read == []  # nothing was lost: somebody else's


def test_lost_answers_are_looked_up_by_one_request() -> None:
    conflicts: Handler = lambda sent: _answered(sent, a=409, c=409, d=409)  # noqa: E731
    server = _Server(_lost, conflicts, stored={"n": 1})
    writes = [Write("create", id, {"n": 1}) for id in "abcd"]
    assert server.run(writes).written == 4
    assert server.read == [["a", "c", "d"]]


_REVISION = Revision(3, 1)


@pytest.mark.parametrize(
    ("write", "stored"),
    [
        (Write("index", "a", {"n": 1}, expect="absent"), {"n": 1}),
        (Write("index", "a", {"n": 1}, expect=_REVISION), {"n": 1}),
        (Write("update", "a", {"deep": {"n": 1}}, expect=_REVISION), {"deep": {"n": 1, "m": 2}}),
        (Write("delete", "a", expect=_REVISION), None),
    ],
    ids=["create", "index", "update", "delete"],
)
def test_a_lost_answer_is_told_from_a_lost_compare_and_set(
    write: Write, stored: Json | None
) -> None:
    conflict: Handler = lambda sent: _answered(sent, a=409)  # noqa: E731
    other = {"n": 2, "deep": {"n": 2}}
    ours = _Server(_lost, conflict, stored=stored).run([write])
    assert (ours.written, ours.retried, ours.conflicts) == (1, 1, ())
    assert ours.revisions == ({} if stored is None else {"a": Revision(0, 1)})
    theirs = _Server(_lost, conflict, stored=other).run([write])
    assert (theirs.written, theirs.retried, theirs.conflicts) == (0, 1, ("a",))
    # Nothing was lost: whatever is stored, it is not ours, and it is not asked for.
    first = _Server(conflict, stored=stored)
    assert first.run([write]).conflicts == ("a",)
    assert first.read == []


def test_an_expected_revision_is_sent_and_never_retried_by_the_engine() -> None:
    writes = [
        Write("index", "a", {}, "r", _REVISION),
        Write("update", "b", {}, expect=_REVISION),
        Write("delete", "c", expect=_REVISION),
        Write("index", "d", {}, expect="absent"),
    ]
    progress = Progress("videos", "http://search", 4)
    items = encoded(writes, progress, order=None)
    sent = [json.loads(item.lines.splitlines()[0]) for item in items]
    revision = {"if_seq_no": 3, "if_primary_term": 1}
    assert sent == [
        {"index": {"_id": "a", "routing": "r", **revision}},
        {"update": {"_id": "b", **revision}},
        {"delete": {"_id": "c", **revision}},
        {"create": {"_id": "d"}},
    ]


def _as_lists(writes: Sequence[Write]) -> list[Write]:
    return [Write(w.op, w.id, json.loads(to_json(w.source))) for w in writes]


def test_writes_of_one_document_never_share_a_request() -> None:
    server = _Server(
        lambda sent: _answered(sent, a=429),
        _answered,
        lambda sent: _answered(sent, b=429),
        _answered,
    )
    server.run(_writes("a", "b", "a", "b"))
    assert server.sent == [["a", "b"], ["a"], ["a", "b"], ["b"]]


@given(st.lists(st.integers(1, 60), max_size=40), st.lists(st.integers(0, 9), min_size=40))
def test_chunks_keep_bounds_order_and_everything(sizes: list[int], names: list[int]) -> None:
    items = [
        Item(Write("index", f"{name}"), b"x" * size)
        for size, name in zip(sizes, names, strict=False)
    ]
    made = list(chunks(items, max_bytes=100, max_items=5))
    assert [item for chunk in made for item in chunk] == items
    for chunk in made:
        assert len(chunk) <= 5
        assert len(chunk) == 1 or sum(len(item.lines) for item in chunk) <= 100
        assert len({item.write.id for item in chunk}) == len(chunk)


@pytest.mark.parametrize("kind", ["elasticsearch", "opensearch"])
def test_a_bulk_request_that_got_503_over_http_is_sent_again(kind: Any) -> None:
    turns = iter([Reply(503, "busy", headers=ELASTIC), None, None])

    def answer(asked: Asked) -> Reply:
        if asked.path.endswith("/_alias"):
            return Reply(200, {"videos": {}}, headers=ELASTIC)
        turn = next(turns)
        if turn is not None:
            return turn
        return Reply(200, _answered(_actions(asked.body)), headers=ELASTIC)

    with http_stub(answer) as stub:
        engine = connect(EngineSettings(url=stub.url, kind=kind))
        done = engine.bulk("videos", _writes("ü", "b"))
        assert (done.written, done.retried, done.requests) == (2, 2, 2)
        engine.close()
    assert [_ids(one.body) for one in stub.asked if "_bulk" in one.path] == [["ü", "b"]] * 2
    sent = stub.asked[-1]
    assert "ndjson" in next(v for k, v in sent.headers.items() if k.lower() == "content-type")


# -- vectors

_floats = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1)


@given(_floats)
def test_vectors_are_read_back_bit_for_bit(values: list[float]) -> None:
    vector = np.array(values, np.float32)
    for stored in (
        json.loads(to_json({"v": vector}))["v"],
        json.loads(to_json({"v": vector}, "big"))["v"],
        encode_vector(vector, "big"),
        [encode_vector(vector, "big")],  # in the fields of a hit
    ):
        assert decode_vector(stored, "big").tobytes() == vector.tobytes()
    assert decode_vector(encode_vector(vector, "little"), "little").tobytes() == vector.tobytes()


def test_vectors_are_encoded_in_the_given_byte_order() -> None:
    one = np.array([1.0], np.float32)
    assert encode_vector(one, "big") == "P4AAAA=="
    assert encode_vector(one, "little") == "AACAPw=="


def test_nested_arrays_are_encoded() -> None:
    vector = np.zeros(2, np.float32)
    assert holds_arrays({"video": {"segments": [{"start": 0.0, "vector": vector}]}})
    assert holds_arrays([1.0, 2.0]) is False
    assert holds_arrays({"tags": ["a"], "none": [], "deep": [{"x": None}]}) is False


def test_other_values_equal_those_of_the_clients_serializers() -> None:
    strided = np.arange(6, dtype=np.float32)[::2]
    for order in (None, "big"):
        written = json.loads(to_json({"d": Decimal("1.5"), "n": np.int64(3)}, order))  # type: ignore[arg-type]
        assert written == {"d": 1.5, "n": 3}
    assert json.loads(to_json({"v": strided})) == {"v": [0.0, 2.0, 4.0]}
    stored = json.loads(to_json({"v": strided}, "big"))["v"]
    assert decode_vector(stored, "big").tolist() == [0, 2, 4]


_NAN, _INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    "number",
    [
        *(_NAN, _INF, np.array([np.nan], np.float32)),
        *([0.5, _NAN], [0.5, _INF, -_INF], [0.5, "a", _NAN], [0.5, [_NAN]], ["a", _INF]),
    ],
)
@pytest.mark.parametrize("order", [None, "big"])
def test_no_number_becomes_null(number: Any, order: Any) -> None:
    with pytest.raises(TypeError, match="NaN"):
        to_json({"deep": [{"x": number}]}, order)


@pytest.mark.parametrize("given", [[1e308, 1e308], [0.5, 1, True], [0.5, "a", [0.5, None]], []])
def test_lists_of_finite_numbers_and_others_are_written_as_they_are(given: Any) -> None:
    assert json.loads(to_json({"x": given})) == {"x": given}


def test_an_answer_about_other_writes_is_an_error() -> None:
    with pytest.raises(BackendError, match="what became of 2 writes"):
        _Server(lambda sent: _answered(sent[:1])).run(_writes("a", "b"))


def test_documents_are_compared_as_the_engine_keeps_them() -> None:
    vector = np.array([0.1, 0.2], np.float32)
    for ours, stored in (
        ({"v": vector, "t": ("a",)}, {"v": [0.1, 0.2], "t": ["a"]}),
        ({"x": 0.1}, {"x": float(np.float32(0.1))}),
    ):
        assert as_stored(ours, stored, order=None)
    for ours, stored in (
        ({"v": vector}, {"v": [0.1, 0.3]}),
        ({"v": vector}, {"v": None}),
        ({"a": 1}, {"a": 1, "b": 2}),
    ):
        assert not as_stored(ours, stored, order=None)


@pytest.mark.parametrize(("order", "other"), [("big", "little"), ("little", "big")])
def test_base64_is_compared_in_the_order_that_it_was_sent_in(order: Any, other: Any) -> None:
    vector = np.array([0.1, 0.2], np.float32)
    segments = {"segments": [{"vector": vector}]}
    sent = json.loads(to_json(segments, order))
    assert as_stored(segments, sent, order=order)
    assert not as_stored(segments, sent, order=other)


def test_a_write_passes_the_pipeline_by_where_that_is_asked_for() -> None:
    progress = Progress("videos", "http://search", 2)
    writes = [Write("index", "a", {"n": 1}), Write("index", "b", {"n": 1}, pipeline=False)]
    items = encoded(writes, progress, order=None)
    actions = [json.loads(item.lines.splitlines()[0])["index"] for item in items]
    assert actions == [{"_id": "a"}, {"_id": "b", "pipeline": "_none"}]


def test_an_update_carries_a_partial_document_and_a_routing() -> None:
    progress = Progress("videos", "http://search", 1)
    (item,) = encoded([Write("update", "a", {"n": 1}, routing="r")], progress, order=None)
    action, doc = map(json.loads, item.lines.splitlines())
    assert action["update"]["routing"] == "r"
    assert doc == {"doc": {"n": 1}}
