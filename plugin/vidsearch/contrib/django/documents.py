"""Columns, relations and methods of a row as the fields of a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from datetime import timedelta
from decimal import Decimal
from math import isfinite
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.db import router
from django.db.models import (
    ForeignObject,
    ForeignObjectRel,
    Manager,
    ManyToManyField,
    Prefetch,
    QuerySet,
)

from vidsearch.json_values import to_json_value

__all__ = ["columns_of", "document_of", "relations_of", "with_relations_as_written"]


def document_of(row: Any, names: Iterable[str]) -> dict[str, Any]:
    """Plain JSON values by the names of columns, relations and methods of a row."""
    relations = relations_of(type(row))
    values = {name: _value(row, name, is_relation=name in relations) for name in names}
    document: dict[str, Any] = to_json_value(_with_numbers(values))
    return document


def columns_of(model: Any, name: str) -> set[str] | None:
    """Names of the columns that a field of the document comes from; ``None``: any may be one."""
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    # By attribute: the class can be imported only where the project has content types.
    if hasattr(field, "fk_field"):
        own = [columns_of(model, each) or () for each in (field.ct_field, field.fk_field)]
        return {field.name}.union(*own)
    if field.concrete:
        # What makes a generated column (of Django 5) is known to the database alone.
        return None if getattr(field, "generated", False) else {field.name, field.attname}
    if field.is_relation:
        link = field.path_infos[0].join_field
        if isinstance(link, ForeignObjectRel):  # other rows point to these columns
            return {each.name for each in link.field.foreign_related_fields}
    return None


def relations_of(model: Any) -> set[str]:
    """Names of the attributes that are other rows, also of relations that other models have."""
    return {
        (field.get_accessor_name() or "") if isinstance(field, ForeignObjectRel) else field.name
        for field in model._meta.get_fields()
        if field.is_relation
    }


def with_relations_as_written(rows: Any, *, using: str) -> Any:
    """A queryset whose prefetches by name read the databases that the rows are written to: those
    that routers read from may lag behind."""
    model, lookups = rows.model, rows._prefetch_related_lookups
    own = router.db_for_write(model)
    managers = {}
    for field in model._meta.get_fields():
        other = field.related_model
        if not field.is_relation or other is None:  # a GenericForeignKey has the row's database
            continue
        is_reverse = isinstance(field, ForeignObjectRel)
        # Managers of other packages, such as those of tags, take no queryset.
        if not isinstance(field.field if is_reverse else field, (ForeignObject, ManyToManyField)):
            continue
        is_single = field.many_to_one or field.one_to_one
        managers[field.get_accessor_name() if is_reverse else field.name] = (
            other._base_manager if is_single else other._default_manager
        )
    read = []
    seen: set[str] = set()  # of these Django takes no other queryset
    for each in lookups:
        path = each if isinstance(each, str) else each.prefetch_to
        manager = managers.get(each) if isinstance(each, str) and each not in seen else None
        parts = path.split("__")
        seen.update("__".join(parts[: number + 1]) for number in range(len(parts)))
        if manager is None:
            read.append(each)
        else:
            alias = router.db_for_write(manager.model) if using == own else using
            read.append(Prefetch(each, manager.using(alias)))
    return rows.prefetch_related(None).prefetch_related(*read)


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


def _with_numbers(value: Any) -> Any:
    """Decimals and durations as numbers, which engines sort, count and compare, unlike texts."""
    if isinstance(value, Decimal):
        return _number(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Mapping):
        return {key: _with_numbers(each) for key, each in value.items()}
    if isinstance(value, Set):  # another order in each process would be another document
        value = sorted(value, key=str)
    if isinstance(value, (list, tuple)):
        return [_with_numbers(each) for each in value]
    return value


def _number(value: Decimal) -> float | Decimal | None:
    """A float, so that one field has one type in all documents; the decimal, which becomes a text,
    where no float is as large."""
    if not value.is_finite():
        return None
    number = float(value)
    return number if isfinite(number) else value
