"""``vidsearch search``: videos by text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.errors import QueryError

if TYPE_CHECKING:
    from vidsearch.search import Hit, Level, Mode, SearchResult

__all__ = ["parse_conditions", "print_result", "search", "timecode"]

_CONDITION = re.compile(r"(?P<field>[^=<>]+?)\s*(?P<sign>>=|<=|=|>|<)\s*(?P<value>.*)", re.DOTALL)
_RANGES = {">=": "gte", "<=": "lte", ">": "gt", "<": "lt"}


@click.command()
@click.argument("text")
@click.option("-k", default=10, show_default=True, help="Number of videos.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "vector", "keyword"]),
    default="hybrid",
    show_default=True,
    help="Compare with what is seen, with the words, or both.",
)
@click.option(
    "--level",
    type=click.Choice(["segment", "video"]),
    default="segment",
    show_default=True,
    help="Score a video by its best moment, or as a whole.",
)
@click.option(
    "--filter",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="tags=sport, tags=a,b (one of them), year>=2020, or a JSON clause. Repeat: all must hold.",
)
@click.option("--min-cosine", type=float, help="Leave out what is less similar to the text.")
@click.option("--explain", is_flag=True, help="Show the score and rank in each leg.")
@click.option("--body", is_flag=True, help="Print the request bodies by leg; search nothing.")
@output.json_option
def search(
    text: str,
    k: int,
    mode: Mode,
    level: Level,
    conditions: tuple[str, ...],
    min_cosine: float | None,
    explain: bool,
    body: bool,
    as_json: bool,
) -> None:
    """Search videos by TEXT, such as "a dog runs on the beach"."""
    from vidsearch.search import VideoSearch

    filter = parse_conditions(conditions)
    with VideoSearch.from_settings(output.settings()) as videos:
        if body:
            output.print_json(videos.body(text, k=k, mode=mode, level=level, filter=filter))
            return
        result = videos.search(
            text, k=k, mode=mode, level=level, filter=filter, min_cosine=min_cosine
        )
    for warning in result.warnings:
        output.talk(f"Warning: {warning}")
    if as_json:
        output.print_json(result.to_dict())
    elif result.hits:
        print_result(result, explain=explain)
    if not result.hits:
        output.talk("No videos found; `vidsearch status` shows how many can be searched.")


def parse_conditions(conditions: Iterable[str]) -> list[dict[str, Any]]:
    """Filters from ``tags=a,b``, ``year>=2020`` or a JSON clause, one dict each.

    Raises:
        QueryError: not a condition; the message shows the forms.
    """
    return [_parse(condition.strip()) for condition in conditions]


def timecode(seconds: float) -> str:
    """``m:ss``, or ``h:mm:ss`` from an hour on, rounded to whole seconds."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _parse(condition: str) -> dict[str, Any]:
    if condition.startswith("{"):
        try:
            clause = json.loads(condition)
        except json.JSONDecodeError as error:
            raise QueryError(f"--filter {condition!r} is no JSON: {error}") from error
        assert isinstance(clause, dict)
        return clause
    match = _CONDITION.fullmatch(condition)
    if match is None or not match["value"].strip(", "):
        raise QueryError(
            f"--filter {condition!r} is no condition: write tags=sport, tags=a,b, year>=2020 "
            "or a JSON clause"
        )
    field, sign, value = match["field"].strip(), match["sign"], match["value"]
    if sign != "=":
        return {field: {_RANGES[sign]: value}}
    values = [part.strip() for part in value.split(",") if part.strip()]
    return {field: values if len(values) > 1 else values[0]}


def print_result(result: SearchResult, *, explain: bool) -> None:
    """The hits as a table; with ``explain`` the scores and ranks of each leg too."""
    columns = ["#", "id", "title", "score", "cosine", "moments"]
    right = ["#", "score", "cosine"]
    if explain:
        legs = list(result.hits[0].rank_per_leg)
        columns += ["bm25", *(f"{leg} rank" for leg in legs)]
        right += columns[-len(legs) - 1 :]
        output.talk(f"{result.index}, {result.mode}, {result.level} level, {result.took:.0f} ms")
    rows = [_row(rank, hit, explain=explain) for rank, hit in enumerate(result.hits, 1)]
    whole = ["id", "score", "cosine"] if explain else ["id", "score", "cosine", "moments"]
    output.print_table(columns, rows, right=right, whole=whole)


def _row(rank: int, hit: Hit, *, explain: bool) -> Sequence[Any]:
    # A line each on a terminal; in a pipe a table's cells are put on one line.
    moments = ",\n".join(
        f"{timecode(m.start)}–{timecode(m.end)} ({m.cosine:.2f})" for m in hit.moments
    )
    row: list[Any] = [
        rank,
        hit.id,
        hit.fields.get("title"),
        f"{hit.score:.4f}",
        _rounded(hit.cosine),
        moments or None,
    ]
    if explain:
        row += [_rounded(hit.bm25), *hit.rank_per_leg.values()]
    return row


def _rounded(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
