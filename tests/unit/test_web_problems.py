"""Errors as problem details: a status for each, and nothing that the client may not know."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from vidsearch import errors
from vidsearch.errors import (
    MappingConflictError,
    QueryError,
    SourcePausedError,
    VideoNotRegisteredError,
    VidsearchError,
)
from vidsearch.search.filters import build_filters
from vidsearch.search.value_fields import value_field
from vidsearch.web import problems
from vidsearch.web.pages.rendering import failure_of
from vidsearch.web.problems import problem_of

CLASSES = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, VidsearchError)
]
SECRET = "http://engine.internal:9200/videos refused /srv/videos/a.mp4"


PROPERTIES = {"secret": {"type": "keyword"}}


def filtered_by(name: str) -> object:
    return build_filters({name: 1}, properties=PROPERTIES)


def sorted_by(name: str) -> object:
    index: Any = SimpleNamespace(name="videos", properties=PROPERTIES, runtime={}, memo={})
    return value_field(index, name, argument="sort")


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_error_is_a_problem_that_names_its_class_and_no_place(
    kind: type[VidsearchError],
) -> None:
    problem = problem_of(kind(SECRET))
    assert 400 <= problem.status < 600
    assert problem.type == f"urn:vidsearch:error:{kind.__name__}"
    assert problem.title
    assert (SECRET in problem.detail) is (kind.fault == "caller")
    assert (problem.retry_after is not None) is (kind.fault == "outage")
    answer = problem.response()
    assert answer.status_code == problem.status
    assert answer.headers["content-type"] == "application/problem+json"
    assert ("retry-after" in answer.headers) is (kind.fault == "outage")


def test_argument_is_named_as_http_spells_it() -> None:
    problem = problem_of(QueryError("from_ must be a whole number", argument="from_"))
    assert problem.status == 422
    assert problem.to_dict()["argument"] == "from"
    assert problem.detail == "from must be a whole number"


def test_argument_is_named_as_another_client_spells_it() -> None:
    error = QueryError("like: no video 'x' in the index", argument="like")
    problem = problem_of(error, names={"like": "id"})
    assert (problem.argument, problem.detail) == ("id", "id: no video 'x' in the index")


def test_what_the_engine_said_of_a_search_is_in_the_log_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", problems.__name__)
    error = QueryError("from_: the engine refuses it", argument="from_", known=": known fields")
    error.__cause__ = QueryError("of another position")
    error.__cause__.__cause__ = MappingConflictError(SECRET)
    problem = problem_of(error)
    assert (problem.status, problem.argument) == (422, "from")
    assert problem.detail == "from: the engine refuses it"
    assert SECRET in caplog.text


@pytest.mark.parametrize(
    "error", [RuntimeError(SECRET), errors.BackendUnavailableError(SECRET)], ids=["bug", "outage"]
)
def test_an_error_of_the_server_has_the_name_that_its_log_has(
    caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    first, second = (problem_of(error).to_dict()["instance"] for _ in range(2))
    assert first != second
    assert first in caplog.messages[0]
    assert second in caplog.messages[1]


def test_a_mistake_of_the_client_has_no_name_in_the_log() -> None:
    assert "instance" not in problem_of(QueryError("k must be less")).to_dict()


def test_unknown_video_is_404_and_a_pause_says_how_long() -> None:
    assert problem_of(VideoNotRegisteredError("no video 'x'")).status == 404
    assert problem_of(SourcePausedError("away", seconds=41.6)).retry_after == 42


def test_exceptions_of_others_keep_their_words_for_the_log() -> None:
    told = "an error of the server; the log of the server says more"
    assert problem_of(RuntimeError(SECRET)).detail == told
    problem = problem_of(HTTPException(405, headers={"allow": "GET"}))
    assert (problem.status, problem.all_headers) == (405, {"allow": "GET"})


@pytest.mark.parametrize("find", [filtered_by, sorted_by])
def test_caller_is_not_told_the_names_of_other_fields(find: Callable[[str], object]) -> None:
    with pytest.raises(QueryError, match="secret") as caught:
        find("nope")
    assert "'nope'" in problem_of(caught.value).detail
    assert "secret" not in problem_of(caught.value).detail


def test_people_are_told_once_to_look_into_the_log() -> None:
    for error in (errors.BackendUnavailableError(""), errors.ConfigError(""), RuntimeError("")):
        told = failure_of(problem_of(error), path="/")
        assert f"{told.text} {told.advice}".count("log of the server") == 1
