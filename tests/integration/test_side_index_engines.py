"""Side indices that are made while others read: on real nodes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from vidsearch.engines import Engine
from vidsearch.errors import VersionConflictError
from vidsearch.registry import Notes

pytestmark = pytest.mark.integration


def test_index_that_is_being_made_disturbs_nobody_who_reads_or_writes(
    engine: Engine, index_name: str
) -> None:
    places = [Notes(engine, index=f"{index_name}-{n}", replicas=0) for n in range(3)]
    made = threading.Event()

    def read() -> int:
        times = 0
        while not made.is_set():
            for notes in places:
                notes.get("a")
                notes.of_kind("k")
            times += 1
        return times

    def write(by: int) -> None:
        for notes in places:
            with suppress(VersionConflictError):  # the other one was faster
                notes.put("a", "k", {"by": by}, over=None)

    with ThreadPoolExecutor(3) as pool:
        reader = pool.submit(read)
        try:
            for writer in [pool.submit(write, by) for by in range(2)]:
                writer.result()
        finally:
            made.set()
        assert reader.result() > 1
    assert all(notes.get("a") for notes in places)
    for notes in places:
        assert engine.indices_of(notes.index) == (f"{notes.index}-000001",)
        assert engine.aliases(notes.index) == {notes.index: {"is_hidden": True}}
