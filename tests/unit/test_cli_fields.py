"""Fields that commands are given, in lists and options, as they are registered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click import Command
from click.testing import CliRunner
from tests.memory_stage import Stage

from vidsearch.cli.ingest import ingest
from vidsearch.cli.videos import videos
from vidsearch.config import IndexSettings
from vidsearch.index import create_videos_index
from vidsearch.registry import Registry
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

SKU = {"properties": {"sku": {"type": "keyword"}}}


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    engine, settings = MemoryEngine(), IndexSettings(mapping=SKU)
    create_videos_index(engine, settings, FakeEncoder().identity)
    stage = Stage(Registry(engine, index=settings.registry), engine)
    monkeypatch.setattr("vidsearch_tasks.Services", lambda: nullcontext(stage))
    yield stage
    stage.app.close()


def run(command: Command, *args: str) -> None:
    done = CliRunner().invoke(command, args)
    assert done.exit_code == 0, done.output


def fields(stage: Stage) -> dict[str, Any]:
    return {record.id: record.fields for record in stage.registry.scan()}


def test_options_stay_as_written_where_the_index_maps_the_field_as_text(stage: Stage) -> None:
    given = ["sku=1.10", "title=1917", "rating=1.10", 'code="1.10"', 'tags=["a", "b"]']
    args = ["https://h/a.mp4", "--id-from", "name"]
    run(ingest, *args, *(part for pair in given for part in ("--field", pair)))
    stored = {"sku": "1.10", "title": "1917", "rating": 1.1, "code": "1.10", "tags": ["a", "b"]}
    assert fields(stage) == {"a": stored}
    run(videos, "set", "a", "sku=12e4", 'title="2001"', "rating=4", "--unset", "code")
    changed = {"sku": "12e4", "title": "2001", "rating": 4, "tags": ["a", "b"]}
    assert fields(stage) == {"a": changed}


def test_lists_of_one_command_have_columns_of_one_type(stage: Stage, tmp_path: Path) -> None:
    one, two = tmp_path / "one.csv", tmp_path / "two.jsonl"
    one.write_text("id,uri,recorded,sku\na,https://h/a.mp4,2024-01-31,1.10\n")
    two.write_text(json.dumps({"id": "b", "uri": "https://h/b.mp4", "recorded": "unknown"}))
    run(ingest, "--csv", str(one), "--jsonl", str(two))
    assert fields(stage) == {
        "a": {"recorded": "2024-01-31", "sku": "1.10"},
        "b": {"recorded": "unknown"},
    }
    assert stage.open_index().kind_of("recorded") == "text"
