"""The making of a side index where another process makes the same one, or has died of it."""

from __future__ import annotations

from typing import Any

import pytest

from vidsearch.engines.creation import ensure_side_index
from vidsearch.errors import BackendAccessDeniedError, MappingConflictError
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.operations import operations_index

ALIAS, NAME = "notes", "notes-000001"
BODY = operations_index("elasticsearch", replicas=0)
HIDDEN = {ALIAS: {"is_hidden": True}}


class Watched(MemoryEngine):
    """Says who could read by the alias before the index was looked over."""

    readable: bool | None = None

    def mapping(self, index: str) -> Any:
        self.readable = bool(self.indices_of(ALIAS))
        return super().mapping(index)


def test_alias_comes_when_the_index_is_ready() -> None:
    engine = Watched()
    ensure_side_index(engine, ALIAS, BODY, advice="")
    assert engine.readable is False
    assert engine.aliases(NAME) == HIDDEN


def test_who_comes_second_waits_for_the_first() -> None:
    engine, looks = MemoryEngine(), 0
    engine.create_index(NAME, BODY)

    def pause(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            engine.update_aliases([{"add": {"index": NAME, "alias": ALIAS, "of": "the first"}}])

    ensure_side_index(engine, ALIAS, BODY, advice="", pause=pause)
    assert looks == 3
    assert engine.aliases(NAME) == {ALIAS: {"of": "the first"}}


def test_index_of_a_process_that_died_before_the_alias_is_taken_over() -> None:
    engine = MemoryEngine()
    engine.create_index(NAME, BODY)
    ensure_side_index(engine, ALIAS, BODY, advice="", pause=lambda seconds: None)
    assert engine.aliases(NAME) == HIDDEN


def test_index_that_cannot_be_made_is_told_at_once() -> None:
    class Refusing(MemoryEngine):
        def create_index(self, name: str, body: Any) -> None:
            raise MappingConflictError("a template does not fit")

    def pause(seconds: float) -> None:
        raise AssertionError("there is nothing to wait for")

    with pytest.raises(MappingConflictError, match="does not fit"):
        ensure_side_index(Refusing(), ALIAS, BODY, advice="", pause=pause)


def test_index_is_not_left_behind_without_the_right_to_an_alias() -> None:
    def pause(seconds: float) -> None:
        raise AssertionError("there is nothing to wait for")

    class Denying(MemoryEngine):
        def update_aliases(self, actions: Any) -> None:
            raise BackendAccessDeniedError("no permissions for [indices:admin/aliases]")

    engine = Denying()
    for _ in range(2):
        with pytest.raises(BackendAccessDeniedError, match="indices:admin/aliases"):
            ensure_side_index(engine, ALIAS, BODY, advice="", pause=pause)
    assert not engine.indices_of(NAME)
