"""The files of captions that public data sets come with, and a plain CSV file.

======== ==========================================================================================
webvid   CSV with ``videoid``, ``name`` (the caption), ``page_dir`` and ``contentUrl``
msrvtt   the CSV of the 1k-A split (``video_id``, ``sentence``), or ``MSRVTT_data.json`` with
         ``videos`` and ``sentences``
msvd     text, ``<video> <caption>`` in each line, several lines per video; ``#`` begins a comment
didemo   JSON, a list of ``video`` and ``description``; the descriptions of a video make one
         paragraph, in the order of the file
plain    CSV with ``video`` (path or name) and ``caption``, several rows per video
======== ==========================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from vidsearch.errors import EvaluationError, VideoListError
from vidsearch.evaluation.pairs import CaptionRow, ListedVideo, Pairs
from vidsearch.registration.tables import open_table

__all__ = ["PairsFormat", "csv_rows", "lines_in", "read_keys", "read_pairs", "text_of"]

PairsFormat = Literal["webvid", "msrvtt", "msvd", "didemo", "plain"]


def read_pairs(path: Path, format: PairsFormat, *, split: str | None = None) -> Pairs:
    """The pairs of a file of captions.

    Args:
        path: of the file, UTF-8.
        format: of the file.
        split: of ``MSRVTT_data.json`` (``train``, ``validate``, ``test``); ``None`` takes all.

    Raises:
        EvaluationError: it cannot be read as that format, or holds no pair.
    """
    if format not in get_args(PairsFormat):
        known = ", ".join(get_args(PairsFormat))
        raise EvaluationError(f"there is no format {format!r} of captions; there are {known}")
    if split is not None and (format != "msrvtt" or path.suffix.lower() != ".json"):
        raise EvaluationError("only the JSON file of MSR-VTT says which split a video belongs to")
    try:
        rows = _msrvtt(path, split) if format == "msrvtt" else _READERS[format](path)
        return Pairs.of(rows)
    except VideoListError as error:
        raise EvaluationError(str(error)) from error


def read_keys(path: Path) -> set[str]:
    """The names of videos in a text file, one in each line.

    Raises:
        EvaluationError: it cannot be read, or names none.
    """
    keys = {line.strip() for _, line in lines_in(text_of(path))}
    if not keys:
        raise EvaluationError(f"{path} names no video")
    return keys


def _webvid(path: Path) -> Iterator[CaptionRow]:
    for _, row in csv_rows(path, ("videoid", "name")):
        key, folder = row["videoid"].strip(), row.get("page_dir", "").strip()
        names = [f"{folder}/{key}"] if folder else []
        names.append(key)
        with suppress(ValueError):  # a host that cannot be read: the file may have the key's name
            if url := row.get("contentUrl", ""):
                names.append(unquote(PurePosixPath(urlsplit(url).path).name))
        yield CaptionRow(ListedVideo(key, tuple(names)), row["name"])


def _msrvtt(path: Path, split: str | None) -> Iterator[CaptionRow]:
    if path.suffix.lower() != ".json":
        for _, row in csv_rows(path, ("video_id", "sentence")):
            yield CaptionRow(_named(row["video_id"].strip()), row["sentence"])
        return
    data = _json(path)
    if not isinstance(data, dict) or not {"videos", "sentences"} <= data.keys():
        raise EvaluationError(f"{path} is not as MSRVTT_data.json: it lacks videos or sentences")
    splits = {
        each["video_id"]: each.get("split")
        for each in _objects(data["videos"], path, ("video_id",))
    }
    if split is not None and split not in splits.values():
        known = ", ".join(sorted({str(each) for each in splits.values()}))
        raise EvaluationError(f"{path} has no split {split!r}; it has {known}")
    for each in _objects(data["sentences"], path, ("video_id", "caption")):
        if split is None or splits.get(each["video_id"]) == split:
            yield CaptionRow(_named(each["video_id"]), each["caption"])


def _msvd(path: Path) -> Iterator[CaptionRow]:
    for number, line in lines_in(text_of(path)):
        if line.startswith("#"):
            continue
        key, _, caption = line.strip().partition(" ")
        if not caption:
            raise EvaluationError(
                f"{path}, line {number}: a video and its caption are expected, not {line!r}"
            )
        yield CaptionRow(_named(key), caption)


def _didemo(path: Path) -> Iterator[CaptionRow]:
    paragraphs: dict[str, list[str]] = {}
    for each in _objects(_json(path), path, ("video", "description")):
        paragraphs.setdefault(each["video"], []).append(each["description"])
    for key, descriptions in paragraphs.items():
        names = (key, PurePosixPath(key).stem)
        yield CaptionRow(ListedVideo(key, names), " ".join(each.strip() for each in descriptions))


def _plain(path: Path) -> Iterator[CaptionRow]:
    for _, row in csv_rows(path, ("video", "caption")):
        yield CaptionRow(_named(row["video"].strip()), row["caption"])


_READERS: Mapping[str, Callable[[Path], Iterable[CaptionRow]]] = {
    "webvid": _webvid,
    "msvd": _msvd,
    "didemo": _didemo,
    "plain": _plain,
}


def _named(key: str) -> ListedVideo:
    return ListedVideo(key, (key,))


def csv_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a CSV file with at least these columns, each with its line.

    Raises:
        EvaluationError: it lacks a column, cannot be read, or the first column of a row is empty.
        VideoListError: it is no CSV file.
    """
    try:
        with path.open("rb") as file:
            table = open_table(file, "csv", name=str(path))
            missing = [each for each in columns if each not in (table.columns or ())]
            if missing:
                raise EvaluationError(
                    f"{path} has no column {' and no column '.join(map(repr, missing))}; it has "
                    f"{', '.join(table.columns or ()) or 'none'}"
                )
            for row in table.rows:
                if row.error is not None:
                    raise EvaluationError(f"{path}, line {row.line}: {row.error}")
                cells = {name: str(cell or "") for name, cell in row.cells.items()}
                if not cells.get(columns[0], "").strip():
                    raise EvaluationError(f"{path}, line {row.line}: {columns[0]} is empty")
                yield row.line, {**dict.fromkeys(columns, ""), **cells}
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error


def text_of(path: Path) -> str:
    """The text of a file.

    Raises:
        EvaluationError: it cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise EvaluationError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path} is not UTF-8: {error}") from error


def lines_in(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, each with its number.

    Other characters that end a line, such as U+2028, stand in captions that were copied from a page
    or a document, and in the texts of JSON.
    """
    return ((n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip())


def _json(path: Path) -> Any:
    try:
        return json.loads(text_of(path))
    except ValueError as error:
        raise EvaluationError(f"{path} is no JSON: {error}") from error


def _objects(data: Any, path: Path, names: tuple[str, ...]) -> Iterator[Mapping[str, str]]:
    if not isinstance(data, list):
        raise EvaluationError(f"{path}: a list of objects with {', '.join(names)} is expected")
    for number, each in enumerate(data, start=1):
        if not isinstance(each, dict) or not all(isinstance(each.get(n), str) for n in names):
            raise EvaluationError(
                f"{path}, entry {number}: an object with {' and '.join(names)} is expected"
            )
        yield each
