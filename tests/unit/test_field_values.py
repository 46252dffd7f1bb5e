"""Fields that an index does not take, or would change."""

from __future__ import annotations

from typing import Any

import pytest

from vidsearch.config import IndexSettings
from vidsearch.errors import (
    BackendError,
    BulkError,
    DocumentRejectedError,
    MappingConflictError,
    RequestTooLargeError,
)
from vidsearch.index import create_videos_index
from vidsearch.index.videos_index import open_videos_index
from vidsearch.ingest import update_fields
from vidsearch.ingest.field_values import refuse_changed_numbers
from vidsearch.registry import Registry, State
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

PROPERTIES = {
    "year": {"type": "long"},
    "size": {"type": "double"},
    "name": {"type": "keyword"},
    "camera": {"properties": {"fov": {"type": "integer"}}},
    "shots": {"type": "nested", "properties": {"n": {"type": "short"}}},
}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"year": 4.5}, "field 'year' is mapped as 'long', which would cut 4.5 to 4"),
        ({"year": [1, 2.5]}, "'year'.*2.5"),
        ({"year": "4.5"}, "'year'.*4.5"),
        ({"camera": {"fov": 90.5}}, r"'camera\.fov'.*90\.5"),
        ({"camera.fov": 90.5}, r"'camera\.fov'.*90\.5"),
        ({"shots": [{"n": 1}, {"n": 0.5}]}, r"'shots\.n'.*0\.5"),
        ({"size": 2**53 + 1}, "'size' is a `double`, which cannot keep 9007199254740993 exactly"),
        (
            {"size": "9007199254740993"},
            "'size' is a `double`, .* 9007199254740993 exactly: make an",
        ),
        ({"size": [" 4", "-9007199254740993 "]}, "'size'.*-9007199254740993"),
        ({"new": 2**53 + 1}, "'new'.* exactly: give it as text, or map"),
        ({"new": -(2**70)}, "'new'.*-1180591620717411303424"),
    ],
)
def test_number_that_would_change_is_refused_with_its_field(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(DocumentRejectedError, match=said):
        refuse_changed_numbers(fields, PROPERTIES)


def test_numbers_that_are_kept_are_taken() -> None:
    refuse_changed_numbers(
        {
            "year": [2024, 2024.0, "2024", 2**60, "n/a", "nan", "-inf", "1e400", None, True],
            "size": [4, 4.5, 2**53, 1e300, "4.5", "9007199254740992", "1e300", "n/a"],
            "name": [2**60, 4.5],
            "new": {"a": 1.5, "b": [{"c": 2}]},
            "camera": {"fov": 90, "other": 1.5},
        },
        PROPERTIES,
    )


def test_text_is_no_way_out_for_a_number_whose_field_is_a_double() -> None:
    with pytest.raises(DocumentRejectedError) as raised:
        refuse_changed_numbers({"size": 2**53 + 1}, PROPERTIES)
    assert "as text" not in str(raised.value)


def test_unmapped_number_is_taken_where_the_user_has_templates() -> None:
    refuse_changed_numbers(
        {"new_id": 2**60, "camera": {"id": 2**60}}, PROPERTIES, own_templates=True
    )
    for fields in ({"size": 2**60 + 1}, {"year": 4.5}):
        with pytest.raises(DocumentRejectedError):
            refuse_changed_numbers(fields, PROPERTIES, own_templates=True)


@pytest.mark.parametrize("own", [False, True])
def test_index_tells_whether_the_user_has_templates(own: bool) -> None:
    engine = MemoryEngine()
    template = {"ids": {"match": "*_id", "mapping": {"type": "long"}}}
    mapping = {"properties": {}, **({"dynamic_templates": [template]} if own else {})}
    settings = IndexSettings(name="videos", mapping=mapping)
    create_videos_index(engine, settings, FakeEncoder().identity)
    assert open_videos_index(engine, settings).own_templates is own


class Refusing(MemoryEngine):
    """Takes no document with the error that is set."""

    error: BackendError | None = None

    def put(self, index: str, id: str, source: Any, **options: Any) -> Any:
        if self.error and "video" in source:
            raise self.error
        return super().put(index, id, source, **options)

    def bulk(self, index: str, writes: Any, *, refresh: bool = False) -> Any:
        if self.error and any("video" in (write.source or {}) for write in writes):
            raise BulkError("refused", failures={write.id: self.error for write in writes})
        return super().bulk(index, writes, refresh=refresh)


class TestUpdate:
    SETTINGS = IndexSettings(name="videos", mapping={"properties": {"views": {"type": "long"}}})

    @pytest.fixture
    def engine(self) -> Refusing:
        engine = Refusing()
        create_videos_index(engine, self.SETTINGS, FakeEncoder().identity)
        return engine

    @pytest.fixture
    def registry(self, engine: Refusing) -> Registry:
        registry = Registry(engine, index=self.SETTINGS.registry)
        registry.register("a", uri="/a.mp4", fields={"views": 4})
        registry.complete(registry.claim("a", owner="w"))
        engine.put("videos", "a", {"views": 4, "video": {"uri": "/a.mp4", "vector": [1.0] * 32}})
        return registry

    @pytest.mark.parametrize("value", [4.5, (1, 4.5), "4.5"])
    def test_number_that_would_change_is_refused_and_nothing_is_stored(
        self, engine: Refusing, registry: Registry, value: Any
    ) -> None:
        index = open_videos_index(engine, self.SETTINGS)
        with pytest.raises(DocumentRejectedError, match=r"'views' is mapped as 'long'.*4\.5"):
            update_fields(registry, index, "a", {"views": value})
        assert registry.get("a").fields == {"views": 4}
        document = index.read("a")
        assert document is not None
        assert document.source["views"] == 4
        update_fields(registry, index, "a", {"views": 5})
        assert registry.get("a").fields == {"views": 5}

    @pytest.mark.parametrize(
        ("error", "advice"),
        [
            (MappingConflictError("type [long]"), r"\. The first value .* index\.mapping"),
            (MappingConflictError("metadata field"), "metadata field$"),
            (
                MappingConflictError("Limit of total fields [1000] has been exceeded"),
                r"exceeded\. Every name .*total_fields\.limit",
            ),
            (
                MappingConflictError("Limit of mapping depth [20] has been exceeded"),
                r"exceeded\. Register fields with fewer objects",
            ),
            (
                MappingConflictError("field [k] of type [keyword]: at least one immense term"),
                r"term\. A keyword has 32,766 bytes at most",
            ),
            (RequestTooLargeError("too large"), "too large, or no subtitles"),
        ],
    )
    def test_document_that_the_engine_refuses_is_explained(
        self, engine: Refusing, registry: Registry, error: BackendError, advice: str
    ) -> None:
        index = open_videos_index(engine, self.SETTINGS)
        engine.error = error
        with pytest.raises(DocumentRejectedError, match=advice):
            update_fields(registry, index, "a", {"views": 5})
        record = registry.get("a")
        assert (record.state, record.fields, record.due_at) == (State.INDEXED, {"views": 4}, None)
