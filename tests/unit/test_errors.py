"""The error tree: one base, picklable, complete."""

from __future__ import annotations

import inspect
import pickle
from typing import get_args

import pytest

from vidsearch import errors
from vidsearch.engines import Revision
from vidsearch.errors import (
    BulkError,
    MappingConflictError,
    MissingExtraError,
    QueryError,
    VidsearchError,
)

_CLASSES = [
    value
    for value in vars(errors).values()
    if inspect.isclass(value) and issubclass(value, Exception)
]


def test_all_lists_every_class_sorted() -> None:
    assert errors.__all__ == sorted(["Fault", *(kind.__name__ for kind in _CLASSES)])


@pytest.mark.parametrize("kind", _CLASSES)
def test_error_survives_pickling(kind: type[Exception]) -> None:
    assert issubclass(kind, VidsearchError)
    assert kind.__doc__
    back = pickle.loads(pickle.dumps(kind("video 'a' failed")))
    assert type(back) is kind
    assert str(back) == "video 'a' failed"
    assert back.fault in get_args(errors.Fault)


def test_tree_in_the_docstring_names_every_class_with_its_fault() -> None:
    drawn = {
        (words[0], words[1])
        for line in str(errors.__doc__).splitlines()
        if (words := line.strip(" │├└─").split())[0:1] and words[0].endswith("Error")
    }
    assert drawn == {(kind.__name__, kind.fault) for kind in _CLASSES}


def test_query_error_argument_survives_pickling() -> None:
    assert QueryError("k is too large").argument is None
    back = pickle.loads(pickle.dumps(QueryError("k is too large", argument="k")))
    assert (str(back), back.argument) == ("k is too large", "k")


def test_bulk_failures_and_revisions_survive_pickling() -> None:
    failures, revisions = {"a": MappingConflictError("bad")}, {"b": Revision(7, 1)}
    error = BulkError("1 of 2", failures=failures, conflicts=("c",), revisions=revisions)
    back = pickle.loads(pickle.dumps(error))
    assert [(id, type(one), str(one)) for id, one in back.failures.items()] == [
        ("a", MappingConflictError, "bad")
    ]
    assert (back.conflicts, back.revisions) == (("c",), revisions)


def test_missing_extra_names_the_extra_to_install() -> None:
    error = MissingExtraError.of("worker", needed_for="decoding video")
    assert str(error) == "decoding video needs an extra: pip install 'vidsearch[worker]'"
