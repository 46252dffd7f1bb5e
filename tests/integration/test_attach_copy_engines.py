"""An index of an application copied on each engine while the application goes on writing to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from tests.waiting import until

from vidsearch.engines import Engine, Json, Write
from vidsearch.errors import BackendAccessDeniedError
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.copy import copy_with_settings
from vidsearch.index.copy_documents import copy_documents

pytestmark = pytest.mark.integration

COUNT = 1500


def body(*, alias: str | None = None) -> Json:
    properties = {"n": {"type": "long"}, "by": {"type": "keyword"}}
    return {
        "settings": {"index": {"number_of_shards": 2, "number_of_replicas": 0}},
        "mappings": {"dynamic": "strict", "properties": properties},
        "aliases": {alias: {}} if alias else {},
    }


def routing(number: int) -> str | None:
    return f"r{number % 5}" if number % 2 else None


class Application:
    """Writes through its alias, and again where it is refused, as applications do."""

    def __init__(self, engine: Engine, alias: str) -> None:
        self.engine, self.alias = engine, alias
        self.stop = threading.Event()
        self.expected: dict[str, int] = {}
        self.refused: list[tuple[float, float]] = []
        """When a write was sent, and when it was refused."""
        self.taken = 0
        self.works: set[int] = set()
        """The numbers of those that have done something."""
        self.errors: list[BaseException] = []

    def fill(self, index: str) -> None:
        writes = [Write("index", f"{n}", {"n": 0}, routing(n)) for n in range(COUNT)]
        self.engine.bulk(index, writes)
        self.expected = {f"{n}": 0 for n in range(COUNT)}

    def start(self) -> list[threading.Thread]:
        works = (self.update, self.write, self.delete, self.come_and_go)
        threads = [
            threading.Thread(target=self._forever, args=(work, seed))
            for seed, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _forever(self, work: Callable[[Random], None], seed: int) -> None:
        random = Random(seed)
        try:
            while not self.stop.is_set():
                work(random)
                self.works.add(seed)
                time.sleep(0.002)
        except BaseException as error:
            self.errors.append(error)

    def until_taken(self, write: Callable[[], Any]) -> None:
        while True:
            sent = time.monotonic()
            try:
                write()
            except BackendAccessDeniedError as error:
                if "block" not in str(error):
                    raise
                self.refused.append((sent, time.monotonic()))
                time.sleep(0.002)
            else:
                self.taken += 1
                break

    def update(self, random: Random) -> None:
        number = random.randrange(0, 500)
        n = self.expected[f"{number}"] + 1
        self.until_taken(
            lambda: self.engine.update(self.alias, f"{number}", {"n": n}, routing=routing(number))
        )
        self.expected[f"{number}"] = n

    def write(self, random: Random) -> None:
        number = random.randrange(500, 900)
        n = self.expected[f"{number}"] + 1
        source = {"n": n, "by": "write"}
        self.until_taken(
            lambda: self.engine.put(self.alias, f"{number}", source, routing=routing(number))
        )
        self.expected[f"{number}"] = n

    def delete(self, random: Random) -> None:
        number = random.randrange(900, COUNT)
        self.until_taken(
            lambda: self.engine.delete(self.alias, f"{number}", routing=routing(number))
        )
        self.expected.pop(f"{number}", None)

    def come_and_go(self, random: Random) -> None:
        number = COUNT + random.randrange(0, 50)
        if f"{number}" in self.expected:
            self.until_taken(
                lambda: self.engine.delete(self.alias, f"{number}", routing=routing(number))
            )
            del self.expected[f"{number}"]
        else:
            self.until_taken(
                lambda: self.engine.put(self.alias, f"{number}", {"n": 7}, routing=routing(number))
            )
            self.expected[f"{number}"] = 7


def noted(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, *names: str
) -> tuple[dict[str, float], dict[str, float]]:
    """When calls of the engine with these names begin and end, the last ones of each."""
    begins: dict[str, float] = {}
    ends: dict[str, float] = {}

    def watch(name: str) -> None:
        call = getattr(engine, name)

        def watched(*args: Any) -> None:
            begins[name] = time.monotonic()
            call(*args)
            ends[name] = time.monotonic()

        monkeypatch.setattr(engine, name, watched)

    for name in names:
        watch(name)
    return begins, ends


def test_copy_under_an_application_that_writes_loses_nothing_and_blocks_for_a_moment(
    engine: Engine, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = f"{index_name}-1", f"{index_name}-1-vidsearch"
    engine.create_index(old, body(alias=index_name))
    application = Application(engine, index_name)
    application.fill(old)
    begins, ends = noted(monkeypatch, engine, "block_writes", "update_aliases")
    threads = application.start()
    try:
        until(lambda: application.works == {*range(len(threads))}, what="all of them write")
        copy, blocked = copy_with_settings(
            engine,
            old,
            alias=index_name,
            settings={"number_of_shards": 2},
            mapping=engine.mapping(old),
            to=None,
            confirm=lambda index, copy: None,
            before_swap=lambda copy: None,
            progress=lambda done, total: None,
        )
        more = application.taken
        until(lambda: application.taken >= more + 20, what="they write to the copy")
    finally:
        application.stop.set()
        for thread in threads:
            thread.join()
    assert application.errors == []
    assert (copy, engine.indices_of(index_name)) == (new, (new,))
    engine.refresh(new)
    stored = {one.id: (one.source["n"], one.routing) for one in engine.scan(new)}
    assert stored == {id: (n, routing(int(id))) for id, n in application.expected.items()}
    assert any(application.expected[f"{n}"] for n in range(900))
    assert any(f"{n}" not in application.expected for n in range(900, COUNT))
    # Nobody was refused before the last pass began, nor who wrote after the swap.
    assert all(refused >= begins["block_writes"] for _, refused in application.refused)
    assert all(sent <= ends["update_aliases"] for sent, _ in application.refused)
    assert 0 < blocked <= time.monotonic() - begins["block_writes"]
    settings = engine.settings(new)
    assert not {"default_pipeline", "final_pipeline", "gc_deletes"} & settings.keys()


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
