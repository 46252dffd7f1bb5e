"""An index of an application reindexed on each engine while the application writes to it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from tests.integration.writing_application import COUNT, Application, Calls, body, routing

from vidsearch.config import Settings
from vidsearch.engines import Json, Write
from vidsearch.errors import (
    BackendAccessDeniedError,
    DocumentNotFoundError,
    ReindexError,
    VersionConflictError,
)
from vidsearch.index import attach_index, open_videos_index
from vidsearch.local import SearchNode
from vidsearch.reindex import Changes, Step
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, reindexer

pytestmark = pytest.mark.integration

PICTURES = range(200)
"""Documents with vectors: of those that the application updates in part."""


def fingerprint(number: int, round: int) -> str:
    return f"{number} in round {round}"


def video(number: int, round: int) -> Json:
    """What a worker writes into a document."""
    vector = np.random.default_rng(number).standard_normal(FakeEncoder().identity.dims)
    vector = (vector / np.linalg.norm(vector)).astype(np.float32)
    return {
        "uri": f"/{number}.mp4",
        "model": "fake@1",
        "fingerprint": fingerprint(number, round),
        "duration": 4.0,
        "vector": vector,
        "segments": [{"start": 0.0, "end": 4.0, "vector": vector}],
    }


class Shop:
    """An attached index, its application, and a worker that writes vectors into documents."""

    def __init__(self, services: Services) -> None:
        self.services, self.engine = services, services.engine
        self.name = services.settings.index.name
        self.old = f"{self.name}-v1"
        made = body(alias=self.name, knn=self.engine.kind == "opensearch")

        made["settings"]["index"]["refresh_interval"] = "2s"
        made["aliases"][f"{self.name}-few"] = {"filter": {"term": {"n": 0}}, "routing": "r1"}
        self.engine.create_index(self.old, made)
        self.application = Application(self.engine, self.name)
        self.application.fill(self.old)
        attach_index(self.engine, services.settings.index, FakeEncoder().identity, uri_field="url")
        self.fingerprints = {f"{number}": fingerprint(number, 0) for number in PICTURES}
        known = {f"{number}": value for number in PICTURES if (value := routing(number))}
        stored = self.engine.mget(self.old, [*self.fingerprints], routing=known).values()
        writes = [
            Write("index", one.id, one.source | {"video": video(int(one.id), 0)}, one.routing)
            for one in stored
        ]
        self.engine.bulk(self.old, writes)

    def embed(self, number: int, round: int) -> None:
        """What a worker writes, again and again until it is taken, as the registry has it do."""
        id = f"{number}"
        while True:
            index = open_videos_index(self.engine, self.services.settings.index)
            found = index.read(id, routing=routing(number))
            assert found is not None
            try:
                index.merge(video(number, round), into=found)
            except (BackendAccessDeniedError, DocumentNotFoundError, VersionConflictError):
                time.sleep(0.005)
            else:
                self.fingerprints[id] = fingerprint(number, round)
                return

    @contextmanager
    def running(self) -> Iterator[None]:
        """Application and worker write."""
        stop = threading.Event()
        errors: list[BaseException] = []

        def work() -> None:
            try:
                for round in range(1, 1000):
                    for number in PICTURES:
                        if stop.wait(0.01):
                            return
                        self.embed(number, round)
            except BaseException as error:
                errors.append(error)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            with self.application.running():
                yield
        finally:
            stop.set()
            worker.join()
        assert errors == []

    def check(self, index: str) -> None:
        """Nothing is lost, and nothing came back: of the application, and of the worker."""
        assert self.engine.indices_of(self.name) == (index,)
        self.application.check(index)
        stored = {
            one.id: one.source["video"]["fingerprint"]
            for one in self.engine.scan(index)
            if "video" in one.source
        }
        assert stored == self.fingerprints


@contextmanager
def shop_on(node: SearchNode, name: str) -> Iterator[Shop]:
    settings = Settings(
        engine={"url": node.url, "kind": node.kind},
        index={"name": name, "replicas": 0, "quantization": "int8", "segment_seconds": 2},
    )
    with Services(settings, encoder=FakeEncoder()) as services:
        yield Shop(services)


@pytest.fixture
def shop(search_node: SearchNode, index_name: str) -> Iterator[Shop]:
    with shop_on(search_node, index_name) as shop:
        yield shop


@pytest.mark.one_node("es-9.5.3")  # a copy under writers is on all in test_attach_copy_engines.py
def test_a_reindex_and_its_rollback_lose_nothing_that_an_application_writes_directly(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, new = shop.engine, f"{shop.old}-vidsearch"
    before = engine.aliases(shop.old), engine.settings(shop.old), engine.mapping(shop.old)
    plan = reindexer(shop.services).plan(Changes(quantization="float", shards=3))
    assert (plan.way, plan.target, plan.videos) == ("copy", new, COUNT)
    assert plan.bytes
    assert plan.blocked_seconds > 0
    assert engine.indices_of(new) == ()
    steps: list[Step] = []
    calls = Calls(engine, monkeypatch)
    with shop.running():
        run = reindexer(shop.services, on_step=lambda run: steps.append(run.step)).start(
            Changes(quantization="float", shards=3), throttle=math.inf
        )
        assert run.step is Step.SWAPPED
        shop.application.goes_on()  # what is written after the swap counts as well
    assert steps[-1] is Step.SWAPPED
    shop.check(new)
    assert run.blocked_seconds is not None
    shop.application.check_refused(calls)
    assert engine.aliases(new) == before[0]
    settings = engine.settings(new)
    assert (settings["refresh_interval"], str(settings["number_of_shards"])) == ("2s", "3")
    assert not {"default_pipeline", "final_pipeline", "gc_deletes"} & settings.keys()
    assert open_videos_index(engine, shop.services.settings.index).quantization == "float"
    with pytest.raises(BackendAccessDeniedError, match="block"):
        engine.put(shop.old, "1", {"n": 7}, routing=routing(1))

    shop.application.refused.clear()
    with shop.running():
        back = reindexer(shop.services).roll_back()
        shop.application.goes_on()
    assert back.step is Step.ROLLED_BACK
    shop.check(shop.old)
    assert engine.indices_of(new) == ()
    assert engine.mapping(shop.old) == before[2]
    now, then = engine.settings(shop.old), before[1]
    assert {key: value for key, value in now.items() if then.get(key) != value} == {}


@pytest.mark.one_node("es-9.5.3")  # which index stands for what is told alike by all
def test_an_index_that_is_created_anew_is_neither_replaced_nor_deleted(shop: Shop) -> None:
    """A build drops the application's index, and fills it under the same name and aliases."""
    engine, name, old, new = shop.engine, shop.name, shop.old, f"{shop.old}-vidsearch"
    knn = engine.kind == "opensearch"

    def anew(title: int) -> None:
        aliases = engine.aliases(old)
        engine.delete_index(old)
        engine.create_index(old, {**body(knn=knn), "aliases": aliases})
        engine.bulk(old, [Write("index", f"{n}", {"n": title}, routing(n)) for n in range(COUNT)])
        engine.refresh(old)

    def seen(index: str) -> set[int]:
        return {one.source["n"] for one in engine.scan(index)}

    made = reindexer(shop.services)
    made.start(Changes(shards=3), throttle=math.inf, swap=False)
    anew(7)
    with pytest.raises(ReindexError, match=f"{old!r} was created anew since"):
        made.swap()
    assert (engine.indices_of(name), seen(name)) == ((old,), {7})
    assert made.roll_back().step is Step.ROLLED_BACK
    assert (engine.indices_of(new), seen(name)) == ((), {7})

    attach_index(engine, shop.services.settings.index, FakeEncoder().identity, uri_field="url")
    assert made.start(Changes(shards=3), throttle=math.inf).step is Step.SWAPPED
    anew(8)
    for alias, options in engine.aliases(new).items():  # and moves the aliases back
        engine.update_aliases(
            [
                {"remove": {"index": new, "alias": alias}},
                {"add": {"index": old, "alias": alias, **options}},
            ]
        )
    with pytest.raises(ReindexError, match=f"{old!r} not deleted, as alias {name!r} stands for"):
        made.clean()
    assert (engine.indices_of(name), seen(name)) == ((old,), {8})
    assert made.roll_back().step is Step.ROLLED_BACK
    assert (engine.indices_of(new), seen(name)) == ((), {8})
    engine.put(old, "1", {"n": 9}, routing=routing(1))


