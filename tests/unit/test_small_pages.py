"""A copy is followed in pages of what its index gives at once, and of what memory has room for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

import pytest
from tests.attached_in_memory import NEW, OLD, Shop

from vidsearch.engines import Document, Engine, ShardsRead, Write
from vidsearch.errors import BackendAccessDeniedError, MappingConflictError
from vidsearch.index import following
from vidsearch.index.catch_up import CatchUp
from vidsearch.index.point_in_time import Counted, PointInTime, vanished, window_of
from vidsearch.reindex import Changes, Step
from vidsearch.testing.memory_engine import MemoryEngine


class Narrow(MemoryEngine):
    """Gives as many hits at once as the setting ``max_result_window`` says, as the engines do; and
    notes how many whole documents it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[int] = []
        self.listed: list[str] = []
        """Indices all of whose ids were asked for while writes to one are refused."""

    def _refuse(self, index: str, size: int) -> None:
        most = int(self.settings(index).get("max_result_window", 10_000))
        if size > most:
            raise MappingConflictError(f"Result window is too large, [{most}] but was [{size}]")

    def search_shard(self, index: str, shard: int, body: Mapping[str, Any]) -> Any:
        self._refuse(index, body["size"])
        return super().search_shard(index, shard, body)

    def search_point_in_time(self, point: str, body: Mapping[str, Any]) -> Any:
        self._refuse(point.partition(" of ")[2], body["size"])
        return super().search_point_in_time(point, body)

    def changes(self, index: str, **options: Any) -> Iterator[Document]:
        if "page_size" in options:  # else it is a part of `read_shards`
            self._refuse(index, options["page_size"])
            self.pages.append(options["page_size"])
        return super().changes(index, **options)

    def read_shards(
        self,
        index: str,
        after: Mapping[int, int],
        *,
        size: int,
        bodies: Sequence[tuple[int, Mapping[str, Any]]] = (),
    ) -> ShardsRead:
        self._refuse(index, size)
        self.pages.append(size)
        return super().read_shards(index, after, size=size, bodies=bodies)

    def scan(self, index: str, **options: Any) -> Iterator[Document]:
        if self.indices_of(OLD) and self.settings(OLD).get("blocks.write"):
            self.listed.append(index)
        return super().scan(index, **options)


def write_much(engine: Engine, index: str) -> None:
    """Changes, deletes, and a document that is written anew elsewhere."""
    for number in range(40):
        engine.put(index, f"{number}", {"title": "changed", "long": "x" * 90})
        engine.delete(index, f"{number + 100}")
    engine.delete(index, "99")
    engine.put(index, "99", {"title": "moved"}, routing="r")


def filled_shop(engine: Narrow) -> Shop:
    shop = Shop(engine=engine)
    engine.bulk(OLD, [Write("index", f"{n}", {"title": "t", "long": "x" * 90}) for n in range(200)])
    return shop


