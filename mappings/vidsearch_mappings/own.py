"""The user's own field mappings for a managed index, checked before an engine sees them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidsearch_mappings.types import Json

__all__ = ["own_mapping"]

_PARTS = frozenset({"dynamic_templates", "properties"})


def own_mapping(given: Any, *, reserved: str) -> Json:
    """``properties``, and ``dynamic_templates`` where given, out of what a user wrote.

    Taken are ``{"properties": {…}}``, the same below ``mappings`` as an engine gives it back, the
    bare fields, JSON text of one of these, and the path of a JSON file with one of these. Text
    that begins with ``{`` is JSON, any other is a path.

    Args:
        given: as above.
        reserved: name of the vidsearch object, which is mapped by vidsearch.

    Raises:
        ValueError: no such file or shape; the message names what is wrong.
    """
    if isinstance(given, str) and given.lstrip().startswith("{"):
        try:
            return own_mapping(json.loads(given), reserved=reserved)
        except json.JSONDecodeError as error:
            raise ValueError(f"the text {given!r:.80} is no JSON: {error}") from error
    if isinstance(given, str | Path):
        return own_mapping(_read(Path(given)), reserved=reserved)
    if not isinstance(given, Mapping):
        raise ValueError(f'must be an object like {{"properties": {{…}}}}, not {given!r:.80}')
    if set(given) == {"mappings"}:
        return own_mapping(given["mappings"], reserved=reserved)
    if not _PARTS.intersection(given) and all(map(_is_field, given.values())):
        given = {"properties": given}
    if unknown := sorted(map(str, set(given) - _PARTS)):
        raise ValueError(
            f"takes `properties` and `dynamic_templates` only, not {', '.join(unknown)}: put "
            "fields below `properties`"
        )
    templates = given.get("dynamic_templates", [])
    if not isinstance(templates, list):
        raise ValueError(f"`dynamic_templates` must be a list, not {templates!r:.80}")
    fields = given.get("properties", {})
    _check_fields(fields, "properties")
    if taken := [name for name in fields if name.partition(".")[0] == reserved]:
        raise ValueError(
            f"the field {taken[0]!r} is the object that holds vidsearch's own data (setting "
            "index.field): leave it out"
        )
    return {"properties": dict(fields), **({"dynamic_templates": templates} if templates else {})}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"the file {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ValueError(f"the file {str(path)!r} is no JSON in UTF-8: {error}") from error


def _check_fields(fields: Any, path: str) -> None:
    if not isinstance(fields, Mapping):
        raise ValueError(f"`{path}` must be an object of fields, not {fields!r:.80}")
    for name, definition in fields.items():
        where = f"{path}.{name}"
        if not _is_field(definition):
            raise ValueError(
                f'`{where}` must be an object with a `type`, like {{"type": "double"}}, or with '
                f"`properties`, not {definition!r:.80}"
            )
        if "properties" in definition:
            _check_fields(definition["properties"], f"{where}.properties")


def _is_field(value: Any) -> bool:
    return isinstance(value, Mapping) and (
        isinstance(value.get("type"), str) or "properties" in value
    )
