"""What differs between a live index and the one that would be created now, and how to change it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from vidsearch_mappings.types import Json
from vidsearch_mappings.vectors import SEARCH_SETTINGS

__all__ = ["Change", "How", "diff_index", "flattened", "in_place"]

How = Literal["in place", "new index", "new vectors"]
"""``in place``: the live index takes it. ``new index``: only another index does, with the same
vectors. ``new vectors``: only another index does, with vectors of another model."""

# From what to what the type of `index_options` may be changed. Tried on Elasticsearch 8.19.21 and
# 9.5.3, which agree: only towards shorter vectors, and never from a graph back to none.
_INTO: dict[str, frozenset[str]] = {
    "flat": frozenset(
        {"int8_flat", "int4_flat", "bbq_flat", "hnsw", "int8_hnsw", "int4_hnsw", "bbq_hnsw"}
    ),
    "int8_flat": frozenset({"int4_flat", "bbq_flat", "hnsw", "int8_hnsw", "int4_hnsw", "bbq_hnsw"}),
    "int4_flat": frozenset({"bbq_flat", "hnsw", "int8_hnsw", "int4_hnsw", "bbq_hnsw"}),
    "bbq_flat": frozenset({"bbq_hnsw"}),
    "hnsw": frozenset({"int8_hnsw", "int4_hnsw", "bbq_hnsw"}),
    "int8_hnsw": frozenset({"int4_hnsw", "bbq_hnsw"}),
    "int4_hnsw": frozenset({"bbq_hnsw"}),
}
_DYNAMIC_SETTINGS = frozenset({"number_of_replicas", *SEARCH_SETTINGS})
_DYNAMIC_PARAMETERS = frozenset({"ignore_above", "dynamic"})
_DEFAULTS: Json = {
    "coerce": True,
    "doc_values": True,
    "dynamic": "true",
    "enabled": True,
    "format": "strict_date_optional_time||epoch_millis",
    "ignore_malformed": False,
    "index": True,
    "norms": True,
    "store": False,
    "type": "object",
}
"""What the engines leave out of a mapping that they give back."""


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs."""

    path: str
    """Dotted, from ``settings`` or ``mappings`` on."""
    live: Any
    """``None`` where it is absent."""
    wanted: Any
    how: How


