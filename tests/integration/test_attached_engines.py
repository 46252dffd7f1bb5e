"""An index of an application with the object `video` in it, on each of the engines."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.services import call

from vidsearch import VideoSearch
from vidsearch.config import IndexSettings, IngestSettings
from vidsearch.embeddings import FrameEmbedder
from vidsearch.engines import Document, Engine, Write
from vidsearch.engines.steps import Steps
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendUnavailableError,
    DocumentNotFoundError,
    IndexNotFoundError,
    MappingConflictError,
)
from vidsearch.index import (
    attach_index,
    detach_index,
    drop_videos_index,
    open_videos_index,
    show_videos_index,
)
from vidsearch.index.copy_note import is_blocked
from vidsearch.ingest import Finding, Indexer, delete_video, scan_index
from vidsearch.local import SearchNode
from vidsearch.media import MediaLimits
from vidsearch.media.direct_reader import DirectReader
from vidsearch.registry import Registry, State
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder

pytestmark = pytest.mark.integration

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}
ROUTING = {"red": "shop-1", "green": "shop-2", "blue": "shop-3"}


def own_vector(engine: Engine) -> dict[str, Any]:
    if engine.kind == "elasticsearch":
        return {"type": "dense_vector", "dims": 3, "index": True, "similarity": "cosine"}
    method = {"name": "hnsw", "engine": "lucene", "space_type": "l2"}
    return {"type": "knn_vector", "dimension": 3, "method": method}


def application_body(engine: Engine, *, knn: bool = True) -> dict[str, Any]:
    """200 fields, analysers, nested objects, an own vector, strict, routing, a pipeline."""
    properties: dict[str, Any] = {
        f"attribute_{n}": {"type": ["keyword", "integer", "text", "float"][n % 4]}
        for n in range(194)
    }
    properties |= {
        "title": {"type": "text", "analyzer": "own_words"},
        "media": {"properties": {"url": {"type": "keyword", "ignore_above": 300}}},
        "offers": {"type": "nested", "properties": {"price": {"type": "float"}}},
        "views": {"type": "long"},
        "added": {"type": "date"},
    }
    if knn:
        properties["picture"] = own_vector(engine)
    words = {"type": "custom", "tokenizer": "standard", "filter": ["lowercase", "own_stop"]}
    settings: dict[str, Any] = {
        "number_of_shards": 2,
        "number_of_replicas": 0,
        # No such pipeline exists: a write of ours that ran it would fail.
        "default_pipeline": "the-applications-own",
        "analysis": {
            "filter": {"own_stop": {"type": "stop", "stopwords": ["the"]}},
            "analyzer": {"own_words": words},
        },
    }
    if engine.kind == "opensearch" and knn:
        settings["knn"] = True
    return {
        "settings": {"index": settings},
        "mappings": {
            "dynamic": "strict",
            "_meta": {"owner": "shop"},
            "_routing": {"required": True},
            "date_detection": False,
            "properties": properties,
        },
    }


def application_document(colour: str, uri: str, *, knn: bool = True) -> dict[str, Any]:
    source: dict[str, Any] = {
        f"attribute_{n}": [f"word {n}", n, f"text {n}", n / 7][n % 4] for n in range(194)
    }
    source |= {
        "title": f"The {colour} shirt",
        "media": {"url": uri},
        "offers": [{"price": 1.5}, {"price": 2.25}],
        "views": 9_007_199_254_740_993,
        "added": "2026-01-01",
    }
    if knn:
        source["picture"] = [0.5, 0.25, -0.125]
    return source


class Application:
    """An application with an index of its own, which knows nothing of vidsearch."""

    def __init__(self, engine: Engine, node: SearchNode, name: str, folder: Path) -> None:
        self.engine, self.node = engine, node
        self.settings = IndexSettings(name=name, segment_seconds=2, replicas=0)
        self.clips = {
            colour: str(
                write_clip(
                    folder / f"{colour}.mp4",
                    [i / 5 for i in range(15)],
                    picture=solid(rgb),
                    rate=5,
                )
            )
            for colour, rgb in COLOURS.items()
        }

    def make(self, name: str, *, knn: bool = True, **more: Any) -> None:
        self.engine.create_index(name, {**application_body(self.engine, knn=knn), **more})
        for colour, uri in self.clips.items():
            self.put(name, colour, application_document(colour, uri, knn=knn))
        self.engine.refresh(name)

    def put(self, name: str, id: str, source: dict[str, Any]) -> None:
        self.engine.put(name, id, source, routing=ROUTING[id], pipeline=False)

    def read(self, id: str) -> Document:
        found = self.engine.get(self.settings.name, id, routing=ROUTING[id])
        assert found is not None
        return found

    def attach(self, **options: Any) -> Any:
        identity = FakeEncoder().identity
        return attach_index(self.engine, self.settings, identity, uri_field="media.url", **options)

    @property
    def registry(self) -> Registry:
        return Registry(self.engine, index=self.settings.registry, max_attempts=2)

    def scan(self, **options: Any) -> dict[str, Finding]:
        registry, index = self.registry, open_videos_index(self.engine, self.settings)
        self.engine.refresh(index.name)
        found = scan_index(registry, index, enqueue=registry.mark_many_queued, **options)
        return {finding.id: finding for finding in found}

    def ingest(self, *ids: str) -> dict[str, str]:
        indexer = Indexer(
            self.engine,
            self.registry,
            embedder=FrameEmbedder(DirectReader("pyav", limits=MediaLimits()), FakeEncoder()),
            index=self.settings,
            settings=IngestSettings(),
        )
        states = {id: indexer.ingest(id, owner="w").status for id in ids}
        self.engine.refresh(self.settings.name)
        return states

    def search(self, text: str | None, **options: Any) -> Any:
        with VideoSearch(self.engine, encoder=FakeEncoder(), index=self.settings.name) as videos:
            return videos.search(text, **options)


@pytest.fixture
def application(
    engine: Engine, search_node: SearchNode, index_name: str, tmp_path: Path
) -> Application:
    return Application(engine, search_node, index_name, tmp_path)


def without_vidsearch(mapping: dict[str, Any]) -> dict[str, Any]:
    meta = {k: v for k, v in mapping["_meta"].items() if k != "vidsearch"}
    properties = {k: v for k, v in mapping["properties"].items() if k != "video"}
    return {**mapping, "_meta": meta, "properties": properties}


@pytest.mark.parametrize("through_alias", [False, True], ids=["by name", "by alias"])
def test_attach_ingest_search_and_detach_leave_the_documents_as_they_were(
    application: Application, through_alias: bool
) -> None:
    engine, name = application.engine, application.settings.name
    index = f"{name}-1" if through_alias else name
    application.make(index, **({"aliases": {name: {}}} if through_alias else {}))
    mapping, settings = engine.mapping(index), engine.settings(index)
    before = {id: application.read(id).source for id in COLOURS}

    attached = application.attach()
    assert (attached.index, attached.copied_from) == (index, None)
    live = engine.mapping(index)
    assert without_vidsearch(live) == mapping
    assert engine.settings(index) == settings
    assert live["_meta"]["vidsearch"]["attached"] == {"uri_field": "media.url"}
    with pytest.raises(MappingConflictError, match="is attached already"):
        application.attach()
    with pytest.raises(MappingConflictError, match="vidsearch index detach"):
        drop_videos_index(engine, application.settings)

    plan = application.scan(dry_run=True)
    assert plan.keys() == COLOURS.keys()
    assert {(f.reason, f.action) for f in plan.values()} == {("new", "enqueue")}
    assert application.registry.counts()[State.QUEUED] == 0
    assert len(application.scan(limit=1)) == 1
    assert [f.why for f in application.scan().values() if f.action == "skip"] == ["queued"]
    assert application.registry.get("red").routing == "shop-1"
    assert application.ingest(*COLOURS) == dict.fromkeys(COLOURS, "indexed")
    assert application.scan() == {}

    red = application.read("red")
    assert red.routing == "shop-1"
    ours = red.source.pop("video")
    assert red.source == before["red"]
    assert ours["uri"] == application.clips["red"]
    assert np.linalg.norm(ours["vector"]) == pytest.approx(1, abs=1e-6)
    for mode in ("vector", "hybrid"):
        first = application.search("red", mode=mode, k=2).hits[0]
        assert first.id == "red"
        assert first.fields["title"] == "The red shirt"
        assert "vector" not in str(first.fields.get("video", {}))
        assert first.moments
    # Found in its shard, though nobody tells the routing, which the mapping requires.
    for options in ({}, {"at": 1.0}):
        assert {hit.id for hit in application.search(None, like="red", **options)} == {
            "green",
            "blue",
        }
    shown = show_videos_index(engine, application.settings)
    assert (shown["videos"], shown["documents"], shown["uri_field"]) == (3, 3, "media.url")

    # The application updates a document in part: the vectors stay.
    engine.bulk(index, [Write("update", "red", {"title": "Crimson", "views": 1}, "shop-1")])
    changed = application.read("red").source
    assert (changed["title"], changed["video"]) == ("Crimson", ours)
    engine.refresh(index)
    assert application.search("red", mode="vector", k=1).hits[0].id == "red"
    # The application writes a document anew: the vectors are gone, and found to be.
    application.put(index, "green", before["green"])
    # It names another video.
    other = {**before["blue"], "media": {"url": application.clips["red"]}}
    engine.bulk(index, [Write("update", "blue", {"media": other["media"]}, "shop-3")])
    assert {id: f.reason for id, f in application.scan(quick=True, dry_run=True).items()} == {
        "green": "new"
    }
    found = application.scan()
    assert {id: f.reason for id, f in found.items()} == {"green": "new", "blue": "other uri"}
    assert application.ingest("green", "blue") == {"green": "indexed", "blue": "indexed"}
    assert application.read("blue").source["video"]["uri"] == application.clips["red"]
    assert {f.reason for f in application.scan(everything=True, dry_run=True).values()} == {"check"}

    # What a person deletes leaves the application's document, and is not found again.
    delete_video(application.registry, open_videos_index(engine, application.settings), "green")
    assert application.read("green").source == before["green"]
    assert [(f.action, f.why) for f in application.scan().values()] == [("skip", "deleted")]
    # What the application deletes is forgotten, and never created.
    engine.delete(index, "blue", routing="shop-3")
    assert {id: f.action for id, f in application.scan().items()} == {
        "green": "skip",
        "blue": "delete",
    }
    record = application.registry.get("blue")
    assert (record.state, record.error.type if record.error else "") == (
        State.DELETED,
        "DocumentNotFoundError",
    )

    assert detach_index(engine, application.settings) == 1
    assert application.read("red").source == {**before["red"], "title": "Crimson", "views": 1}
    assert without_vidsearch(engine.mapping(index)) == mapping
    assert "vidsearch" not in engine.mapping(index)["_meta"]
    assert engine.indices_of(application.settings.registry) == ()
    assert application.attach().index == index
    assert {f.reason for f in application.scan(dry_run=True).values()} == {"new"}


def test_ingest_of_a_document_or_index_deleted_meanwhile_does_not_create_it(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    application.make(application.settings.name)
    application.attach()
    application.scan()
    engine, name = application.engine, application.settings.name
    index = open_videos_index(engine, application.settings)
    document = application.read("red")
    engine.delete(name, "red", routing="shop-1")
    assert engine.update(name, "red", {"title": "x"}, routing="shop-1") is None
    with pytest.raises(DocumentNotFoundError, match="has no document 'red'"):
        index.merge({"uri": "x"}, into=document)
    assert application.ingest("red") == {"red": "gone"}
    assert engine.get(name, "red", routing="shop-1") is None
    record = application.registry.get("red")
    assert record.state is State.DELETED
    assert "has no document 'red'" in str(record.error)
    # It comes back, and is found as a new one.
    application.put(name, "red", application_document("red", application.clips["red"]))
    assert application.scan()["red"].action == "enqueue"
    assert application.ingest("red") == {"red": "indexed"}

    # It detaches, and touches the document as well, between the last look at the lease and the end.
    before, write = application.read("green").source, engine.put

    def late(index: str, *args: Any, **options: Any) -> Any:
        if index != name:
            return write(index, *args, **options)
        monkeypatch.setattr(engine, "put", write)
        assert detach_index(engine, application.settings) == 1
        written = write(index, *args, **options)
        assert "vector" in application.read("green").source["video"]
        engine.update(name, "green", {"title": "Emerald"}, routing="shop-2")
        return written

    monkeypatch.setattr(engine, "put", late)
    with pytest.raises(IndexNotFoundError, match="no registry"):
        application.ingest("green")
    assert application.read("green").source == {**before, "title": "Emerald"}


def test_attach_that_is_refused_leaves_the_index_as_it_was(application: Application) -> None:
    engine, name = application.engine, application.settings.name
    knn = {"knn": True} if engine.kind == "opensearch" else {}
    base = {"number_of_replicas": 0, **knn}
    url = {"media": {"properties": {"url": {"type": "keyword"}}}}
    cases: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
        "taken": ({}, {"properties": {**url, "video": {"type": "text"}}}, "setting index.field"),
        "unmapped": ({}, {"properties": {"title": {"type": "text"}}}, "'media.url'.*not mapped"),
        "number": (
            {},
            {"properties": {"media": {"properties": {"url": {"type": "long"}}}}},
            "of type 'long'",
        ),
        "full": ({"mapping.total_fields.limit": 4}, {"properties": url}, "total_fields.limit"),
        "no source": ({}, {"_source": {"enabled": False}, "properties": url}, "no _source"),
        "cut source": (
            {},
            {"_source": {"excludes": ["x"]}, "properties": url},
            r"out of _source \(x\)",
        ),
        "blocked": (
            {"blocks.write": True},
            {"properties": url},
            r"takes no writes \(index\.blocks\.write\).*null",
        ),
    }
    for case, (settings, mapping, message) in cases.items():
        body = {"settings": {"index": {**base, **settings}}, "mappings": mapping}
        engine.create_index(name, body)
        before = engine.mapping(name)
        with pytest.raises(MappingConflictError, match=f"(?s){message}"):
            application.attach()
        assert engine.mapping(name) == before, case
        assert engine.indices_of(application.settings.registry) == (), case
        engine.delete_index(name)
    two = {"settings": {"index": base}, "mappings": {"properties": url}, "aliases": {name: {}}}
    for number in (1, 2):
        engine.create_index(f"{name}-{number}", two)
    with pytest.raises(MappingConflictError, match=f"(?s){name}-1, {name}-2"):
        application.attach()
    engine.create_index(
        f"{name}-written", {**two, "aliases": {f"{name}-writer": {"is_write_index": True}}}
    )
    rolled = application.settings.model_copy(update={"name": f"{name}-writer"})
    with pytest.raises(MappingConflictError, match=r"until a rollover.*is_write_index"):
        attach_index(engine, rolled, FakeEncoder().identity, uri_field="media.url")
    dims = FakeEncoder(dims=20_000).identity
    one = application.settings.model_copy(update={"name": f"{name}-1"})
    with pytest.raises(MappingConflictError, match="does not fit"):
        attach_index(engine, one, dims, uri_field="media.url")
    assert not [n for n in (one, rolled) if engine.indices_of(n.registry)]


KILLED_WHILE_COPYING = """
import os, signal, sys

