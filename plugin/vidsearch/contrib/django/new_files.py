"""Files that a save writes to their storage, maybe under a name that was there before."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.files.base import File
from django.db.models import FileField, ImageField

__all__ = ["columns_of_new_files"]


def columns_of_new_files(row: Any, columns: Collection[str] | None) -> list[str]:
    """Of some columns of a row those whose files are written when it is saved; ``None`` are all.

    Pictures do not count. Of a file that ``FieldFile.save`` has written already nothing tells.
    """
    return [
        field.name
        for field in row._meta.concrete_fields
        if isinstance(field, FileField)
        and not isinstance(field, ImageField)
        and (columns is None or field.name in columns)
        and _is_new(vars(row).get(field.attname))
    ]


def _is_new(file: Any) -> bool:
    # A plain File becomes a FieldFile when the attribute is read, which need not have been.
    return isinstance(file, File) and not getattr(file, "_committed", False)