def diff_index(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[Change, ...]:
    """Everything that is wanted and is not so, in the order of the wanted body.

    What the live index has beyond it is no difference: fields of the application, and values that
    the engine filled in.

    Args:
        live: ``settings`` (with ``index``) and ``mappings`` as the engine gives them back.
        wanted: the body of :func:`~vidsearch_mappings.videos_index`.
    """
    return tuple(_changes(live, wanted))


def in_place(
    live: Mapping[str, Any], wanted: Mapping[str, Any], changes: Sequence[Change]
) -> tuple[Json, Json]:
    """What brings about the changes that need no new index: bodies for the mapping and settings.

    A field of which something else needs a new index is left as it is. Either body may be empty.
    """
    mapping: Json = {}
    settings: Json = {}
    stuck = {_field_of(change.path) for change in changes if change.how != "in place"}
    for change in changes:
        if change.how != "in place":
            continue
        root, _, rest = change.path.partition(".")
        if root == "settings":
            settings[rest.removeprefix("index.")] = change.wanted
        elif rest.startswith("_meta."):
            meta = mapping.setdefault("_meta", copy.deepcopy(dict(live["mappings"]["_meta"])))
            *above, name = rest.split(".")[1:]
            _at(meta, above)[name] = change.wanted
        elif not rest.startswith("properties."):
            mapping[rest] = change.wanted
        elif (field := _field_of(change.path)) not in stuck:
            _copy(wanted["mappings"], field.split(".")[1:], mapping, whole=field == change.path)
    return mapping, settings


def _changes(live: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[Change]:
    had = flattened(live["settings"]["index"])
    for name, value in flattened(wanted["settings"]["index"]).items():
        if _plain(had.get(name)) != _plain(value):
            how: How = "in place" if name in _DYNAMIC_SETTINGS else "new index"
            yield Change(f"settings.index.{name}", had.get(name), value, how)
    want, have = wanted["mappings"], live["mappings"]
    for name, value in want.items():
        if name in {"_meta", "properties"}:
            continue
        default = _DEFAULTS.get(name)
        if _plain(have.get(name, default)) != _plain(value):
            yield Change(f"mappings.{name}", have.get(name), value, "in place")
    fields = tuple(
        _properties(have.get("properties", {}), want.get("properties", {}), "mappings.properties")
    )
    yield from fields
    vectors: How = (
        "new index" if any(change.how == "new index" for change in fields) else "in place"
    )
    yield from _meta(have.get("_meta", {}), want.get("_meta", {}), vectors)


def _meta(live: Mapping[str, Any], wanted: Mapping[str, Any], vectors: How) -> Iterator[Change]:
    had = flattened(live)
    for name, value in flattened(wanted).items():
        if had.get(name) == value:
            continue
        how: How = "new index"
        if name.startswith("vidsearch.model."):
            how = "new vectors"
        elif name == "vidsearch.quantization":
            how = vectors
        yield Change(f"mappings._meta.{name}", had.get(name), value, how)


def _properties(live: Mapping[str, Any], wanted: Mapping[str, Any], path: str) -> Iterator[Change]:
    for name, field in wanted.items():
        where = f"{path}.{name}"
        if name not in live:
            yield Change(where, None, field, "in place")
        else:
            yield from _field(live[name], field, where)


def _field(live: Mapping[str, Any], wanted: Mapping[str, Any], path: str) -> Iterator[Change]:
    for name, value in wanted.items():
        where = f"{path}.{name}"
        if name in {"properties", "fields"}:
            yield from _properties(live.get(name, {}), value, where)
        elif name == "index_options" and isinstance(value, Mapping):  # a text field has a word
            yield from _index_options(live.get(name, {}), value, where)
        elif isinstance(value, Mapping):
            had = flattened(live.get(name, {}))
            for inner, one in flattened(value).items():
                if _plain(had.get(inner)) != _plain(one):
                    yield Change(f"{where}.{inner}", had.get(inner), one, "new index")
        elif _plain(live.get(name, _default(name, live))) != _plain(value):
            how: How = "in place" if name in _DYNAMIC_PARAMETERS else "new index"
            yield Change(where, live.get(name), value, how)


def _index_options(
    live: Mapping[str, Any], wanted: Mapping[str, Any], path: str
) -> Iterator[Change]:
    had, want = flattened(live), flattened(wanted)
    same_type = had.get("type") == want["type"]
    grows = want.get("m", 0) >= had.get("m", 0)
    allowed = grows and (same_type or want["type"] in _INTO.get(had.get("type", ""), ()))
    for name, value in want.items():
        if had.get(name) != value:
            yield Change(
                f"{path}.{name}", had.get(name), value, "in place" if allowed else "new index"
            )


def _default(name: str, field: Mapping[str, Any]) -> Any:
    return False if (name, field.get("type")) == ("norms", "keyword") else _DEFAULTS.get(name)


def flattened(value: Mapping[str, Any], prefix: str = "") -> Json:
    """Dotted names with their values, as ``a.b`` for ``{"a": {"b": …}}``."""
    flat: Json = {}
    for name, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            flat |= flattened(inner, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = inner
    return flat


def _plain(value: Any) -> Any:
    """As the engines write a setting: numbers and truth values as text."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value if value is None else str(value).lower()


def _field_of(path: str) -> str:
    """The path of the innermost field, without the parameter of it that differs."""
    parts = path.split(".")
    end = 1
    while end + 1 < len(parts) and parts[end] in {"properties", "fields"}:
        end += 2
    return ".".join(parts[:end])


def _at(where: Json, names: Sequence[str]) -> Json:
    for name in names:
        where = where.setdefault(name, {})
    return where


def _copy(source: Mapping[str, Any], names: Sequence[str], target: Json, *, whole: bool) -> None:
    """One field of a mapping with what its parents need to be named."""
    for position, name in enumerate(names):
        source = source[name]
        if position == len(names) - 1:
            target.setdefault(name, {}).update(copy.deepcopy(dict(source)))
            if not whole:  # the fields of an object are changes of their own
                target[name].pop("properties", None)
            return
        target = target.setdefault(name, {})
        if source.get("type") == "nested":
            target["type"] = "nested"
        elif names[position + 1] == "fields":
            target.update({k: copy.deepcopy(v) for k, v in source.items() if k != "fields"})