from vidsearch.config import EngineSettings, IndexSettings
from vidsearch.engines import connect
from vidsearch.index import attach_index
from vidsearch.testing.fake_encoder import FakeEncoder

url, name = sys.argv[1:]
attach_index(
    connect(EngineSettings(url=url, kind="opensearch")),
    IndexSettings(name=name),
    FakeEncoder().identity,
    uri_field="media.url",
    progress=lambda done, total: os.kill(os.getpid(), signal.SIGKILL),
)
"""


@pytest.fixture
def application_without_knn(
    opensearch_2: SearchNode, index_name: str, tmp_path: Path
) -> Iterator[Application]:
    """On OpenSearch, an index that was created without index.knn."""
    from vidsearch.config import EngineSettings
    from vidsearch.engines import connect

    engine = connect(EngineSettings(url=opensearch_2.url, kind=opensearch_2.kind))
    yield Application(engine, opensearch_2, index_name, tmp_path)
    engine.close()


def test_attach_without_knn_copies_the_index_behind_its_alias(
    application_without_knn: Application,
) -> None:
    application, engine, name = (
        application_without_knn,
        application_without_knn.engine,
        application_without_knn.settings.name,
    )
    old, copy = f"{name}-1", f"{name}-1-vidsearch"
    filtered = {f"{name}-some": {"filter": {"term": {"attribute_0": "word 0"}}}}
    application.make(old, knn=False, aliases={name: {}, **filtered})
    before = {id: application.read(id).source for id in COLOURS}
    aliases, mapping = engine.aliases(old), engine.mapping(old)

    def no(index: str, into: str) -> None:
        assert (index, into) == (old, copy)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        application.attach(confirm=no)
    assert engine.indices_of(copy) == ()

    def fail(done: int, total: int) -> None:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        application.attach(progress=fail)
    assert engine.indices_of(copy) == ()
    assert engine.indices_of(name) == (old,)
    application.put(old, "red", before["red"])  # it takes writes again

    changed = {**before["red"], "title": "Crimson"}

    def write(done: int, total: int) -> None:
        application.put(name, "red", changed)

    # What is no copy of ours stays.
    engine.create_index(copy, {})
    with pytest.raises(MappingConflictError, match=f"{copy}' exists already"):
        application.attach()
    engine.delete_index(copy)
    # A process that is killed leaves word of what to do.
    killed = [sys.executable, "-c", KILLED_WHILE_COPYING, application.node.url, name]
    assert subprocess.run(killed, timeout=200).returncode == -signal.SIGKILL
    application.put(old, "red", before["red"])
    with pytest.raises(MappingConflictError, match=f"{old}' is not attached yet.* run it again"):
        show_videos_index(engine, application.settings)
    undone: list[tuple[str, str]] = []

    def told(*names: str) -> None:
        application.put(old, "red", before["red"])
        assert engine.indices_of(copy) == ()
        undone.append((names[0], names[1]))

    with pytest.raises(KeyboardInterrupt):
        application.attach(undone=told, confirm=no)
    assert undone == [(old, copy)]
    assert engine.mapping(old) == mapping
    attached = application.attach(undone=told, progress=write)
    assert len(undone) == 1
    assert 0 < attached.blocked_seconds < 30
    assert (attached.index, attached.copied_from) == (copy, old)
    assert engine.indices_of(name) == (copy,)
    assert engine.aliases(copy) == aliases
    assert without_vidsearch(engine.mapping(copy)) == mapping
    assert engine.settings(copy)["default_pipeline"] == "the-applications-own"
    assert {id: application.read(id).source for id in COLOURS} == {**before, "red": changed}
    with pytest.raises(BackendAccessDeniedError, match="blocked"):
        application.put(old, "red", before["red"])
    assert call(application.node.url, "GET", f"/{old}/_count")["count"] == 3
    application.scan()
    assert application.ingest(*COLOURS) == dict.fromkeys(COLOURS, "indexed")
    assert application.search("blue", mode="vector", k=1).hits[0].id == "blue"


def test_copy_whose_swap_answer_was_lost_is_kept(
    application_without_knn: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    application, engine, name = (
        application_without_knn,
        application_without_knn.engine,
        application_without_knn.settings.name,
    )
    application.make(f"{name}-1", knn=False, aliases={name: {}})
    swap = engine.calls.update_aliases

    def lost(actions: Any) -> Steps[None]:
        yield from swap(actions)
        raise BackendUnavailableError("no answer")

    monkeypatch.setattr(engine.calls, "update_aliases", lost)
    application.attach()
    assert engine.indices_of(name) == (f"{name}-1-vidsearch",)
    assert engine.count(name) == 3
    assert is_blocked(engine.settings(f"{name}-1"))


def test_attach_without_knn_by_the_own_name_copies_on_request_only(
    application_without_knn: Application,
) -> None:
    application, engine, name = (
        application_without_knn,
        application_without_knn.engine,
        application_without_knn.settings.name,
    )
    application.make(name, knn=False)
    with pytest.raises(MappingConflictError, match=r"index\.knn: true.*--copy-to"):
        application.attach()
    copy = f"{name}-new"
    attached = application.attach(copy_to=copy)
    assert (attached.index, attached.name, attached.registry) == (
        copy,
        copy,
        f"vidsearch-{copy}-registry",
    )
    assert engine.count(copy) == engine.count(name) == 3
    for ask in (application.attach, lambda: open_videos_index(engine, application.settings)):
        with pytest.raises(MappingConflictError, match=f"set index.name to '{copy}'"):
            ask()
    with pytest.raises(BackendAccessDeniedError, match="blocked"):
        application.put(name, "red", {"title": "x"})
