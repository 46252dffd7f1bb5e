"""The command that `index diff` names for each difference."""

from __future__ import annotations

from typing import Any

import pytest

from vidsearch.config import Settings
from vidsearch.index import diff_videos_index
from vidsearch.index.manage import create_videos_index
from vidsearch.reindex.advice import command_for, commands_for
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

OWN = {"properties": {"year": {"type": "short"}}}


@pytest.mark.parametrize(
    ("index", "dims", "commands"),
    [
        ({"replicas": 2}, 32, ["index diff --apply"]),
        ({"shards": 3}, 32, ["reindex --shards 3"]),
        ({"segment_seconds": 4.5}, 32, ["reindex --segment-seconds 4.5"]),
        ({"quantization": "flat"}, 32, ["reindex --quantization flat"]),
        ({"m": 8}, 32, ["reindex --m 8"]),
        ({"shards": 2, "m": 8}, 32, ["reindex --shards 2 --m 8"]),
        ({"mapping": OWN}, 32, ["index diff --apply"]),
        ({"mapping": {"properties": {"tags": {"type": "text"}}}}, 32, ["reindex --mapping"]),
        ({}, 40, ["reindex --model there@7"]),
        (
            {"shards": 2, "replicas": 2},
            40,
            ["reindex --shards 2 --model there@7", "index diff --apply"],
        ),
    ],
)
def test_each_difference_has_its_command(
    index: dict[str, Any], dims: int, commands: list[str]
) -> None:
    engine, model = MemoryEngine(), {"name": "there", "revision": "7"}
    create_videos_index(engine, Settings().index, FakeEncoder().identity)
    settings = Settings(index=index, model=model)
    found = diff_videos_index(engine, settings.index, FakeEncoder(dims=dims).identity)
    assert found
    assert commands_for(found, settings) == tuple(f"vidsearch {one}" for one in commands)
    each = {command_for(one, settings) for one in found}
    assert {part.split()[1] for part in each} == {part.split()[0] for part in commands}


def test_without_a_difference_there_is_no_command() -> None:
    assert commands_for([], Settings()) == ()
