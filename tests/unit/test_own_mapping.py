"""The user's own field mappings: what is taken, what is refused, and what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vidsearch.config import IndexSettings, load_settings
from vidsearch.errors import ConfigError
from vidsearch.index import create_videos_index
from vidsearch.index.diff import apply_changes, diff_videos_index
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_mappings.own import own_mapping

IDENTITY = FakeEncoder().identity
FIELDS = {"rating": {"type": "half_float"}, "camera": {"properties": {"fov": {"type": "byte"}}}}
TEMPLATES = [{"codes": {"match": "*_code", "mapping": {"type": "keyword"}}}]


@pytest.mark.parametrize(
    "given",
    [
        {"properties": FIELDS},
        {"mappings": {"properties": FIELDS}},
        FIELDS,
    ],
    ids=["properties", "as the engine gives it back", "bare fields"],
)
def test_every_usual_shape_is_taken(given: Any, tmp_path: Path) -> None:
    assert own_mapping(given, reserved="video") == {"properties": FIELDS}
    path = tmp_path / "mapping.json"
    path.write_text(json.dumps(given))
    assert own_mapping(str(path), reserved="video") == {"properties": FIELDS}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], r"must be an object like .*properties.*, not \[\]"),
        ({"properties": []}, "`properties` must be an object of fields"),
        ({"properties": {"a": "keyword"}}, r"`properties\.a` must be .* with a `type`.*'keyword'"),
        ({"properties": {"a": {"index": False}}}, r"`properties\.a` must be"),
        (
            {"properties": {"a": {"properties": {"b": 1}}}},
            r"`properties\.a\.properties\.b` must be .*not 1",
        ),
        ({"properties": {}, "_source": {"enabled": False}}, "not _source"),
        ({"properties": {}, "settings": {}}, "not settings"),
        ({"rating": "double"}, "not rating: put fields below `properties`"),
        ({"dynamic_templates": {}}, "`dynamic_templates` must be a list"),
        ({"properties": {"video": {"type": "object"}}}, r"'video' is the object .*index\.field"),
        ({"properties": {"video.x": {"type": "long"}}}, r"'video\.x' is the object"),
        ("/no/such.json", r"'/no/such\.json' cannot be read: No such file"),
    ],
)
def test_other_shapes_are_refused_by_name(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){said}"):
        own_mapping(given, reserved="video")


def _inline(value: Any) -> str:
    """A dict as an inline table of TOML."""
    if not isinstance(value, dict):
        return json.dumps(value)
    return f"{{{', '.join(f'{name} = {_inline(one)}' for name, one in value.items())}}}"


def test_setting_takes_json_or_a_file_and_names_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.json").write_text(json.dumps({"properties": FIELDS}))
    for value in ("m.json", json.dumps(FIELDS)):
        monkeypatch.setenv("VIDSEARCH_INDEX__MAPPING", value)
        assert load_settings().index.mapping == {"properties": FIELDS}
    monkeypatch.delenv("VIDSEARCH_INDEX__MAPPING")
    for value in (FIELDS, json.dumps(FIELDS), f"\n {json.dumps({'properties': FIELDS})}", "m.json"):
        assert load_settings(index={"mapping": value}).index.mapping == {"properties": FIELDS}
        lines = json.dumps(value) if isinstance(value, str) else _inline(value)
        (tmp_path / "vidsearch.toml").write_text(f"[index]\nmapping = {lines}\n")
        assert load_settings().index.mapping == {"properties": FIELDS}
    (tmp_path / "vidsearch.toml").unlink()
    with pytest.raises(ConfigError, match=r"index\.mapping: the text .* is no JSON"):
        load_settings(index={"mapping": "{'a': 1}"})
    monkeypatch.setenv("VIDSEARCH_INDEX__MAPPING", "m.json")
    monkeypatch.setenv("VIDSEARCH_INDEX__FIELD", "camera")
    with pytest.raises(ConfigError, match=r"setting index\.mapping: the field 'camera' is"):
        load_settings()
    (tmp_path / "m.json").write_text("{")
    with pytest.raises(ConfigError, match=r"index\.mapping: the file 'm\.json' is no JSON"):
        load_settings(index={"mapping": "m.json"})


def test_own_mapping_is_created_compared_and_added_in_place() -> None:
    engine, plain = MemoryEngine(), IndexSettings(name="videos")
    create_videos_index(engine, plain, IDENTITY)
    own = {"properties": {**FIELDS, "tags": {"type": "text"}}, "dynamic_templates": TEMPLATES}
    settings = IndexSettings(name="videos", mapping=own)
    changes = {c.path: c.how for c in diff_videos_index(engine, settings, IDENTITY)}
    assert changes == {
        "mappings.dynamic_templates": "in place",
        "mappings.properties.rating": "in place",
        "mappings.properties.camera": "in place",
        "mappings.properties.tags.type": "new index",
    }
    left = apply_changes(engine, settings, IDENTITY)
    assert [change.path for change in left] == ["mappings.properties.tags.type"]
    mapping = engine.mapping("videos")
    assert mapping["properties"]["rating"] == {"type": "half_float"}
    assert mapping["dynamic_templates"][0] == TEMPLATES[0], "the user's own come first"
    assert len(mapping["dynamic_templates"]) > 1

    fresh = MemoryEngine()
    create_videos_index(fresh, settings, IDENTITY)
    assert diff_videos_index(fresh, settings, IDENTITY) == ()
    assert fresh.mapping("videos")["properties"]["tags"] == {"type": "text"}
