"""What an index says of its own vectors: the ``_meta.vidsearch`` of its mapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["LAYOUT", "IndexMeta", "MetaError", "index_meta", "read_meta"]

LAYOUT = 1
"""Version of the document layout; a change that old readers misread raises it."""

_KEY = "vidsearch"


class MetaError(ValueError):
    """The mapping holds no usable ``_meta.vidsearch``."""


@dataclass(frozen=True, slots=True)
class IndexMeta:
    """What ``_meta.vidsearch`` says."""

    model: dict[str, Any]
    """Identity of the encoder, as ``ModelIdentity.to_meta`` writes it."""
    layout: int
    quantization: str
    field: str
    """Name of the vidsearch object in every document."""
    segment_seconds: float
    uri_field: str | None = None
    """The user's field with a video's URI in an attached index; ``None`` in a managed one."""

    def values(self) -> dict[str, Any]:
        """Every field with its value, to make another of this class or of one below it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def index_meta(
    *,
    model: Mapping[str, Any],
    quantization: str,
    field: str,
    segment_seconds: float,
    uri_field: str | None = None,
) -> dict[str, Any]:
    """The ``_meta`` of a videos index: ``{"vidsearch": {…}}``.

    Args:
        model: identity of the encoder as JSON.
        quantization: a preset of :data:`~vidsearch_mappings.types.Quantization`.
        field: name of the vidsearch object.
        segment_seconds: length of a segment.
        uri_field: the user's field with a video's URI, in an attached index.
    """
    described: dict[str, Any] = {
        "layout": LAYOUT,
        "model": dict(model),
        "quantization": quantization,
        "field": field,
        "segment_seconds": float(segment_seconds),
    }
    if uri_field is not None:
        described["attached"] = {"uri_field": uri_field}
    return {_KEY: described}


def read_meta(mapping: Mapping[str, Any]) -> IndexMeta:
    """The inverse of :func:`index_meta`.

    Args:
        mapping: of the index, with ``_meta`` and ``properties``.

    Raises:
        MetaError: it is absent, malformed or of a newer layout.
    """
    meta = mapping.get("_meta")
    described = meta.get(_KEY) if isinstance(meta, Mapping) else None
    if not isinstance(described, Mapping):
        raise MetaError(f"its mapping has no _meta.{_KEY}")
    layout = _take(described, "layout", int)
    if layout > LAYOUT:
        raise MetaError(f"its layout is {layout}, this version of vidsearch knows up to {LAYOUT}")
    attached = _take(described, "attached", Mapping) if "attached" in described else None
    return IndexMeta(
        model=dict(_take(described, "model", Mapping)),
        layout=layout,
        quantization=_take(described, "quantization", str),
        field=_take(described, "field", str),
        segment_seconds=float(_take(described, "segment_seconds", (int, float))),
        uri_field=None if attached is None else _take(attached, "uri_field", str),
    )


def _take(meta: Mapping[str, Any], key: str, type_: type | tuple[type, ...]) -> Any:
    if key not in meta:
        raise MetaError(f"_meta.{_KEY}.{key} is missing")
    value = meta[key]
    if not isinstance(value, type_) or isinstance(value, bool):
        raise MetaError(f"_meta.{_KEY}.{key} is not usable: {value!r}")
    return value
