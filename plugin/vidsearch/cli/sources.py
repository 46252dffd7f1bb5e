"""The videos to register, and what the options say of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from vidsearch.errors import RegistryError
from vidsearch.file_names import composed
from vidsearch.registration import IdFrom, absolute_uri, stable_id
from vidsearch.registry import NewVideo
from vidsearch_mappings.field_kinds import FieldKind

__all__ = ["field_values", "from_files", "from_uris", "parse_columns", "parse_fields", "title_of"]


def from_uris(uris: Sequence[str], *, id_from: IdFrom) -> list[NewVideo]:
    """One video per URI; one that is registered already keeps its fields. Paths become absolute, as
    workers have other working folders."""
    try:
        return [NewVideo(stable_id(uri, id_from=id_from), uri) for uri in map(absolute_uri, uris)]
    except RegistryError as error:
        raise click.UsageError(str(error)) from error


def from_files(paths: Iterable[Path], *, id_from: IdFrom, titles: bool = False) -> list[NewVideo]:
    """One video per file; ``titles`` gives each the words of its name as the field ``title``. One
    that is registered already keeps its title, and its other fields."""
    return [
        NewVideo(
            stable_id(str(path), id_from=id_from),
            str(path),
            defaults={"title": title} if titles and (title := title_of(path)) else None,
        )
        for path in paths
    ]


def title_of(path: Path) -> str:
    """The words of a file's name: ``Harbour_at-dawn.mp4`` is titled ``Harbour at dawn``.

    In composed letters (NFC), as people type them: file systems of Macs take letters and accents
    apart, and no search for ``é`` finds an ``e`` with an accent behind it.
    """
    stem = composed(path.stem)
    return " ".join(re.sub(r"[_.]+|(?<=\w)-(?=\w)", " ", stem).split())


def parse_fields(pairs: Sequence[str], *, option: str = "--field ") -> dict[str, list[str]]:
    """The texts of ``name=value`` pairs by name. ``option`` is what an error calls them."""
    texts: dict[str, list[str]] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{option}{pair!r} must look like name=value")
        texts.setdefault(name, []).append(text)
    return texts


def field_values(
    texts: Mapping[str, Sequence[str]], *, kind_of: Callable[[str], FieldKind | None]
) -> dict[str, Any]:
    """Fields from the texts of :func:`parse_fields`. Several of one name make a list.

    A value is read as JSON where it is a number, true, false, a list or a quoted text. Numbers,
    true and false stay as written where the index takes texts: ``1.10`` may be a code. ``NaN`` and
    ``Infinity`` are words.

    Args:
        texts: by name.
        kind_of: says what the index takes in a field.
    """
    fields: dict[str, Any] = {}
    for name, given in texts.items():
        first, *rest = (_value(text, kind_of(name)) for text in given)
        for each in rest:
            first = [*(first if isinstance(first, list) else [first]), each]
        fields[name] = first
    return fields


def _value(text: str, kind: FieldKind | None) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        return text
    if isinstance(value, (str, list)):
        return value
    return value if isinstance(value, (bool, int, float)) and kind != "text" else text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    """A number; codes such as ``12e450`` are beyond all numbers."""
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is beyond all numbers")
    return number


def parse_columns(pairs: Sequence[str]) -> dict[str, str]:
    """Fields by column from ``column=field`` pairs; a field may be empty."""
    columns: dict[str, str] = {}
    for pair in pairs:
        column, sign, field = pair.rpartition("=")
        if not sign or not column:
            raise click.UsageError(f"--map {pair!r} must look like column=field")
        columns[column] = field
    return columns
