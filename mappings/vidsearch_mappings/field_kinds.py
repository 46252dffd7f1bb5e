"""What the fields of the user take, as a mapping and its dynamic templates say."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal

__all__ = [
    "NUMBER_TYPES",
    "FieldKind",
    "field_kind",
    "is_iso_date",
    "mapped_field",
    "template_field",
]

FieldKind = Literal["number", "boolean", "date", "text"]
"""``text`` stands for all types but the others: what they are given stays as it is written."""

NUMBER_TYPES = frozenset(
    {
        *("byte", "short", "integer", "long", "unsigned_long"),
        *("half_float", "float", "double", "scaled_float"),
    }
)
_DATE_TYPES = frozenset({"date", "date_nanos"})
_ISO_FORMATS = (
    *("strict_date_optional_time", "date_optional_time", "iso8601"),
    "strict_date_optional_time_nanos",
)
"""Formats of dates with and without a time of day."""
_OBJECTS = frozenset({"object", "nested"})


def is_iso_date(definition: Mapping[str, Any]) -> bool:
    """Whether a date field takes dates in ISO form, as engines do unless its format says else."""
    formats = str(definition.get("format") or _ISO_FORMATS[0]).split("||")
    return any(one.strip() in _ISO_FORMATS for one in formats)


def field_kind(definition: Mapping[str, Any]) -> FieldKind:
    """What a field takes. A date whose format is not ISO takes what is written that way."""
    type = definition.get("type")
    if type in NUMBER_TYPES:
        return "number"
    if type == "boolean":
        return "boolean"
    return "date" if type in _DATE_TYPES and is_iso_date(definition) else "text"


def mapped_field(properties: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    """The definition of a field; ``None`` where it is not mapped yet.

    Of a name below a field that holds no others, as ``meta.code`` where ``meta`` is ``flattened``,
    it is the definition of that field.
    """
    definition: Mapping[str, Any] = {"properties": properties}
    for part in name.split("."):
        if definition.get("type", "object") not in _OBJECTS:
            return definition
        below = definition.get("properties", {}).get(part)
        if below is None:
            return None
        definition = below
    return definition


def template_field(templates: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any] | None:
    """How the user's dynamic templates map a new field, whatever its first value is.

    ``None`` where they leave that to the value: none names the field, or takes values of all types.
    """
    rules = (rule for template in templates for rule in template.values())
    rule = next((rule for rule in rules if _takes(rule, name)), None)
    definition: Mapping[str, Any] = (rule or {}).get("mapping", {})
    type = definition.get("type", "{dynamic_type}")
    return None if type == "{dynamic_type}" else definition


def _takes(rule: Mapping[str, Any], name: str) -> bool:
    """Whether a template is meant for a field, not for one type of values in all fields."""
    types = _listed(rule.get("match_mapping_type", "*"))
    if {*types} <= {"object", "binary"}:
        return False
    is_regex = rule.get("match_pattern") == "regex"
    last = name.rpartition(".")[2]
    for prefix, text in (("", last), ("path_", name)):
        wanted, refused = _listed(rule.get(f"{prefix}match")), _listed(rule.get(f"{prefix}unmatch"))
        if wanted and not any(_matches(each, text, is_regex=is_regex) for each in wanted):
            return False
        if any(_matches(each, text, is_regex=is_regex) for each in refused):
            return False
    named = [*_listed(rule.get("match")), *_listed(rule.get("path_match"))]
    return "*" in types or any(each != "*" for each in named)


def _listed(value: Any) -> Sequence[str]:
    if value is None:
        return ()
    return [value] if isinstance(value, str) else value


def _matches(pattern: str, text: str, *, is_regex: bool) -> bool:
    if not is_regex:
        pattern = re.escape(pattern).replace(r"\*", ".*")
    with suppress(re.error):  # of Java's, which has more
        return re.fullmatch(pattern, text, re.DOTALL) is not None
    return False
