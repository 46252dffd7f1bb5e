"""Columns, relations and methods of a row as the fields of a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import ForeignObjectRel, Manager, QuerySet

from vidsearch.json_values import to_json_value

__all__ = ["document_of", "relations_of"]


def document_of(row: Any, names: Iterable[str]) -> dict[str, Any]:
    """Plain JSON values by the names of columns, relations and methods of a row."""
    relations = relations_of(type(row))
    document: dict[str, Any] = to_json_value(
        {name: _value(row, name, is_relation=name in relations) for name in names}
    )
    return document


def relations_of(model: Any) -> set[str]:
    """Names of the attributes that are other rows, also of relations that other models have."""
    return {
        (field.get_accessor_name() or "") if isinstance(field, ForeignObjectRel) else field.name
        for field in model._meta.get_fields()
        if field.is_relation
    }


def _value(row: Any, name: str, *, is_relation: bool) -> Any:
    try:
        value = getattr(row, name)
    except ObjectDoesNotExist:
        if is_relation:
            return None  # of one row that is not there
        raise
    if isinstance(value, Manager):
        value = value.all()
    elif callable(value):
        value = value()
    if isinstance(value, QuerySet):
        # Any order is another document each time, which would be written again.
        return list(value) if value.ordered else sorted(value, key=str)
    return list(value) if isinstance(value, Iterator) else value
