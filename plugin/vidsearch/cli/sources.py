"""The videos to register, and what the options say of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from vidsearch.errors import RegistryError
from vidsearch.file_names import composed
from vidsearch.registration import IdFrom, absolute_uri, stable_id
from vidsearch.registry import NewVideo

__all__ = ["from_files", "from_uris", "parse_columns", "parse_fields", "title_of"]


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


def parse_fields(pairs: Sequence[str], *, option: str = "--field ") -> dict[str, Any]:
    """Fields from ``name=value`` pairs. JSON numbers, booleans and lists keep their type; ``NaN``
    and ``Infinity`` are words.

    A repeated name makes a list. ``option`` is what an error calls them.
    """
    fields: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise click.UsageError(f"{option}{pair!r} must look like name=value")
        value = _value(text)
        if name in fields:
            before = fields[name]
            value = [*(before if isinstance(before, list) else [before]), value]
        fields[name] = value
    return fields


def _value(text: str) -> Any:
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (bool, int, float, list)) else text


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
