"""An index of an application that gives few hits at once (`max_result_window`), on each engine."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.integration.writing_application import COUNT, Application, Calls, body

from vidsearch.config import Settings
from vidsearch.index import attach_index, open_videos_index
from vidsearch.index.catch_up import CatchUp
from vidsearch.ingest import scan_index
from vidsearch.local import SearchNode
from vidsearch.reindex import Changes, Step
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, reindexer

pytestmark = pytest.mark.integration

WINDOW = 60


@pytest.fixture
def of_shop(search_node: SearchNode, index_name: str) -> Iterator[Services]:
    settings = Settings(
        engine={"url": search_node.url, "kind": search_node.kind},
        index={"name": index_name, "replicas": 0},
    )
    with Services(settings, encoder=FakeEncoder()) as services:
        yield services


@pytest.fixture
def application(of_shop: Services, index_name: str) -> Application:
    """Its index is attached."""
    engine = of_shop.engine
    made = body(alias=index_name, knn=engine.kind == "opensearch")
    made["settings"]["index"]["max_result_window"] = WINDOW
    engine.create_index(f"{index_name}-v1", made)
    application = Application(engine, index_name)
    application.fill(f"{index_name}-v1")
    attach_index(engine, of_shop.settings.index, FakeEncoder().identity, uri_field="url")
    return application


@pytest.mark.one_node("es-9.5.3")
def test_a_reindex_lists_no_ids_of_such_an_index_while_writes_are_refused(
    application: Application, of_shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[float] = []
    never_there = CatchUp._never_there

    def noted(self: CatchUp, now: Any) -> Any:
        compared.append(time.monotonic())
        return never_there(self, now)

    monkeypatch.setattr(CatchUp, "_never_there", noted)
    calls = Calls(application.engine, monkeypatch)
    old = f"{application.alias}-v1"
    with application.running():
        run = reindexer(of_shop).start(Changes(shards=3), throttle=math.inf)
        application.goes_on()
    assert run.step is Step.SWAPPED
    assert len(compared) == 1, "once, after the copy"
    assert compared[0] < calls.first["block_writes"]
    application.check(f"{old}-vidsearch")
    with application.running():
        assert reindexer(of_shop).roll_back().step is Step.ROLLED_BACK
        application.goes_on()
    application.check(old)


@pytest.mark.one_node("os-2.19.1")
def test_a_copy_that_broke_off_is_gone_on_with_in_such_an_index(
    application: Application, of_shop: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > COUNT / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reindexer(of_shop, on_progress=interrupt).start(Changes(shards=3), throttle=math.inf)
    run = reindexer(of_shop).resume()
    assert run.step is Step.SWAPPED
    assert application.engine.count(run.target) == COUNT


@pytest.mark.one_node("es-9.5.3")
def test_a_scan_of_such_an_index_sees_all_of_its_documents(
    application: Application, of_shop: Services
) -> None:
    engine, registry = of_shop.engine, of_shop.registry
    for number in range(3 * WINDOW):
        engine.update(application.alias, f"{2 * number}", {"url": f"/{number}.mp4"})
    engine.refresh(application.alias)
    index = open_videos_index(engine, of_shop.settings.index)

    def scan() -> list[str]:
        found = scan_index(registry, index, enqueue=registry.mark_many_queued)
        return [one.action for one in found]

    assert scan().count("enqueue") == 3 * WINDOW
    engine.delete(application.alias, "0", refresh=True)
    assert scan().count("delete") == 1
