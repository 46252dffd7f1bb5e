"""The fields of a mapping, their types, and how they can be searched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from vidsearch_mappings.field_kinds import is_iso_date
from vidsearch_mappings.videos import SUBTITLES

__all__ = [
    "ANALYZED_TYPES",
    "OPEN_TYPES",
    "WORD_TYPES",
    "Field",
    "copied_to",
    "expand_fields",
    "find_field",
    "find_name",
    "has_doc_values",
    "longest_kept",
    "names_of",
    "nested_fields",
    "takes_iso_dates",
    "walk",
    "with_runtime",
]

WORD_TYPES = frozenset(
    {"text", "keyword", "constant_keyword", "match_only_text", "search_as_you_type", "wildcard"}
)
ANALYZED_TYPES = frozenset({"text", "match_only_text", "search_as_you_type"})
OPEN_TYPES = frozenset({"flattened", "flat_object"})
_WHOLE_WORDS = WORD_TYPES - ANALYZED_TYPES
_KEYWORD = ".keyword"


class Field(NamedTuple):
    """One field of a mapping."""

    path: str
    type: str
    exact: str | None
    """The path by which its exact value is found: itself, or a keyword subfield of a text; or
    none."""
    nested: str | None
    """Path of the nested object that it lies in, if any."""
    searchable: bool
    """Whether the engine can look for its values by this path; else it only brings them back."""
    target: str | None = None
    """Path of the field that it stands for, where the mapping has an ``alias``."""


def walk(properties: Mapping[str, Any]) -> Iterator[Field]:
    """Every field of a mapping, objects included, subfields not, in order of declaration.

    An ``alias`` has its own path, and all else of the field that it stands for.
    """
    for field in _walk(properties, prefix="", nested=None):
        yield _resolved(properties, field) if field.type == "alias" else field


def find_field(properties: Mapping[str, Any], path: str) -> Field | None:
    """The field at a dotted path, which may be a subfield or a key inside a flattened field.

    ``tags.keyword`` is ``tags`` where that is a keyword itself: by that subfield people know their
    texts from indices that an engine mapped.
    """
    found = find_name(properties, path)
    if found is not None or not path.endswith(_KEYWORD):
        return found
    keywords = (field for field in walk(properties) if field.type in _WHOLE_WORDS)
    return next((field for field in keywords if f"{field.path}{_KEYWORD}" == path), None)


def find_name(properties: Mapping[str, Any], path: str) -> Field | None:
    """The same, by the names that the engine itself knows: ``tags.keyword`` must be mapped."""
    return _find(properties, path, walk(properties))


def has_doc_values(properties: Mapping[str, Any], path: str) -> bool:
    """Whether the engine keeps the values at a path by document, and so can count and sort by them.

    ``path`` is of a field or a subfield; a key inside a flattened field is neither.
    """
    definition = _definition(properties, path)
    if definition is None:
        return False
    if definition.get("type") == "alias":
        return has_doc_values(properties, definition.get("path", ""))
    return bool(definition.get("doc_values", True) and definition.get("enabled", True))


def longest_kept(properties: Mapping[str, Any], path: str) -> int | None:
    """How many characters a text may have to be found as a whole at a path (``ignore_above``).

    ``None``: any number. A path inside a flattened field has the limit of that.
    """
    definition = _definition(properties, path)
    if definition is None:
        above = path.rpartition(".")[0]
        return longest_kept(properties, above) if above else None
    if definition.get("type") == "alias":
        return longest_kept(properties, definition.get("path", ""))
    most: int | None = definition.get("ignore_above")
    return most


def takes_iso_dates(properties: Mapping[str, Any], path: str) -> bool:
    """Whether a date field takes dates in ISO form, as engines do unless its format says else."""
    definition = _definition(properties, path) or {}
    if definition.get("type") == "alias":
        return takes_iso_dates(properties, definition.get("path", ""))
    return is_iso_date(definition)


def names_of(properties: Mapping[str, Any], path: str) -> frozenset[str]:
    """All names by which :func:`find_field` and engines know the field at a path: its own, those of
    subfields and of aliases."""
    fields: dict[str, str] = {}  # by each name the path of the field that it belongs to
    aliases: dict[str, str] = {}
    for field in walk(properties):
        if field.target is not None:
            aliases[field.path] = field.target
            continue
        subfields = _defined(properties, field, "fields", {})
        fields |= {f"{field.path}.{name}": field.path for name in subfields}
        fields[field.path] = field.path
    fields |= {alias: fields.get(target, target) for alias, target in aliases.items()}
    own = fields.get(path, path)
    names = {path} | {name for name, field in fields.items() if field == own}
    keywords = {f"{name}{_KEYWORD}" for name in names}
    unmapped = {name for name in keywords if find_name(properties, name) is None}
    return frozenset(names | {name for name in unmapped if find_field(properties, name)})


def copied_to(properties: Mapping[str, Any], copied: Callable[[str], bool]) -> frozenset[str]:
    """The paths to which the mapping copies the values of some fields (``copy_to``).

    Args:
        properties: of the mapping.
        copied: says of the path of a field whether it is one of them.
    """
    found: set[str] = set()
    for field in walk(properties):
        if field.target is None and copied(field.path):
            names = _defined(properties, field, "copy_to", ())
            found |= {names} if isinstance(names, str) else {*names}
    return frozenset(found)


def with_runtime(properties: Mapping[str, Any], runtime: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties of a mapping, and the fields that it computes in a search among them.

    A computed field hides a stored one of its name, as in the engine.
    """
    for name, definition in runtime.items():
        if "fields" in definition:  # of type composite
            definition = {"properties": definition["fields"]}
        elif definition.get("type") == "lookup":  # of another index; nothing finds by it
            definition = {**definition, "enabled": False}
        properties = _with(properties, name.split("."), definition)
    return properties