def write_as_it_swaps(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the application write until the moment in which its writes are stopped."""
    finish = CatchUp.finish

    def finishing(self: CatchUp, stop_writes: Any, **options: Any) -> Any:
        def stop() -> Any:
            if shop.takes_writes(OLD):
                write_much(shop.engine, OLD)
            return stop_writes()

        return finish(self, stop, **options)

    monkeypatch.setattr(CatchUp, "finish", finishing)


@pytest.mark.parametrize("window", [1, 7, 60])
def test_an_index_that_gives_few_hits_at_once_is_followed_without_a_list_of_all_its_ids(
    monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    engine = Narrow()
    shop = filled_shop(engine)
    engine.put_settings(OLD, {"max_result_window": window})
    write_as_it_swaps(shop, monkeypatch)
    run = shop.reindexer().start(Changes(shards=3), throttle=math.inf)
    listed = [*engine.listed]
    assert run.step is Step.SWAPPED
    assert shop.titles(NEW) == shop.titles(OLD)
    assert listed == [], "writes would be refused for as long as that takes"


@pytest.mark.parametrize("window", [1, 2, 9, 40])
@pytest.mark.parametrize("seed", range(3))
def test_what_vanished_is_found_in_lists_as_long_as_the_index_gives(window: int, seed: int) -> None:
    engine, random = Narrow(), Random(seed)
    engine.create_index("shop", {"settings": {"index": {"max_result_window": str(window)}}})
    engine.bulk("shop", [Write("index", f"{n}", {"n": n}) for n in range(150)])
    assert window_of(engine, "shop") == window
    before = Counted(PointInTime.of(engine, "shop", 0), engine.checkpoints("shop")[0] - 20)
    gone = {f"{n}" for n in random.sample(range(150), 70)}
    for id in gone:
        engine.delete("shop", id)
    found = vanished(before, PointInTime.of(engine, "shop", 0), window=window)
    assert {one.id for one in found} == gone


def pair(**settings: Any) -> Narrow:
    engine = Narrow()
    for name in ("old", "new"):
        engine.create_index(name, {"settings": {"index": settings}})
    return engine


def whole(engine: Engine, index: str) -> dict[str, Any]:
    return {one.id: (one.source, one.routing) for one in engine.scan(index)}


@pytest.mark.parametrize(("size", "page"), [(500, 20), (5_000, 2), (50_000, 1), (5, 100)])
def test_passes_read_pages_of_about_as_many_bytes(
    monkeypatch: pytest.MonkeyPatch, size: int, page: int
) -> None:
    """A document with all its vectors may have megabytes. The first page tells how large."""
    monkeypatch.setattr(following, "_PAGE_BYTES", 10_300)
    engine = pair()
    engine.bulk("old", [Write("index", f"{n}", {"t": "x" * size}) for n in range(150)])
    changes = CatchUp(engine, "old", "new", since={"0": -1})
    changes.until_short()
    first, *others = engine.pages
    assert (first, set(others)) == (16, {page})
    write_much(engine, "old")
    changes.finish(lambda: engine.block_writes("old"))
    assert whole(engine, "new") == whole(engine, "old")


def test_pages_become_shorter_where_documents_become_larger(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the oldest ones have no vectors."""
    monkeypatch.setattr(following, "_PAGE_BYTES", 10_300)
    engine = pair()
    sizes = [5] * 116 + [5_000] * 150
    engine.bulk("old", [Write("index", f"{n}", {"t": "x" * s}) for n, s in enumerate(sizes)])
    CatchUp(engine, "old", "new", since={"0": -1}).run(last=True)
    small, large = [16, 100], [100, *[2] * 26]  # one page was longer, before that was known
    assert engine.pages == [*small, *large]
    assert whole(engine, "new") == whole(engine, "old")


@pytest.mark.parametrize(
    ("window", "written", "pages"),
    [
        (1, 3, 1 + 4),
        (4, 3, 1),  # less than a page: all in one request
        (4, 4, 1 + 2),
        (10, 25, 1 + 3),
    ],
)
def test_while_writes_are_refused_each_page_is_read_once_and_one_more_to_begin_with(
    window: int, written: int, pages: int
) -> None:
    engine = pair(max_result_window=window)
    changes = CatchUp(engine, "old", "new", since={"0": -1})
    changes.until_short()
    changes._shown = {}  # nothing is brought ahead

    def stop() -> None:
        engine.bulk("old", [Write("index", f"{n}", {"n": n}) for n in range(written)])
        engine.block_writes("old")
        engine.pages.clear()

    changes.finish(stop)
    assert len(engine.pages) == pages
    assert whole(engine, "new") == whole(engine, "old")


@pytest.mark.parametrize("changed_field", [None, "n"])
def test_other_ways_to_follow_read_such_pages_as_well(
    monkeypatch: pytest.MonkeyPatch, changed_field: str | None
) -> None:
    def refuse(index: str) -> dict[int, int]:
        raise BackendAccessDeniedError("no right to monitor")

    monkeypatch.setattr(following, "_PAGE_BYTES", 500)
    engine = MemoryEngine()
    shop = Shop(engine=engine)
    ids = [f"{n}" for n in range(30)]
    engine.put_mapping(OLD, {"properties": {"n": {"type": "long"}}})
    for id in [*ids, "a", "b", "c"]:
        engine.put(OLD, id, {"title": "t", "n": 1, "x": "x" * 90})
    monkeypatch.setattr(engine, "checkpoints", refuse)
    sizes: list[int] = []
    bulk = engine.bulk

    def noting(index: str, writes: Sequence[Write], **options: Any) -> Any:
        if index == NEW:
            sizes.append(len(writes))
        return bulk(index, writes, **options)

    def change(run: Any) -> None:
        if run.step is Step.CATCHING_UP:
            for id in ids:
                engine.update(OLD, id, {"n": 2})
            monkeypatch.setattr(engine, "bulk", noting)

    shop.reindexer(on_step=change).start(Changes(shards=3), changed_field=changed_field)
    assert (sizes[0], max(sizes[1:])) == (16, 4)
    assert {one.id for one in engine.scan("shop") if one.source["n"] == 2} == {*ids}
