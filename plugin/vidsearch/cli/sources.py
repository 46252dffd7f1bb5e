"""The videos to register: from URIs, a folder or a CSV file."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import click

from vidsearch.cli.folder import PassedOver, videos_below

__all__ = [
    "IdFrom",
    "Source",
    "from_csv",
    "from_folder",
    "from_uris",
    "parse_fields",
    "stable_id",
    "title_of",
]

IdFrom = Literal["uri", "name"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True, slots=True)
class Source:
    """One video to register."""

    id: str
    uri: str
    fields: Mapping[str, Any] = field(default_factory=dict)


def stable_id(uri: str, *, id_from: IdFrom = "uri") -> str:
    """The same id for the same uri, on every run and machine.

    Args:
        uri: of the video.
        id_from: ``uri`` gives a readable name and a hash of the whole URI; ``name`` gives the
            file's name without its suffix, for names that are known to be unique.
    """
    try:
        digest = hashlib.sha256(uri.encode()).hexdigest()[:12]
    except UnicodeEncodeError as error:
        from vidsearch.media import public_uri

        shown = public_uri(uri)
        raise click.UsageError(f"the name {shown!r} is not UTF-8: rename the file") from error
    path = unquote(urlsplit(uri).path) if _SCHEME.match(uri) else uri
    name = re.sub(r"[^\w.-]+", "-", PurePosixPath(path).stem).strip("-")
    if id_from == "name" and name:
        return name
    return f"{name[:80]}-{digest}" if name else digest


def from_uris(uris: Sequence[str], *, id_from: IdFrom, base: Path | None = None) -> list[Source]:
    """One source per URI. Paths become absolute, as workers have other working folders."""
    return [
        Source(stable_id(uri, id_from=id_from), uri)
        for uri in (_absolute(uri, base=base) for uri in uris)
    ]


def from_folder(
    folder: Path, *, id_from: IdFrom, passed: PassedOver, titles: bool = False
) -> list[Source]:
    """One source per video file of a folder; see :func:`videos_below`.

    ``titles`` gives each the field ``title``: the words of the file's name.
    """
    return [
        Source(
            stable_id(str(path), id_from=id_from),
            str(path),
            {"title": title} if titles and (title := title_of(path)) else {},
        )
        for path in videos_below(folder, passed)
    ]


def title_of(path: Path) -> str:
    """The words of a file's name: ``Harbour_at-dawn.mp4`` is titled ``Harbour at dawn``."""
    return " ".join(re.sub(r"[_.]+|(?<=\w)-(?=\w)", " ", path.stem).split())


def from_csv(path: Path, *, id_from: IdFrom) -> list[Source]:
    """Sources of a CSV file: columns ``uri``, optionally ``id``, and others, which become fields.

    Empty cells are left out. Paths are relative to the file's folder. ``;`` separates ``tags``.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_rows(csv.DictReader(file, strict=True), path=path, id_from=id_from))
    except (csv.Error, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} is no CSV file in UTF-8: {error}") from error


def _rows(reader: csv.DictReader[str], *, path: Path, id_from: IdFrom) -> Iterator[Source]:
    names = reader.fieldnames or []
    if "uri" not in names:
        raise click.UsageError(
            f"{path} has no column 'uri' in its first line (found: {', '.join(names) or 'nothing'})"
        )
    for row in reader:
        if None in row:
            raise click.UsageError(f"{path}, line {reader.line_num}: more cells than columns")
        cells = {name: cell for name, cell in row.items() if cell}
        if not cells:
            continue
        if "uri" not in cells:
            raise click.UsageError(f"{path}, line {reader.line_num}: the uri is empty")
        try:
            uri = _absolute(cells.pop("uri"), base=path.resolve().parent)
        except click.UsageError as error:
            where = f"{path}, line {reader.line_num}"
            raise click.UsageError(f"{where}: {error.message}") from error
        id = cells.pop("id", None) or stable_id(uri, id_from=id_from)
        fields: dict[str, Any] = dict(cells)
        if "tags" in fields:
            fields["tags"] = [tag.strip() for tag in cells["tags"].split(";") if tag.strip()]
        yield Source(id, uri, fields)


def parse_fields(pairs: Sequence[str], *, option: str = "--field ") -> dict[str, Any]:
    """Fields from ``name=value`` pairs. JSON numbers, booleans and lists keep their type.

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
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float, list)) else text


def _absolute(uri: str, *, base: Path | None) -> str:
    if _SCHEME.match(uri):
        return uri
    if not uri.strip():
        raise click.UsageError("a URI is empty: name a file, file://, http:// or https://")
    path = (base or Path.cwd()) / uri
    try:
        exists = path.exists()
    except OSError:  # the name is too long
        exists = False
    if not exists:
        raise click.UsageError(
            f"no such file: {uri} (give file:///… for a file that only the workers can see)"
        )
    if path.is_dir():
        raise click.UsageError(f"{uri} is a folder; use --folder {uri}")
    return str(path.resolve())
