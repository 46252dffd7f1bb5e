"""The primary keys that rows have in the database after ``bulk_create``.

Where a row is there already, by columns that are unique, the database changes it and keeps its key.
Django leaves the key on the object that it was given, which then is of no row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.db.models import Q

from vidsearch.batches import in_batches
from vidsearch.contrib.django.keys import text_of_key
from vidsearch.error_texts import first_line, logger

__all__ = ["stored_keys"]

_log = logger(__name__)

_ROWS_IN_A_STATEMENT = 100
"""Each is a condition on several columns; databases limit how many a statement may have."""


def stored_keys(
    model: Any, rows: Sequence[Any], unique_fields: Sequence[str] | None, *, using: str
) -> list[Any]:
    """Of each row its key in the database; ``None`` where that is not known.

    What fails is logged, and no key is known then: the rows are written already.

    Args:
        model: of the rows.
        rows: that ``bulk_create(update_conflicts=True)`` has written.
        unique_fields: as it takes them; MySQL takes none.
        using: alias of the database.
    """
    try:
        with transaction.atomic(using=using):  # what fails in it leaves an outer one as it is
            return [*_stored_keys(model, rows, unique_fields, using=using)]
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:
        _log.warning(
            "the primary keys of %d rows of %s that bulk_create has written cannot be read: %s: %s",
            *(len(rows), model._meta.label, type(error).__name__, first_line(error)),
            exc_info=error,
        )
        return [None] * len(rows)


def _stored_keys(
    model: Any, rows: Sequence[Any], unique_fields: Sequence[str] | None, *, using: str
) -> Iterator[Any]:
    get_field, key = model._meta.get_field, model._meta.pk
    unique = [key if name == "pk" else get_field(name) for name in unique_fields or ()]
    if {*getattr(model._meta, "pk_fields", [key])}.issubset(unique):
        yield from (row.pk for row in rows)
        return
    stored = model._base_manager.using(using)
    for batch in in_batches(rows, _ROWS_IN_A_STATEMENT):
        given = [row.pk for row in batch if row.pk is not None]
        found = stored.filter(pk__in=given).values_list("pk", flat=True)
        known = {text_of_key(model, pk) for pk in found}
        kept = _kept_keys(stored, [row for row in batch if not _is_in(known, row)], unique)
        for row in batch:
            yield row.pk if _is_in(known, row) else kept.get(_values(row, unique))


def _is_in(known: set[str], row: Any) -> bool:
    return row.pk is not None and text_of_key(type(row), row.pk) in known


def _kept_keys(stored: Any, rows: Sequence[Any], unique: Sequence[Any]) -> dict[Any, Any]:
    """The keys of rows by the values of columns that are unique."""
    names = [field.attname for field in unique]
    wanted = Q()
    for row in rows if unique else ():
        values = {name: getattr(row, name) for name in names}
        # Rows with a NULL are not equal to each other: several may be there.
        if None not in values.values():
            wanted |= Q(**values)
    if not wanted:
        return {}
    found = stored.filter(wanted).values_list("pk", *names)
    return {_as_python(unique, values): pk for pk, *values in found}


def _values(row: Any, unique: Sequence[Any]) -> tuple[Any, ...]:
    return _as_python(unique, [getattr(row, field.attname) for field in unique])


def _as_python(fields: Sequence[Any], values: Sequence[Any]) -> tuple[Any, ...]:
    """As rows that are read have them; a row may be made with ``"7"`` for a number."""
    pairs = zip(fields, values, strict=True)
    return tuple(
        value if hasattr(value, "resolve_expression") else _hashable(field.to_python(value))
        for field, value in pairs
    )


def _hashable(value: Any) -> Any:
    """The text of a value of JSON, whose keys databases put in an order of their own."""
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, default=repr)
    return value