def test_what_an_engine_takes_in_place_is_not_copied(shop: Shop) -> None:
    """Of vectors, Elasticsearch takes shorter ones and a greater m, and OpenSearch nothing."""
    made = reindexer(shop.services)
    vectors = Changes(quantization="int4" if shop.engine.kind == "elasticsearch" else "float", m=32)
    is_taken = shop.engine.kind == "elasticsearch"
    assert (made.plan(vectors).way == "in place") is is_taken
    assert (made.change_in_place(vectors) is not None) is is_taken
    for changes in (Changes(replicas=1), Changes(segment_seconds=1)):
        assert made.plan(changes).way == "in place"
        assert made.change_in_place(changes) is not None
    for changes in (Changes(shards=5), Changes(quantization="flat")):
        assert made.plan(changes).way == "copy"
    index = open_videos_index(shop.engine, shop.services.settings.index)
    assert (index.name, index.segment_seconds) == (shop.old, 1)
    assert index.quantization == ("int4" if is_taken else "int8")
    assert str(shop.engine.settings(shop.old)["number_of_replicas"]) == "1"
    with pytest.raises(ReindexError, match="takes that in place"):
        made.start(Changes(replicas=0))
    shop.engine.put_settings(shop.old, {"number_of_replicas": 0})
    shop.embed(3, 1)
    assert shop.engine.indices_of(f"{shop.old}-vidsearch") == ()


@pytest.mark.parametrize(
    ("node", "changed_field"),
    [("opensearch_2", None), pytest.param("elasticsearch_9", "at", marks=pytest.mark.drill)],
)
def test_where_the_numbers_of_writes_are_refused_nothing_is_lost_either(
    node: str,
    changed_field: str | None,
    index_name: str,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(index: str) -> dict[int, int]:
        raise BackendAccessDeniedError("no right to monitor")

    with shop_on(request.getfixturevalue(node), index_name) as shop:
        monkeypatch.setattr(shop.engine, "checkpoints", refuse)
        plan = reindexer(shop.services).plan(Changes(shards=3), changed_field=changed_field)
        assert plan.following is not None
        assert plan.following.by == ("versions" if changed_field is None else "field")
        assert plan.following.why == "no right to monitor"
        calls = Calls(shop.engine, monkeypatch)
        with shop.running():
            run = reindexer(shop.services).start(
                Changes(shards=3), changed_field=changed_field, throttle=math.inf
            )
            shop.application.goes_on()
        shop.check(run.target)
        assert run.blocked_seconds is not None
        shop.application.check_refused(calls)
        shop.application.refused.clear()
        with shop.running():
            assert reindexer(shop.services).roll_back().step is Step.ROLLED_BACK
        shop.check(shop.old)