def _with(
    properties: Mapping[str, Any], path: Sequence[str], definition: Mapping[str, Any]
) -> dict[str, Any]:
    name, *rest = path
    if rest:
        inner = properties.get(name, {})
        definition = {**inner, "properties": _with(inner.get("properties", {}), rest, definition)}
    return {**properties, name: definition}


def expand_fields(
    properties: Mapping[str, Any], patterns: tuple[str, ...], *, hidden: str
) -> tuple[str, ...]:
    """The concrete fields of words behind ``("title^2", "meta.*", "*")``, with their boosts.

    The engine could expand ``*`` itself, but would then also look into the vidsearch object, where
    every video matches a query that happens to be the model's name. So a pattern passes over the
    object ``hidden``, but for the subtitles in it, and over anything that holds no words; a field
    named in full is taken if it exists. Neither takes one in a nested object (which of them are
    named in full, :func:`nested_fields` says), nor one that is only stored, nor one with a caret in
    its name, behind which the engine reads a boost. The first mention of a field decides its boost.
    A pattern that finds a field passes over aliases of it.
    """
    fields = [field for field in walk(properties) if field.searchable and "^" not in field.path]
    subtitles = f"{hidden}.{SUBTITLES}"
    found: dict[str, str] = {}
    for pattern in patterns:
        name, caret, boost = pattern.partition("^")
        if "*" not in name:
            field = find_field(properties, name)
            if field is not None and _has_words(field) and field.nested is None:
                found.setdefault(field.path, caret + boost)
            continue
        for field in fields:
            path = field.target or field.path
            is_hidden = path != subtitles and f"{path}.".startswith(f"{hidden}.")
            is_twice = path != field.path and (path in found or fnmatchcase(path, name))
            if (
                _has_words(field)
                and field.nested is None
                and not is_hidden
                and not is_twice
                and fnmatchcase(field.path, name)
            ):
                found.setdefault(field.path, caret + boost)
    return tuple(name + boost for name, boost in found.items())


def nested_fields(properties: Mapping[str, Any], patterns: tuple[str, ...]) -> tuple[str, ...]:
    """The fields of words that are named in full, and lie in a nested object: a query of words on
    the videos finds nothing in them."""
    names = (pattern.partition("^")[0] for pattern in patterns)
    fields = (find_field(properties, name) for name in names if "*" not in name)
    return tuple(
        field.path for field in fields if field and _has_words(field) and field.nested is not None
    )


def _has_words(field: Field) -> bool:
    return field.searchable and field.type in WORD_TYPES


def _find(properties: Mapping[str, Any], path: str, fields: Iterator[Field]) -> Field | None:
    for field in fields:
        if field.path == path:
            return field
        if not path.startswith(f"{field.path}."):
            continue
        if field.type in OPEN_TYPES:
            return Field(path, "keyword", field.exact and path, field.nested, field.searchable)
        subfields = _defined(properties, field, "fields", {})
        rest = path[len(field.path) + 1 :]
        if rest in subfields:
            kind, searchable = subfields[rest].get("type", "object"), _searchable(subfields[rest])
            exact = None if kind in ANALYZED_TYPES or not searchable else path
            return Field(path, kind, exact, field.nested, searchable)
    return None


def _resolved(properties: Mapping[str, Any], alias: Field) -> Field:
    target = _defined(properties, alias, "path", "")
    field = _find(properties, target, _walk(properties, prefix="", nested=None))
    if field is None:
        return alias
    exact = alias.path if field.exact == target else field.exact
    return field._replace(path=alias.path, exact=exact, target=target)


def _walk(properties: Mapping[str, Any], *, prefix: str, nested: str | None) -> Iterator[Field]:
    for name, definition in properties.items():
        path = f"{prefix}{name}"
        kind = definition.get("type", "object")
        searchable = _searchable(definition)
        exact = _exact(path, kind, definition, searchable=searchable)
        yield Field(path, kind, exact, nested, searchable)
        yield from _walk(
            definition.get("properties", {}),
            prefix=f"{path}.",
            nested=path if kind == "nested" else nested,
        )


def _exact(path: str, kind: str, definition: Mapping[str, Any], *, searchable: bool) -> str | None:
    if kind in {"object", "nested"}:
        return None
    if kind not in ANALYZED_TYPES:
        return path if searchable else None
    subfields: Mapping[str, Any] = definition.get("fields", {})
    for name, subfield in subfields.items():
        if subfield.get("type") == "keyword" and _searchable(subfield):
            return f"{path}.{name}"
    return None


def _searchable(definition: Mapping[str, Any]) -> bool:
    if not definition.get("index", True):
        # Both engines also look for exact values where they keep them for sorting.
        kept = definition.get("type") not in ANALYZED_TYPES
        return kept and bool(definition.get("doc_values", True))
    return bool(definition.get("enabled", True))


def _definition(properties: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    """What a mapping says of a field, or of a subfield; ``None`` where it has none of that path."""
    for name, definition in properties.items():
        if name == path:
            found: Mapping[str, Any] = definition
            return found
        # A name may have dots in it itself, where subobjects are switched off.
        if path.startswith(f"{name}."):
            inside = {**definition.get("fields", {}), **definition.get("properties", {})}
            below = _definition(inside, path[len(name) + 1 :])
            if below is not None:
                return below
    return None


def _defined(properties: Mapping[str, Any], field: Field, key: str, default: Any) -> Any:
    """What the definition of a field says by a key."""
    return (_definition(properties, field.path) or {}).get(key, default)
