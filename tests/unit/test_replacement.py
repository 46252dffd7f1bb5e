"""An alias moved from an attached index to another, and one that was dropped and created anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from celery import Celery
from tests.http_stub import Asked, Reply, http_stub
from tests.ingest_stage import SETTINGS, Stage, aged, assert_same_vectors

from vidsearch import VideoSearch
from vidsearch.config import Settings
from vidsearch.engines import AsyncEngine
from vidsearch.errors import (
    BackendAccessDeniedError,
    IndexNotFoundError,
    MappingConflictError,
    VidsearchError,
)
from vidsearch.index import (
    attach_index,
    create_videos_index,
    detach_index,
    open_or_attach,
    open_videos_index,
)
from vidsearch.ingest import count_waiting
from vidsearch.registry import State
from vidsearch.search import AsyncVideoSearch
from vidsearch.testing.clips import write_clip
from vidsearch_tasks import Services, run_scan
from vidsearch_tasks.maintenance import run_quick_scan

FIELDS = {"title": {"type": "text"}, "url": {"type": "keyword"}}
BARE = {"mappings": {"properties": FIELDS}}


class Shop(Stage):
    """An application that keeps its products behind an alias, and vidsearch attached to it."""

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.uri = uri
        self.create("v1")
        self.move("v1")
        attach_index(self.engine, SETTINGS, self.encoder.identity, uri_field="url")
        self.services = Services(
            Settings(index=SETTINGS.model_dump(), broker={"queue": "shop"}),
            encoder=self.encoder,
            app=Celery("shop", broker="memory://", set_as_current=False),
        )
        self.search = VideoSearch(self.engine, self.encoder)

    def create(self, name: str, **body: Any) -> None:
        self.engine.create_index(name, {**BARE, **body})
        self.fill(name)

    def fill(self, name: str) -> None:
        for id in "ab":
            self.engine.put(name, id, {"title": f"a {id} boat", "url": self.uri})

    def move(self, name: str) -> None:
        removed = [{"remove": {"index": i, "alias": "videos"}} for i in self.indices]
        self.engine.update_aliases([*removed, {"add": {"index": name, "alias": "videos"}}])

    @property
    def indices(self) -> tuple[str, ...]:
        return self.engine.indices_of("videos")

    def work_off(self) -> list[str]:
        """A quick scan, and what a worker makes of it."""
        run_quick_scan(services=self.services)
        return [self.ingest(r.id).status for r in self.registry.scan(State.QUEUED)]

    def found(self, mode: str) -> tuple[list[str], bool]:
        """Ids of the hits, and whether a warning names the command."""
        result = self.search.search("boat", mode=cast(Any, mode))
        warned = [text for text in result.warnings if "`vidsearch scan` adds it" in text]
        assert len(warned) < 2
        return sorted(hit.id for hit in result), bool(warned)


@pytest.fixture
def sent() -> list[int]:
    """Bytes of each answer of the server."""
    return []


@pytest.fixture
def shop(tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    clip = aged(write_clip(tmp_path / "clip.mp4", [i / 10 for i in range(60)], rate=10))
    content = clip.read_bytes()

    def answer(asked: Asked) -> Reply:
        whole = "Range" not in asked.headers
        sent.append(len(content) if whole else 1)
        extra = {} if whole else {"Content-Range": f"bytes 0-0/{len(content)}"}
        body = content if whole else content[:1]
        return Reply(200 if whole else 206, body, {"etag": '"1"', **extra})

    with http_stub(answer) as stub:
        shop = Shop(f"{stub.url}/clip.mp4")
        monkeypatch.setattr("vidsearch.engines.connect", lambda *_, **__: shop.engine)
        assert shop.work_off() == ["indexed", "indexed"]
        shop.work()
        sent.clear()
        yield shop


def moved(shop: Shop) -> None:
    shop.create("v2")
    shop.move("v2")


def created_anew(shop: Shop) -> None:
    shop.engine.delete_index("v1")
    shop.create("videos")


@pytest.mark.parametrize("replace", [moved, created_anew])
def test_a_replacement_is_taken_by_the_scan_without_fetching_or_decoding(
    shop: Shop, sent: list[int], replace: Callable[[Shop], None]
) -> None:
    before = shop.video("a")
    assert shop.found("hybrid") == shop.found("vector") == (["a", "b"], False)
    replace(shop)
    assert shop.found("vector") == ([], True)
    assert shop.found("hybrid") == shop.found("keyword") == (["a", "b"], True)
    assert shop.work_off() == ["indexed", "indexed"]
    assert shop.work() == (0, 0)
    assert sent == [1, 1], "the validator of each, and nothing else"
    assert_same_vectors(shop.video("a"), before)
    assert shop.found("hybrid") == shop.found("vector") == (["a", "b"], False)
    index = open_videos_index(shop.engine, SETTINGS)
    assert (index.uri_field, index.segment_seconds, index.is_replacement) == ("url", 2.0, False)
    assert shop.engine.mapping("videos")["properties"].keys() == {"title", "url", "video"}
    assert run_quick_scan(services=shop.services) == {}


def test_a_search_of_a_replacement_leaves_out_what_it_asks_of_the_missing_object(
    shop: Shop,
) -> None:
    moved(shop)
    asked: dict[str, Any] = {
        "facets": ["url", "video.duration"],
        "sort": "-video.duration",
        "highlight": ["title", "video.subtitles"],
        "collapse": "video.uri",
    }
    for mode in ("hybrid", "keyword"):
        result = shop.search.search("boat", mode=mode, **asked)
        assert sorted(hit.id for hit in result) == ["a", "b"]
        assert [value.count for value in result.facets["url"].values] == [2]
        assert result.facets["video.duration"].values == ()
        assert "`vidsearch scan` adds it" in result.warnings[0]
    (first, *_) = shop.search.search("boat", mode="keyword", collapse="url", sort="url")
    assert first.duplicates, "what is asked of other fields is answered"


def test_rewritten_documents_wait_until_they_are_scanned(shop: Shop, sent: list[int]) -> None:
    index = open_videos_index(shop.engine, SETTINGS)
    assert count_waiting(index) == 0
    shop.fill("v1")
    shop.engine.put("v1", "none", {"title": "no video"})
    assert count_waiting(index) == 2
    assert shop.found("hybrid") == (["a", "b"], False)
    assert shop.work_off() == ["indexed", "indexed"]
    assert (count_waiting(index), shop.work(), sent) == (0, (0, 0), [1, 1])


def test_a_worker_takes_a_replacement_before_the_scan(shop: Shop) -> None:
    moved(shop)
    assert shop.again("a").status == "indexed"
    assert shop.found("vector") == (["a"], False)
    assert shop.work() == (0, 0)


def test_a_dry_run_of_the_scan_leaves_a_replacement_as_it_is(shop: Shop) -> None:
    moved(shop)
    before = shop.engine.mapping("v2")
    found = run_scan(services=shop.services, dry_run=True)
    assert {finding.id: finding.action for finding in found} == dict.fromkeys("ab", "enqueue")
    assert shop.engine.mapping("v2") == before
    assert count_waiting(open_videos_index(shop.engine, SETTINGS, replacement=True)) == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            {"mappings": {"properties": {**FIELDS, "video": {"type": "keyword"}}}},
            "has a field 'video' of its own",
        ),
        (
            {"mappings": {"properties": {**FIELDS, "video": {"properties": {"uri": {}}}}}},
            "has a field 'video' of its own",
        ),
        (
            {"mappings": {"properties": FIELDS, "_source": {"excludes": ["title"]}}},
            "parts of documents out of _source",
        ),
        ({"settings": {"index": {"blocks": {"read_only": True}}}}, "takes no writes"),
    ],
)
def test_a_replacement_that_cannot_be_attached_is_an_error_that_names_the_command(
    shop: Shop, body: dict[str, Any], reason: str
) -> None:
    shop.create("v2", **body)
    shop.move("v2")
    calls: list[Callable[[], object]] = [
        lambda: run_quick_scan(services=shop.services),
        lambda: shop.services.open_index(),
        lambda: shop.services.open_index(replacement=True),
    ]
    if "of its own" in reason:
        calls.append(lambda: shop.search.search("boat", mode="keyword"))
    else:
        for mode, hits in (("keyword", 2), ("hybrid", 2), ("vector", 0)):
            result = shop.search.search("boat", mode=cast(Any, mode))
            assert len(result.hits) == hits
            if mode != "keyword":
                assert reason in result.warnings[-1]
                assert "run `vidsearch scan`" in result.warnings[-1]
    for call in calls:
        with pytest.raises(MappingConflictError) as raised:
            call()
        message = str(raised.value)
        assert "alias 'videos' was moved to index 'v2'" in message
        assert reason in message
        assert "run `vidsearch scan`" in message
    outcome = shop.again("a")
    assert outcome.status == "retry"
    assert isinstance(outcome.error, MappingConflictError)
    assert reason in str(outcome.error)
    assert shop.registry.get("a").attempts == 0


def test_a_replacement_whose_uri_field_is_not_mapped_yet_is_searched_and_taken_later(
    shop: Shop,
) -> None:
    shop.engine.create_index("v2", {"mappings": {"properties": {"title": {"type": "text"}}}})
    shop.move("v2")
    assert shop.found("hybrid") == ([], True)
    with pytest.raises(MappingConflictError, match=r"'url' of index 'v2' is not mapped.*--uri-f"):
        run_quick_scan(services=shop.services)
    shop.engine.put_mapping("v2", {"properties": FIELDS})
    shop.fill("v2")
    assert shop.work_off() == ["indexed", "indexed"]


def test_a_replacement_without_the_right_to_change_it_names_the_command(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise BackendAccessDeniedError("no")

    moved(shop)
    monkeypatch.setattr(shop.engine, "put_mapping", refuse)
    with pytest.raises(BackendAccessDeniedError, match="`vidsearch scan` with credentials that"):
        open_or_attach(shop.engine, SETTINGS)


def test_an_index_attached_before_it_was_kept_how_is_noted_by_a_scan(shop: Shop) -> None:
    registry = shop.engine.mapping(SETTINGS.registry)
    del registry["_meta"]["vidsearch"]["attached"]
    shop.engine.put_mapping(SETTINGS.registry, {"_meta": registry["_meta"]})
    assert run_quick_scan(services=shop.services) == {}
    moved(shop)
    assert shop.work_off() == ["indexed", "indexed"]


def test_a_foreign_index_that_replaces_none_is_refused_as_before(shop: Shop) -> None:
    detach_index(shop.engine, SETTINGS)
    moved(shop)
    with pytest.raises(MappingConflictError, match="was not made by vidsearch"):
        open_or_attach(shop.engine, SETTINGS)
    with pytest.raises(MappingConflictError, match="was not made by vidsearch"):
        shop.search.search("boat", mode="keyword")


def test_detach_of_a_replacement_drops_the_registry(shop: Shop) -> None:
    moved(shop)
    assert detach_index(shop.engine, SETTINGS) == 0
    assert shop.engine.indices_of(SETTINGS.registry) == ()
    assert shop.engine.mapping("v2")["properties"] == FIELDS


def test_an_alias_that_goes_back_brings_the_former_vectors(shop: Shop) -> None:
    moved(shop)
    shop.work_off()
    shop.move("v1")
    assert shop.found("vector") == (["a", "b"], False)
    assert run_quick_scan(services=shop.services) == {}


def test_searches_of_a_replacement_that_need_vectors_find_nothing_or_words(shop: Shop) -> None:
    moved(shop)
    search = shop.search
    boats = search.search("boat", like="a")
    assert [hit.id for hit in boats] == ["b"], "the words, without the video itself"
    assert search.search(like="a").hits == ()
    assert search.search("boat", filter={"video.segments.start": {"gte": 1}}).hits == ()
    results = search.search_many(["boat", "submarine"], diversity=0.5)
    assert [len(result) for result in results] == [2, 0]
    assert all("`vidsearch scan`" in result.warnings[-1] for result in results)
    assert search.body("boat", mode="keyword").keys() == {"keyword"}
    with pytest.raises(MappingConflictError, match="`vidsearch scan` adds it"):
        search.body("boat")


def test_an_asynchronous_client_follows_the_alias(shop: Shop) -> None:
    class InMemory:
        kind, calls = shop.engine.kind, shop.engine.calls

        async def run(self, steps: Any) -> Any:
            return shop.engine.run(steps)

    async def searched() -> list[tuple[int, int]]:
        client = AsyncVideoSearch(cast(AsyncEngine, InMemory()), shop.encoder)
        found = []
        for act in (lambda: None, lambda: moved(shop), shop.work_off):
            act()
            result = await client.search("boat", mode="vector")
            found.append((len(result), len(result.warnings)))
        return found

    assert asyncio.run(searched()) == [(2, 0), (0, 1), (2, 0)]


def test_a_quick_scan_of_a_managed_index_opens_it_once_and_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    monkeypatch.setattr("vidsearch.engines.connect", lambda *_, **__: stage.engine)
    asked: list[str] = []
    real = stage.engine.mappings_behind
    monkeypatch.setattr(
        stage.engine, "mappings_behind", lambda name: asked.append(name) or real(name)
    )
    assert run_quick_scan(services=Services(Settings(index=SETTINGS.model_dump()))) == {}
    assert asked == ["videos"]


def test_an_alias_that_is_gone_is_reported(shop: Shop) -> None:
    shop.engine.update_aliases([{"remove": {"index": "v1", "alias": "videos"}}])
    for call in (shop.work_off, lambda: shop.search.search("boat")):
        with pytest.raises(IndexNotFoundError) as raised:
            call()
        assert isinstance(raised.value, VidsearchError)


def test_other_segments_of_the_same_index_are_made_by_reindexing_without_decoding(
    shop: Shop,
) -> None:
    for changed in ({"segment_overlap": 1.0}, {"segments": "semantic"}, {"max_segments": 2}):
        shop.index = SETTINGS.model_copy(update=changed)
        before = shop.video("a")["fingerprint"]
        assert shop.again("a", forget=True).status == "indexed"
        assert shop.video("a")["fingerprint"] != before
        assert shop.work() == (0, 0)
