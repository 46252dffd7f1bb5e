"""Writes are stopped, and those that are under way waited for."""

from __future__ import annotations

from typing import Any

import pytest

from vidsearch.engines.calls import Calls
from vidsearch.engines.opensearch import OpenSearchDialect
from vidsearch.engines.steps import Answer, Request, run
from vidsearch.errors import BackendUnavailableError

ONE = "requests[1], index[shop-1][0]"
NONE = Answer(200, {"tasks": []})
DONE = Answer(200, {"acknowledged": True})
REFRESHED = Answer(200, {"_shards": {"failed": 0}})
NOT_TOLD = Answer(200, {"tasks": [], "node_failures": [{"type": "failed_node_exception"}]})


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


def _tasks(*descriptions: str, action: str = "indices:data/write/bulk[s][p]") -> Answer:
    tasks = [
        {"node": "n", "id": number, "action": action, "description": text}
        for number, text in enumerate(descriptions)
    ]
    return Answer(200, {"tasks": tasks})


def _sent(*answers: Answer, block: Answer = DONE) -> list[str]:
    """What is sent where the tasks are told so, one answer after the other."""
    told, sent = list(answers), []

    def send(request: Request) -> Answer:
        sent.append(f"{request.method} {request.path}")
        if request.path == "/_tasks":
            return told.pop(0)
        return block if request.method == "PUT" else REFRESHED

    run(Calls(OpenSearchDialect("http://there")).block_writes("shop-1"), send)
    assert not told
    return sent


SETTING = ["GET /_tasks", "PUT /shop-1/_settings", "GET /_tasks"]
LOOK = ["GET /_tasks"]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410])
def test_where_tasks_are_not_told_the_engine_waits_itself(status: int) -> None:
    refused = Answer(status, {"error": {"type": "x", "reason": "no"}})
    assert _sent(refused) == ["GET /_tasks", "PUT /shop-1/_block/write"]
    assert _sent(NOT_TOLD) == ["GET /_tasks", "PUT /shop-1/_block/write"]


def test_an_engine_that_is_overloaded_is_not_taken_for_one_that_does_not_tell() -> None:
    with pytest.raises(BackendUnavailableError):
        _sent(Answer(429, {"error": {"type": "x", "reason": "busy"}}))


def test_nothing_is_waited_for_where_nothing_is_under_way() -> None:
    assert _sent(_tasks(ONE), NONE) == SETTING


@pytest.mark.parametrize(
    "other",
    [
        _tasks("requests[1], index[shop-10][0]"),
        _tasks("requests[1], indices[shop-1]", action="indices:data/write/bulk"),
    ],
    ids=["another index", "asks the shards"],
)
def test_what_does_not_write_to_a_shard_of_the_index_is_not_waited_for(other: Answer) -> None:
    assert _sent(NONE, other) == SETTING


def test_writes_that_were_under_way_are_waited_for_and_later_ones_are_not() -> None:
    replica = f"[{ONE}] for aID [x], term [1]"
    seen = _sent(NONE, _tasks(ONE, replica), _tasks(ONE, replica), _tasks("later", replica), NONE)
    assert seen == SETTING + LOOK * 3
    later: Any = {"node": "n", "id": 7, "action": "indices:data/write/bulk[s]", "description": ONE}
    assert _sent(NONE, _tasks(ONE), Answer(200, {"tasks": [later]})) == SETTING + LOOK


def test_a_write_that_waits_for_a_refresh_gets_one() -> None:
    seen = _sent(NONE, *[_tasks(ONE)] * 5, NONE)
    assert seen == SETTING + LOOK * 3 + ["POST /shop-1/_refresh", *LOOK] * 2


def test_what_is_not_known_of_every_node_is_no_stop() -> None:
    with pytest.raises(BackendUnavailableError, match="not every node"):
        _sent(NONE, block=Answer(200, {"acknowledged": False}))
    with pytest.raises(BackendUnavailableError, match="may still be under way: not every node"):
        _sent(NONE, NOT_TOLD)
    with pytest.raises(BackendUnavailableError, match="may still be under way: not every node"):
        _sent(NONE, _tasks(ONE), NOT_TOLD)
