"""Files that a save writes to their storage, maybe under a name that was there before."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from django.core.files.base import File
from django.db.models import FileField, ImageField

__all__ = ["file_columns", "forget_new_files", "note_new_files", "written_files"]

_NEW_FILES = "_vidsearch_new_files"
"""Attribute of a row: names of columns whose files a save writes, or has written, which nothing
else tells afterwards. It stays until they are registered: a save may fail when they are written."""


def file_columns(model: Any) -> set[str]:
    """Names of the columns that hold files, but for pictures."""
    return {
        field.name
        for field in model._meta.concrete_fields
        if isinstance(field, FileField) and not isinstance(field, ImageField)
    }


def note_new_files(row: Any, columns: Collection[str] | None) -> None:
    """Note before a save which files it will write, of some columns; ``None`` are all.

    Of a file that ``FieldFile.save`` has written already nothing tells.
    """
    names = file_columns(row) if columns is None else file_columns(row).intersection(columns)
    if new := {name for name in names if _is_new(vars(row).get(name))}:
        vars(row).setdefault(_NEW_FILES, set()).update(new)


def written_files(row: Any) -> set[str]:
    """Those columns that were noted, and whose files are written."""
    return {name for name in vars(row).get(_NEW_FILES, ()) if not _is_new(vars(row).get(name))}


def forget_new_files(row: Any, columns: Iterable[str]) -> None:
    """Their files are registered."""
    if noted := vars(row).get(_NEW_FILES):
        noted.difference_update(columns)


def _is_new(file: Any) -> bool:
    # A plain File becomes a FieldFile when the attribute is read, which need not have been.
    return isinstance(file, File) and not getattr(file, "_committed", False)
