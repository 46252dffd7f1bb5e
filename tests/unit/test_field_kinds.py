"""What fields take, as mappings and dynamic templates say."""

from __future__ import annotations

from typing import Any

import pytest

from vidsearch_mappings.field_kinds import field_kind, mapped_field, template_field

KEYWORD = {"type": "keyword"}


@pytest.mark.parametrize(
    ("definition", "kind"),
    [
        ({"type": "scaled_float", "scaling_factor": 100}, "number"),
        ({"type": "boolean"}, "boolean"),
        ({"type": "date"}, "date"),
        ({"type": "date", "format": "epoch_second || strict_date_optional_time"}, "date"),
        ({"type": "date", "format": "dd.MM.yyyy"}, "text"),
        (KEYWORD, "text"),
        ({"properties": {"a": {"type": "long"}}}, "text"),
    ],
)
def test_kind_of_a_definition(definition: dict[str, Any], kind: str) -> None:
    assert field_kind(definition) == kind


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("size", {"type": "long"}),
        ("camera.fov", {"type": "double"}),
        ("camera.lens", None),
        ("other", None),
        ("other.size", None),
        ("meta.any.code", {"type": "flattened"}),
        ("cast.name", KEYWORD),
    ],
)
def test_definition_of_a_field_by_its_name(name: str, found: dict[str, Any] | None) -> None:
    properties = {
        "size": {"type": "long"},
        "camera": {"properties": {"fov": {"type": "double"}}},
        "meta": {"type": "flattened"},
        "cast": {"type": "nested", "properties": {"name": KEYWORD}},
    }
    assert mapped_field(properties, name) == found


@pytest.mark.parametrize(
    ("rule", "names", "others"),
    [
        ({"match": "*_code"}, ["a_code", "meta.a_code"], ["a_codes", "a_code.x"]),
        ({"match": "*_code", "match_mapping_type": "string"}, ["a_code"], ["a"]),
        ({"match": ["*_code", "sku"]}, ["a_code", "sku"], ["a"]),
        ({"match": "c[0]*"}, ["c[0]x"], ["c0"]),
        ({"match": "v\\d+", "match_pattern": "regex"}, ["v12"], ["v", "xv1"]),
        ({"match": "(?<n>[", "match_pattern": "regex"}, [], ["n"]),
        ({"path_match": "meta.*"}, ["meta.a.b"], ["a.meta.b", "meta"]),
        ({"path_match": "meta.*", "path_unmatch": "*.id"}, ["meta.a"], ["meta.id"]),
        ({"match_mapping_type": "*", "unmatch": ["n_*"]}, ["a"], ["n_a"]),
        ({}, ["a"], []),
        ({"match": "*", "match_mapping_type": "string"}, [], ["a"]),
        ({"match_mapping_type": "string", "unmatch": "n_*"}, [], ["a", "n_a"]),
        ({"match": "meta*", "match_mapping_type": "object"}, [], ["meta_a"]),
    ],
)
def test_template_is_meant_for_the_fields_that_it_names_or_for_all_values(
    rule: dict[str, Any], names: list[str], others: list[str]
) -> None:
    templates = [{"one": {**rule, "mapping": KEYWORD}}]
    assert {name: template_field(templates, name) for name in [*names, *others]} == {
        **dict.fromkeys(names, KEYWORD),
        **dict.fromkeys(others),
    }


def test_first_template_counts_and_may_leave_the_type_to_the_value() -> None:
    first = {"match": "*_n", "mapping": {"type": "integer"}}
    assert template_field([{"a": first}, {"b": {"mapping": KEYWORD}}], "x_n") == first["mapping"]
    for mapping in ({"index": False}, {"type": "{dynamic_type}"}):
        rules = [{"a": {"match": "*_n", "mapping": mapping}}, {"b": {"mapping": KEYWORD}}]
        assert template_field(rules, "x_n") is None
