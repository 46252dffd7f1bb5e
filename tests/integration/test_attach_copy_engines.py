"""An index of an application copied on each engine while the application goes on writing to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.integration.writing_application import Application, Calls, body

from vidsearch.engines import Engine, Write
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.copy import copy_with_settings
from vidsearch.index.copy_documents import copy_documents
from vidsearch.index.copy_note import is_blocked

pytestmark = pytest.mark.integration


def test_copy_under_an_application_that_writes_loses_nothing_and_blocks_for_a_moment(
    engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = f"{index_name}-1", f"{index_name}-1-vidsearch"
    engine.create_index(old, body(alias=index_name))
    application = Application(engine, index_name)
    application.fill(old)
    calls = Calls(engine, monkeypatch)
    with application.running():
        copy, blocked = _copy(engine, old, alias=index_name)
        application.goes_on()
    assert (copy, engine.indices_of(index_name)) == (new, (new,))
    application.check(new)
    application.check_refused(calls)
    assert 0 < blocked <= time.monotonic() - calls.first["block_writes"]
    settings = engine.settings(new)
    assert not {"default_pipeline", "final_pipeline", "gc_deletes"} & settings.keys()


SLOW = 5.0
"""Seconds, far more than a swap takes on a busy machine."""


def test_writes_do_not_wait_for_what_takes_long_and_none_is_lost_in_the_tries_before(
    engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = f"{index_name}-1", f"{index_name}-1-vidsearch"
    engine.create_index(old, body(alias=index_name))
    application = Application(engine, index_name)
    application.fill(old)
    slow = ["refresh", "read_shards", "bulk"]
    for where, name in ((engine, "refresh"), (engine, "read_shards"), (engine.calls, "bulk")):
        call: Callable[..., Any] = getattr(where, name)

        def late(*args: Any, name: str = name, call: Callable[..., Any] = call, **of: Any) -> Any:
            if slow and slow[0] == name and is_blocked(engine.settings(old)):
                slow.pop(0)
                time.sleep(SLOW)
            return call(*args, **of)

        monkeypatch.setattr(where, name, late)
    with application.running():
        _copy(engine, old, alias=index_name)
        application.goes_on()
    assert engine.indices_of(index_name) == (new,)
    application.check(new)
    assert not slow
    assert 0 < application.longest_wait < SLOW


def _copy(engine: Engine, old: str, *, alias: str) -> tuple[str, float]:
    return copy_with_settings(
        engine,
        old,
        alias=alias,
        settings={"number_of_shards": 2},
        mapping=engine.mapping(old),
        to=None,
        confirm=lambda index, copy: None,
        before_swap=lambda copy: None,
        progress=lambda done, total: None,
    )


def test_passes_bring_versions_and_fields_and_take_deletes_back(
    engine: Engine, index_name: str
) -> None:
    old, new = f"{index_name}-1", f"{index_name}-2"
    engine.create_index(old, body())
    copied = body()
    copied["settings"]["index"]["gc_deletes"] = "0s"
    engine.create_index(new, copied)
    engine.bulk(old, [Write("index", f"{n}", {"n": n}, version=n + 5) for n in range(40)])
    changes = CatchUp(engine, old, new)
    copy_documents(engine, old, new, keep_versions=True)
    # As where a document was written, copied and deleted again before anything was kept.
    engine.put(new, "ghost", {"n": 1})
    first = changes.run()
    assert (first.written, first.deleted) == (0, 1)
    engine.put_mapping(old, {"properties": {"later": {"type": "keyword"}}})
    engine.put(old, "1", {"n": 100, "later": "x"}, version=1000)
    engine.put(old, "new", {"n": 1}, version=77)
    for id in ("2", "3"):
        engine.delete(old, id)
    # The copy has seen it with a greater number than it has after its delete is forgotten.
    engine.put(new, "late", {"n": 1}, version=9)
    engine.put(old, "late", {"n": 2}, version=3)
    second = changes.until_small()
    assert (second.written, second.deleted) == (3, 2)
    third = changes.run()
    assert (third.written, third.deleted) == (0, 0)
    changes.close()
    engine.refresh(new)
    was, now = (
        {one.id: (one.source, one.version) for one in engine.scan(name)} for name in (old, new)
    )
    assert now.keys() == was.keys()
    late = now.pop("late")
    assert late[0] == was.pop("late")[0]
    assert now == was
