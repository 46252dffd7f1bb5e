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
from vidsearch.index import create_videos_index, drop_videos_index, show_videos_index
from vidsearch.registry import Registry
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

SETTINGS = IndexSettings(name="videos")
IDENTITY = FakeEncoder().identity


def test_a_lost_registry_is_created_again() -> None:
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


def test_an_index_of_somebody_else_gets_no_registry() -> None:
    engine = MemoryEngine()
    engine.create_index("videos", {})
    with pytest.raises(MappingConflictError, match="was not made by vidsearch"):
        create_videos_index(engine, SETTINGS, IDENTITY)
    assert engine.indices_of(SETTINGS.registry) == ()


def test_a_drop_that_broke_off_is_ended_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
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
