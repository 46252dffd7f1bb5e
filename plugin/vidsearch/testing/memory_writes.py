"""What a write does to an index of :class:`MemoryEngine`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from vidsearch.engines import Document, Json, Revision, Write
from vidsearch.engines.errors import RequestRejectedError, no_json
from vidsearch.engines.vectors import to_json
from vidsearch.errors import DocumentNotFoundError, VersionConflictError

__all__ = ["MemoryIndex", "apply_write", "as_json"]


@dataclass
class MemoryIndex:
    mapping: Json
    aliases: dict[str, Json] = field(default_factory=dict)
    settings: Json = field(default_factory=dict)
    documents: dict[str, Document] = field(default_factory=dict)
    seq_no: int = -1
    uuid: str = field(default_factory=lambda: uuid4().hex)


def as_json(value: Any) -> Any:
    # A real client serialises; so a value that is no JSON fails here as well, and no caller
    # shares an object with the store.
    return json.loads(to_json(value))


def apply_write(
    target: MemoryIndex, write: Write, version: int | None, *, index: str
) -> Revision | None:
    """Do one write; its revision, or ``None`` after a delete."""
    try:
        source = as_json(write.source or {})
    except TypeError as error:
        raise no_json(error, f"document {write.id!r}") from error
    stored = target.documents.get(write.id)
    rejected = f"index {index!r} rejected the request for document {write.id!r}"
    if stored is not None and (write.op == "create" or write.expect == "absent"):
        raise VersionConflictError(f"{rejected}: it exists already")
    if isinstance(write.expect, Revision) and (stored is None or stored.revision != write.expect):
        raise VersionConflictError(f"{rejected}: it has changed")
    before = (stored.version or 0) if stored else 0
    if version is not None and version < before:
        raise VersionConflictError(f"{rejected}: it has version {before}")
    if write.op == "delete":
        if target.documents.pop(write.id, None) is not None:
            target.seq_no += 1
        return None
    if write.op == "update":
        if stored is None:
            raise DocumentNotFoundError(f"{rejected}: there is none")
        source = _merged(stored.source, source)
    try:
        check(source, target.mapping)
    except RequestRejectedError as error:
        raise RequestRejectedError(f"{rejected}: {error}") from error
    target.seq_no += 1
    revision = Revision(target.seq_no, 1)
    number = before + 1 if version is None else version
    target.documents[write.id] = Document(write.id, source, revision, write.routing, number)
    return revision


def _merged(old: Json, new: Json) -> Json:
    merged = dict(old)
    for key, value in new.items():
        before = merged.get(key)
        both = isinstance(before, dict) and isinstance(value, dict)
        merged[key] = _merged(before, value) if both else value  # type: ignore[arg-type]
    return merged


def check(source: Mapping[str, Any], mapping: Mapping[str, Any], *, path: str = "") -> None:
    """Refuse an undeclared field in a strict object, and a vector of wrong dims."""
    properties = mapping.get("properties", {})
    for name, value in source.items():
        where = f"{path}{name}"
        declared = properties.get(name)
        if declared is None:
            if mapping.get("dynamic") in {"strict", "STRICT"}:
                raise RequestRejectedError(f"field {where!r} is not declared in a strict object")
            continue
        _check_value(value, declared, where)


def _check_value(value: Any, declared: Mapping[str, Any], where: str) -> None:
    dims = declared.get("dims", declared.get("dimension"))
    if dims is not None and value is not None:
        if len(value) != dims:
            raise RequestRejectedError(f"field {where!r} takes {dims} dims, not {len(value)}")
        if not any(value):
            raise RequestRejectedError(f"field {where!r} takes no zero vector")
    elif "properties" in declared and value is not None:
        for item in value if isinstance(value, list) else [value]:
            if not isinstance(item, Mapping):
                raise RequestRejectedError(f"field {where!r} is an object, not {item!r}")
            check(item, declared, path=f"{where}.")
