"""Queries whose right videos are known: TREC qrels with topics, CSV or JSON lines.

======= ===========================================================================================
qrels   ``<query> <iteration> <video> <relevance>`` in each line, with the texts of the queries in
        a file of topics: ``<query><tab><text>`` in each line, or TREC's ``<top>`` elements
csv     columns ``query`` (the text), ``id`` (of the video), and, where there are grades,
        ``relevance``; a row for each right video
jsonl   ``{"query": "a dog runs", "relevant": ["v1", "v2"]}`` in each line, or
        ``{"query": …, "relevant": {"v1": 2, "v2": 1}}``
======= ===========================================================================================

A relevance is a whole number; 0 and less is not relevant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from vidsearch.errors import EvaluationError, VideoListError
from vidsearch.evaluation.formats import csv_rows, lines_in, text_of

__all__ = ["JudgedQuery", "read_judgements"]

_TOP = re.compile(r"<top>(.*?)</top>", re.DOTALL | re.IGNORECASE)
_NUMBER = re.compile(r"<num>\s*(?:Number:)?\s*([^\s<]+)", re.IGNORECASE)
_TITLE = re.compile(r"<title>\s*(?:Topic:)?\s*([^<]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class JudgedQuery:
    """A text that is searched for, and what it should find."""

    id: str
    text: str
    relevance: Mapping[str, int]
    """Of videos by id; from 1 where they are relevant, 0 where they are judged not to be."""


class _Judgement(NamedTuple):
    query: str
    """Id of the query, or its text where the file has no ids."""
    video: str
    relevance: int


def read_judgements(path: Path, topics: Path | None = None) -> tuple[JudgedQuery, ...]:
    """The queries of a file, in the order in which they first come.

    Args:
        path: ``.csv``, ``.jsonl``, or else qrels.
        topics: texts of the queries of qrels.

    Raises:
        EvaluationError: a file cannot be read as such, a query has no text, or none has a relevant
            video.
    """
    kind = path.suffix.lower()
    if (kind in {".csv", ".jsonl"}) == (topics is not None):
        wanted = "holds the texts itself: leave out --topics" if topics else "needs --topics"
        raise EvaluationError(f"{path} {wanted}")
    try:
        if kind == ".csv":
            judged = list(_csv(path))
        elif kind == ".jsonl":
            judged = list(_jsonl(path))
        else:
            judged = list(_qrels(path))
    except VideoListError as error:
        raise EvaluationError(str(error)) from error
    texts = None if topics is None else dict(_topics(topics))
    return tuple(_queries(judged, texts, path))


def _queries(
    judged: Iterable[_Judgement], texts: Mapping[str, str] | None, path: Path
) -> Iterator[JudgedQuery]:
    found: dict[str, dict[str, int]] = {}
    for query, video, relevance in judged:
        found.setdefault(query, {})[video] = max(0, relevance)
    found = {query: videos for query, videos in found.items() if any(videos.values())}
    if not found:
        raise EvaluationError(f"{path} names no relevant video for any query")
    for number, (query, videos) in enumerate(found.items(), start=1):
        if texts is None:
            yield JudgedQuery(str(number), query, videos)
        elif (text := texts.get(query)) is None:
            raise EvaluationError(f"the topics have no text for the query {query!r} of {path}")
        else:
            yield JudgedQuery(query, text, videos)


def _qrels(path: Path) -> Iterator[_Judgement]:
    for number, line in lines_in(text_of(path)):
        parts = line.split()
        if len(parts) != 4:
            raise EvaluationError(
                f"{path}, line {number}: query, iteration, video and relevance are expected, not "
                f"{line!r}"
            )
        yield _Judgement(parts[0], parts[2], _grade(parts[3], path, number))


def _topics(path: Path) -> Iterator[tuple[str, str]]:
    text = text_of(path)
    if "<top>" in text.lower():
        for element in _TOP.findall(text):
            number, title = _NUMBER.search(element), _TITLE.search(element)
            if number is None or title is None:
                raise EvaluationError(f"{path}: a <top> lacks <num> or <title>")
            yield number[1], " ".join(title[1].split())
        return
    for at, line in lines_in(text):
        query, tab, words = line.partition("\t")
        if not tab or not words.strip():
            raise EvaluationError(f"{path}, line {at}: query, tab and text are expected")
        yield query.strip(), words.strip()


def _csv(path: Path) -> Iterator[_Judgement]:
    for line, row in csv_rows(path, ("query", "id")):
        query, video = row["query"].strip(), row["id"].strip()
        if not video:
            raise EvaluationError(f"{path}, line {line}: id is empty")
        grade = row.get("relevance", "").strip() or "1"
        yield _Judgement(query, video, _grade(grade, path, line))


def _jsonl(path: Path) -> Iterator[_Judgement]:
    for number, line in lines_in(text_of(path)):
        where = f"{path}, line {number}"
        try:
            row: Any = json.loads(line)
        except ValueError as error:
            raise EvaluationError(f"{where} is no JSON: {error}") from error
        query = row.get("query") if isinstance(row, dict) else None
        right = row.get("relevant") if isinstance(row, dict) else None
        if not isinstance(query, str) or not query.strip() or not isinstance(right, (list, dict)):
            raise EvaluationError(f'{where}: {{"query": text, "relevant": [ids]}} is expected')
        grades = right if isinstance(right, dict) else dict.fromkeys(right, 1)
        for video, grade in grades.items():
            if not isinstance(video, str) or isinstance(grade, bool) or not isinstance(grade, int):
                raise EvaluationError(f"{where}: ids are texts, and relevances whole numbers")
            yield _Judgement(query.strip(), video, grade)


def _grade(text: str, path: Path, line: int) -> int:
    try:
        return int(text)
    except ValueError:
        raise EvaluationError(
            f"{path}, line {line}: the relevance is a whole number, not {text!r}"
        ) from None
