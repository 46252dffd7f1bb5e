"""``index diff`` over the engine in memory: a managed index, and an attached one."""

from __future__ import annotations

from typing import get_args

import pytest

from vidsearch.config import IndexSettings
from vidsearch.errors import ConfigError
from vidsearch.index import attach_index, create_videos_index
from vidsearch.index.diff import apply_changes, diff_videos_index
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.diff import How

IDENTITY = FakeEncoder().identity


def test_diff_of_a_new_index_is_empty() -> None:
    engine, settings = MemoryEngine(), IndexSettings(name="videos")
    create_videos_index(engine, settings, IDENTITY)
    assert diff_videos_index(engine, settings, IDENTITY) == ()

    wanted = IndexSettings(name="videos", replicas=3, quantization="float")
    changes = diff_videos_index(engine, wanted, IDENTITY)
    assert {change.how for change in changes} == {"in place", "new index"}
    left = apply_changes(engine, wanted, IDENTITY)
    assert left == tuple(change for change in changes if change.how == "new index")


def test_diff_with_another_model_needs_new_vectors() -> None:
    engine, settings = MemoryEngine(), IndexSettings(name="videos")
    create_videos_index(engine, settings, IDENTITY)
    (change,) = diff_videos_index(engine, settings, FakeEncoder(revision="2").identity)
    assert (change.path, change.wanted) == ("mappings._meta.vidsearch.model.revision", "2")
    assert change.how == "new vectors"


def test_diff_of_an_attached_index_compares_the_vidsearch_object_only() -> None:
    engine, settings = MemoryEngine(), IndexSettings(name="products")
    mapping = {"dynamic": "strict", "properties": {"url": {"type": "keyword"}}}
    engine.create_index("products", {"settings": {"number_of_shards": 7}, "mappings": mapping})
    attach_index(engine, settings, IDENTITY, uri_field="url")
    assert diff_videos_index(engine, settings, IDENTITY) == ()


def test_create_with_a_preset_that_the_engine_lacks_creates_nothing() -> None:
    engine, settings = MemoryEngine(), IndexSettings(name="videos", quantization="fp16")
    with pytest.raises(ConfigError, match="elasticsearch has no quantization 'fp16'; it has float"):
        create_videos_index(engine, settings, IDENTITY)
    assert engine.indices_of(settings.registry) == ()


def test_diff_names_no_command_that_does_not_exist() -> None:
    assert get_args(How) == ("in place", "new index", "new vectors")
