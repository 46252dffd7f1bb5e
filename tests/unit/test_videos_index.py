"""Creating and dropping the managed index where something is there already, or goes wrong."""

from __future__ import annotations

import pytest

from vidsearch.config import IndexSettings
from vidsearch.errors import (
    BackendUnavailableError,
    IndexNotFoundError,
    MappingConflictError,
    ModelMismatchError,
)
from vidsearch.index import (
    attach_index,
    create_videos_index,
    drop_videos_index,
    open_videos_index,
    show_videos_index,
)
from vidsearch.registry import Registry
from vidsearch.search import VideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

SETTINGS = IndexSettings(name="videos")
IDENTITY = FakeEncoder().identity


def test_create_with_a_lost_registry_creates_the_registry_only() -> None:
    # The registry's own error sends the user to `vidsearch index create`.
    engine = MemoryEngine()
    create_videos_index(engine, SETTINGS, IDENTITY)
    engine.put("videos", "a", {"title": "kept"})
    engine.delete_index(f"{SETTINGS.registry}-000001")
    with pytest.raises(ModelMismatchError):
        create_videos_index(engine, SETTINGS, FakeEncoder(revision="2").identity)
    assert create_videos_index(engine, SETTINGS, IDENTITY) == SETTINGS.registry
    Registry(engine, index=SETTINGS.registry).register("a", uri="/a.mp4")
    assert engine.get("videos", "a") is not None
    with pytest.raises(MappingConflictError, match=r"'videos' exists already \(videos-000001\)"):
        create_videos_index(engine, SETTINGS, IDENTITY)


def test_create_over_a_foreign_index_creates_no_registry() -> None:
    engine = MemoryEngine()
    engine.create_index("videos", {})
    with pytest.raises(MappingConflictError, match="was not made by vidsearch"):
        create_videos_index(engine, SETTINGS, IDENTITY)
    assert engine.indices_of(SETTINGS.registry) == ()


def test_drop_after_a_drop_that_broke_off_drops_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = MemoryEngine()
    create_videos_index(engine, SETTINGS, IDENTITY)
    delete, dropped = engine.delete_index, []

    def once(name: str) -> None:
        if dropped:
            raise BackendUnavailableError("connection refused")
        dropped.append(name)
        delete(name)

    monkeypatch.setattr(engine, "delete_index", once)
    with pytest.raises(BackendUnavailableError):
        drop_videos_index(engine, SETTINGS)
    monkeypatch.undo()
    assert show_videos_index(engine, SETTINGS)["registered"] is None, "what the command asks about"
    assert drop_videos_index(engine, SETTINGS) == ("videos-000001",)
    with pytest.raises(IndexNotFoundError):
        drop_videos_index(engine, SETTINGS)


def test_open_and_search_of_the_same_bad_name_say_the_same() -> None:
    engine = MemoryEngine()
    engine.create_index("foreign", {})
    layout = {"_meta": {"vidsearch": {"layout": 99}}}
    engine.create_index("newer", {"mappings": layout})
    for name in ("one", "two"):
        engine.create_index(name, {"aliases": {"both": {}}})
    for name, message in [
        ("absent", "no index or alias 'absent' at memory://.*vidsearch index create"),
        ("both", r"'both' stands for 2 indices \(one, two\), and vidsearch needs one"),
        ("foreign", "index 'foreign' was not made by vidsearch.*vidsearch index attach"),
        ("newer", "index 'newer' does not say .* its layout is 99"),
    ]:
        with pytest.raises((IndexNotFoundError, MappingConflictError), match=message) as opened:
            open_videos_index(engine, SETTINGS.model_copy(update={"name": name}))
        with pytest.raises((IndexNotFoundError, MappingConflictError)) as searched:
            VideoSearch(engine, FakeEncoder(), index=name).search("dog")
        assert (type(opened.value), str(opened.value)) == (
            type(searched.value),
            str(searched.value),
        )


def test_attach_to_a_missing_index_says_what_to_name() -> None:
    with pytest.raises(
        IndexNotFoundError, match=r"'videos' at memory://.*name the index to attach"
    ):
        attach_index(MemoryEngine(), SETTINGS, IDENTITY, uri_field="url")
