"""An application that writes to its own index, and knows nothing of vidsearch."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any

import pytest
from tests.waiting import until

from vidsearch.engines import Engine, Json, Write
from vidsearch.engines.steps import Steps
from vidsearch.errors import BackendAccessDeniedError, BackendUnavailableError

__all__ = ["COUNT", "Application", "Calls", "body", "routing"]

COUNT = 1500


def body(*, alias: str | None = None, knn: bool = False) -> Json:
    """Of the application's index; ``knn``: on OpenSearch as one that takes vectors."""
    types = {"n": "long", "at": "date", "by": "keyword", "url": "keyword"}
    properties = {name: {"type": each} for name, each in types.items()}
    settings = {"number_of_shards": 2, "number_of_replicas": 0, **({"knn": True} if knn else {})}
    return {
        "settings": {"index": settings},
        "mappings": {"dynamic": "strict", "properties": properties},
        "aliases": {alias: {}} if alias else {},
    }


def routing(number: int) -> str | None:
    """What a document is stored with."""
    return f"r{number % 5}" if number % 2 else None


def content(n: int) -> Json:
    """What a document holds that was written for the ``n``-th time, now."""
    return {"n": n, "at": int(time.time() * 1000)}


class Calls:
    """When the last calls of an engine to block writes and to move aliases begin and end."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begins: dict[str, float] = {}
        self.first: dict[str, float] = {}
        """When each began first: writes may be blocked again, for a better moment."""
        self.ends: dict[str, float] = {}
        for name in ("block_writes", "update_aliases"):
            monkeypatch.setattr(engine.calls, name, self._noted(name, getattr(engine.calls, name)))

    def _noted(self, name: str, call: Callable[..., Steps[None]]) -> Callable[..., Steps[None]]:
        def noted(*args: Any) -> Steps[None]:
            self.begins[name] = time.monotonic()
            self.first.setdefault(name, self.begins[name])
            yield from call(*args)
            self.ends[name] = time.monotonic()

        return noted


class Application:
    """Writes through its alias, and again where it is refused, as applications do."""

    def __init__(self, engine: Engine, alias: str) -> None:
        self.engine, self.alias = engine, alias
        self.stop = threading.Event()
        self.expected: dict[str, int] = {}
        self.refused: list[tuple[float, float]] = []
        """When a write was sent, and when it was refused."""
        self.taken = 0
        self.outages = 0
        """Writes that the engine was away for; whether they were done is not known."""
        self.errors: list[BaseException] = []

    def fill(self, index: str) -> None:
        writes = [Write("index", f"{n}", content(0), routing(n)) for n in range(COUNT)]
        self.engine.bulk(index, writes)
        self.engine.refresh(index)  # a plan counts what searches see, and theirs see it late
        self.expected = {f"{n}": 0 for n in range(COUNT)}

    @contextmanager
    def running(self) -> Iterator[None]:
        """Writes until the end of the block; what went wrong in a thread is raised there."""
        self.stop.clear()
        self._at_work: set[int] = set()
        threads = self._start()
        try:
            until(lambda: len(self._at_work) == len(threads), what="all of them write")
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        if self.errors:
            raise self.errors[0]

    def check(self, index: str) -> None:
        """The index has what was written, and nothing else."""
        self.engine.refresh(index)
        stored = {one.id: (one.source["n"], one.routing) for one in self.engine.scan(index)}
        assert stored == {id: (n, routing(int(id))) for id, n in self.expected.items()}
        assert any(self.expected[f"{n}"] for n in range(900))
        assert any(f"{n}" not in self.expected for n in range(900, COUNT))

    def check_refused(self, calls: Calls) -> None:
        """Nobody was refused before writes were blocked, nor who wrote after the swap."""
        assert all(refused >= calls.first["block_writes"] for _, refused in self.refused)
        assert all(sent <= calls.ends["update_aliases"] for sent, _ in self.refused)

    def goes_on(self) -> None:
        """Wait until more was written."""
        before = self.taken
        until(lambda: self.taken >= before + 20, what="the application writes")

    def _start(self) -> list[threading.Thread]:
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
                self._at_work.add(seed)
                time.sleep(0.002)
        except BaseException as error:
            self.errors.append(error)

    def until_taken(self, write: Callable[[], Any]) -> None:
        """Write, again and again while that is refused, or the engine is away."""
        while True:
            sent = time.monotonic()
            try:
                write()
            except BackendAccessDeniedError as error:
                if "block" not in str(error):
                    raise
                self.refused.append((sent, time.monotonic()))
                time.sleep(0.002)
            except BackendUnavailableError:
                self.outages += 1
                time.sleep(0.05)
            else:
                self.taken += 1
                break

    def update(self, random: Random) -> None:
        number = random.randrange(0, 500)
        n = self.expected[f"{number}"] + 1
        self.until_taken(
            lambda: self.engine.update(self.alias, f"{number}", content(n), routing=routing(number))
        )
        self.expected[f"{number}"] = n

    def write(self, random: Random) -> None:
        number = random.randrange(500, 900)
        n = self.expected[f"{number}"] + 1
        source = {**content(n), "by": "write"}
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
        number = COUNT + random.randrange(0, 400)
        if f"{number}" in self.expected:
            self.until_taken(
                lambda: self.engine.delete(self.alias, f"{number}", routing=routing(number))
            )
            del self.expected[f"{number}"]
        else:
            self.until_taken(
                lambda: self.engine.put(
                    self.alias, f"{number}", content(7), routing=routing(number)
                )
            )
            self.expected[f"{number}"] = 7
