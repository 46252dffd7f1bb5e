"""OpenSearch with its own security plugin: the roles of docs/engines.md suffice, others do not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.command_line import runner
from tests.registry_layouts import unversioned_layout
from tests.secured_node import Role, SecuredNode, secured_node
from tests.services import RunningServices

from vidsearch.config import IndexSettings, IngestSettings
from vidsearch.embeddings import FrameEmbedder
from vidsearch.engines import Write, connect, connect_async
from vidsearch.errors import BackendAccessDeniedError
from vidsearch.index import (
    attach_index,
    create_videos_index,
    detach_index,
    drop_videos_index,
)
from vidsearch.index.diff import diff_videos_index
from vidsearch.ingest import Indexer
from vidsearch.media import MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.registry import Registry
from vidsearch.registry.index import upgrade_registry_index
from vidsearch.search import VideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder

pytestmark = pytest.mark.integration

INDEX = IndexSettings(name="videos", replicas=0)
ENCODER = FakeEncoder()
_LOOK = ("indices:admin/aliases/get", "indices:admin/mappings/get")
_MINE = ("videos*", "vidsearch-videos*")
ROLES = {
    "searcher": Role(("read", *_LOOK), ("indices:data/read/msearch",), _MINE),
    "worker": Role(
        ("crud", "indices:admin/refresh*", *_LOOK),
        ("cluster_composite_ops", "indices:data/read/scroll/clear"),
        _MINE,
    ),
    "admin": Role(
        ("crud", "manage"),
        ("cluster_composite_ops", "cluster_monitor", "indices:data/read/scroll/clear"),
        _MINE,
    ),
    "no-msearch": Role(("read", *_LOOK), (), _MINE),
    "stranger": Role(("crud", "manage"), ("cluster_composite_ops",), ("other*",)),
}


@pytest.fixture(scope="module")
def node(
    services: RunningServices, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredNode]:
    """The node, with an index that the admin makes and drops."""
    with ExitStack() as stack:
        with services.needs("the security plugin of OpenSearch"):
            started = secured_node(tmp_path_factory.mktemp("secured"), ROLES)
            running = stack.enter_context(started)
        admin = connect(running.settings("admin"))
        create_videos_index(admin, INDEX, ENCODER.identity)
        assert diff_videos_index(admin, INDEX, ENCODER.identity) == ()
        yield running
        drop_videos_index(admin, INDEX)
        admin.close()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(BackendAccessDeniedError) as raised:
        call()
    return str(raised.value)


def test_each_role_suffices_for_its_work_and_allows_no_more(
    node: SecuredNode, red: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker, searcher = (connect(node.settings(user)) for user in ("worker", "searcher"))
    registry = Registry(worker, index=INDEX.registry)
    registry.register("clip", uri=str(red), fields={"title": "Harbour"})
    embedder = FrameEmbedder(DirectReader("pyav", limits=MediaLimits()), ENCODER)
    indexer = Indexer(worker, registry, embedder=embedder, index=INDEX, settings=IngestSettings())
    assert indexer.ingest("clip", owner="test").status == "indexed"
    worker.refresh("videos")
    assert [document.id for document in worker.scan("videos")] == ["clip"]
    assert "DELETE" not in caplog.text  # of the scroll, whose refusal is only logged
    said = refusal(lambda: worker.delete_index("videos-000001"))
    assert "no permissions for [indices:admin/delete]" in said

    search = VideoSearch(searcher, ENCODER, index="videos")
    for mode in ("hybrid", "vector", "keyword"):
        found = search.search("harbour", mode=mode, filter={"title": "Harbour"})
        assert [hit.id for hit in found.hits] == ["clip"]
    assert searcher.features().hybrid == {"min_max", "rrf"}  # of the usual distribution
    said = refusal(lambda: searcher.bulk("videos", [Write("index", "new", {"title": "x"})]))
    assert "no permissions for [indices:data/write/bulk]" in said

    worker.close()
    searcher.close()


def test_upgrading_attaching_and_detaching_take_the_rights_of_an_admin(
    node: SecuredNode, caplog: pytest.LogCaptureFixture
) -> None:
    worker, admin = (connect(node.settings(user)) for user in ("worker", "admin"))
    shop = IndexSettings(name="videos-shop", replicas=0)
    registry = {**unversioned_layout(), "aliases": {shop.registry: {}}}
    admin.create_index(f"{shop.registry}-000001", registry)
    assert upgrade_registry_index(worker, shop).is_older  # `crud` allows adding fields
    assert not upgrade_registry_index(admin, shop).is_older

    properties = {"url": {"type": "keyword"}, "title": {"type": "text"}}
    body = {"mappings": {"properties": properties}, "aliases": {shop.name: {}}}
    admin.create_index("videos-shop-1", body)
    source = {"url": "https://shop.example/a.mp4", "title": "Harbour"}
    worker.put(shop.name, "a", source)
    said = refusal(lambda: attach_index(worker, shop, ENCODER.identity, uri_field="url"))
    assert "no permissions for [indices:admin/get]" in said
    attached = attach_index(admin, shop, ENCODER.identity, uri_field="url")
    assert attached.copied_from == "videos-shop-1", "the longest way, as index.knn was not set"

    worker.update(shop.name, "a", {shop.field: {"uri": source["url"]}})
    said = refusal(lambda: detach_index(worker, shop))
    assert "no permissions for [indices:admin/delete]" in said
    assert detach_index(admin, shop) == 1
    found = admin.get(shop.name, "a")
    assert found is not None
    assert found.source == source
    assert "_search/scroll [status:403" not in caplog.text, "a refusal that is only logged"
    worker.close()
    admin.close()


def test_missing_right_is_named(node: SecuredNode) -> None:
    for user, lacking in (
        ("no-msearch", "indices:data/read/msearch"),
        ("stranger", "indices:admin/mappings/get"),
    ):
        engine = connect(node.settings(user))
        search = VideoSearch(engine, ENCODER, index="videos")
        said = refusal(lambda: search.search("harbour"))  # noqa: B023
        engine.close()
        assert f"index 'videos' at {node.url} refused the request (403)" in said
        assert f"no permissions for [{lacking}]" in said
    said = refusal(lambda: connect(node.settings("searcher", kind="auto")))
    assert said.endswith("If they may not ask for the version, set engine.kind")


def test_check_works_without_the_right_to_read_the_version(
    node: SecuredNode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in node.variables("worker").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", str(tmp_path))  # of no interest here
    run = runner(capsys)
    engine = run("check", "--json").data[0]
    assert engine["ok"]
    assert engine["detail"] == (
        f"opensearch at {node.url}; these credentials may not ask for its version"
    )
    for name, value in node.variables("stranger").items():
        monkeypatch.setenv(name, value)
    engine = run("check", "--json").data[0]
    assert not engine["ok"]
    assert "no permissions for [indices:admin/aliases/get]" in engine["detail"]


def test_wrong_password_is_refused(node: SecuredNode) -> None:
    given = node.settings("searcher", password="hunter2-wrong")

    async def twin() -> None:
        engine = await connect_async(given)
        try:
            await engine.run(engine.calls.indices_of("videos"))
        finally:
            await engine.close()

    engine = connect(given)
    for said in (refusal(lambda: engine.count("videos")), refusal(lambda: asyncio.run(twin()))):
        assert said.startswith(f"{node.url} refused the credentials (401): Unauthorized. Check ")
        assert "hunter2" not in said
    engine.close()
