"""``vidsearch search``: videos by text, image, clip, another video or a vector."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.facets import parse_facets, print_facets
from vidsearch.cli.options import file_or_uri, json_option
from vidsearch.cli.terminal import escaped
from vidsearch.config import load_settings
from vidsearch.errors import ModelUnavailableError, QueryError, SourceUnavailableError
from vidsearch.npy import load_npy

if TYPE_CHECKING:
    from vidsearch.search import Hit, SearchResult

__all__ = ["parse_conditions", "print_result", "search"]


@click.command()
@click.argument("text", required=False)
@click.option(
    "--image", type=file_or_uri, metavar="FILE", help="Search by an image: a path or a URL."
)
@click.option("--clip", type=file_or_uri, metavar="FILE", help="Search by a clip: a path or a URL.")
@click.option("--like", metavar="ID", help="Search for videos like the one with this id.")
@click.option(
    "--at",
    type=float,
    metavar="SECONDS",
    help="With --like: a time in that video, to search by its segment there.",
)
@click.option(
    "--vector",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    callback=lambda ctx, option, path: path and _read_vector(path),
    help="Search by a vector: a .npy file, or a JSON list.",
)
@click.option("-k", default=10, show_default=True, help="Number of hits.")
@click.option("--from", "from_", default=0, metavar="N", help="Skip the first N hits.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "vector", "keyword"]),
    help="Search what is seen (vector), the words of the fields (keyword), or both (hybrid); by "
    "default hybrid where TEXT is given, else vector.",
)
@click.option(
    "--level",
    type=click.Choice(["segment", "video", "both"]),
    default="segment",
    show_default=True,
    help="Score a video by its best segment, as a whole, or by the better of both.",
)
@click.option(
    "--fusion",
    type=click.Choice(["rrf", "linear", "sum", "native", "native_rrf"]),
    help="Fusion of a hybrid search; by default the setting search.fusion.",
)
@click.option(
    "--filter",
    multiple=True,
    metavar="CONDITION",
    callback=lambda ctx, option, conditions: parse_conditions(conditions),
    help="Condition on fields: tags=sport, tags=a,b (either), year>=2020, or a JSON clause. "
    "Repeat: all must hold.",
)
@click.option("--min-cosine", type=float, help="Minimum cosine of a hit.")
@click.option(
    "--gap", type=float, help="Maximum distance of a hit's cosine from that of the best hit."
)
@click.option(
    "--moments", default=3, show_default=True, help="Maximum number of moments per video."
)
@click.option(
    "--merge-gap",
    default=0.0,
    show_default=True,
    help="Maximum number of seconds between moments that are merged into one.",
)
@click.option(
    "--source",
    metavar="FIELD,…",
    callback=lambda ctx, option, value: _names(value),
    help="Return only these fields of the documents.",
)
@click.option("--highlight", is_flag=True, help="Show the matched words of the fields.")
@click.option(
    "--collapse",
    metavar="COSINE|FIELD",
    callback=lambda ctx, option, value: value and _number_or_name(value),
    help="Show one of the videos that are at least this similar, or share a value of this field.",
)
@click.option(
    "--diversity",
    type=float,
    help="How much hits should differ from each other, from 0 (not at all) to 1.",
)
@click.option(
    "--group-by",
    type=click.Choice(["video", "moment"]),
    default="video",
    show_default=True,
    help="What a hit is: a video with its moments, or a single moment.",
)
@click.option(
    "--sort",
    metavar="FIELD",
    help="Order the hits within the relevance cut by a field; -FIELD: greatest or newest first.",
)
@click.option(
    "--facet",
    "facets",
    multiple=True,
    metavar="FIELD[:INTERVAL]",
    callback=lambda ctx, option, values: parse_facets(values),
    help="Count the values of a field: tags, year:10 (by tens), recorded:month. Repeat for more.",
)
@click.option("--explain", is_flag=True, help="Show the score and rank in each leg.")
@click.option("--body", is_flag=True, help="Print the request bodies by leg; search nothing.")
@json_option
def search(
    text: str | None,
    body: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Search videos by TEXT, such as "a dog runs on the beach", by media or by a vector.

    With --image, --clip, --like or --vector, TEXT is looked for in the words of the fields only.
    """
    from vidsearch.search import VideoSearch

    if options["at"] is not None and options["like"] is None:
        raise QueryError("--at goes with --like: it is a time in that video")
    settings = load_settings()
    with _naming_options(), VideoSearch.from_settings(settings) as videos:
        if body:
            output.print_json(videos.body(text, **options))
            return
        result = videos.search(text, **options)
    for warning in result.warnings:
        output.talk(f"Warning: {warning}")
    if as_json:
        output.print_json(result.to_dict())
    elif result.hits:
        print_result(
            result,
            explain=options["explain"],
            first=options["from_"] + 1,
            tags=settings.search.highlight_tags,
        )
    if not result.hits:
        output.talk(_nothing(result, options))
    counted = options["facets"] or options["sort"] or options["group_by"] == "moment"
    if counted and result.total.value and not as_json:
        print_facets(result)


@contextmanager
def _naming_options() -> Iterator[None]:
    """Name the option in an error that begins with the argument of the library."""
    options = {option.name: option.opts[0] for option in search.params}
    try:
        yield
    except (QueryError, SourceUnavailableError, ModelUnavailableError) as error:
        message = str(error)
        argument = getattr(error, "argument", None) or message.partition(":")[0]
        if argument not in options or not message.startswith(argument):
            raise
        rest = message.removeprefix(argument)
        rest = f" {rest[1:]}" if rest.startswith("=") else rest
        raise type(error)(f"{options[argument]}{rest}") from error


def _nothing(result: SearchResult, options: Mapping[str, Any]) -> str:
    """The message where there are no hits, with the reason as far as it is known."""
    if options["from_"]:
        return f"No videos found beyond the first {options['from_']}: leave out --from."
    which = " that matches --filter" if options["filter"] else ""
    if result.mode == "keyword":
        reason = f"none{which} has these words; --mode vector compares with what is seen"
    elif options["min_cosine"] is not None:
        words = ", nor has these words" if result.mode == "hybrid" else ""
        threshold = f"--min-cosine {options['min_cosine']:g}"
        reason = f"none{which} reaches {threshold}{words}; without it the most similar are shown"
    elif which:
        reason = "none matches --filter"
    else:
        return "No videos found; `vidsearch status` shows how many can be searched."
    return f"No videos found: {reason}."


def _read_vector(path: Path) -> Any:
    if path.suffix == ".npy":
        return load_npy(path, error=QueryError)
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise QueryError(f"--vector {path} is neither a .npy file nor a JSON list: {error}") from (
            error
        )


def _names(value: str | None) -> list[str] | bool:
    return True if value is None else [name.strip() for name in value.split(",") if name.strip()]


def _number_or_name(value: str) -> float | str:
    try:
        return float(value)
    except ValueError:
        return value


def parse_conditions(conditions: Iterable[str]) -> list[dict[str, Any]]:
    """Filters from ``tags=a,b``, ``year>=2020`` or a JSON clause, one dict each.

    Raises:
        QueryError: not a condition; the message shows the forms.
    """
    return [_parse(condition.strip()) for condition in conditions]


def _parse(condition: str) -> dict[str, Any]:
    if condition.startswith("{"):
        try:
            clause = json.loads(condition)
        except json.JSONDecodeError as error:
            raise QueryError(f"--filter {condition!r} is no JSON: {error}") from error
        assert isinstance(clause, dict)  # or the text would not start with a brace
        return clause
    from vidsearch.search.conditions import parse_condition

    return parse_condition(condition, what="--filter", takes_json=True)


def print_result(
    result: SearchResult,
    *,
    explain: bool,
    first: int = 1,
    tags: tuple[str, str] = ("<em>", "</em>"),
) -> None:
    """The hits as a table; with ``explain`` the explanation of each below it.

    Args:
        result: what was found.
        explain: whether to show the scores and ranks of each leg.
        first: rank of the first hit.
        tags: what encloses a matched word in highlights.
    """
    columns = ["#", "id", "title", "score", "cosine", "moments"]
    right = ["#", "score", "cosine"]
    # A terminal has no room for them, and the explanations below tell the same.
    by_leg = explain and not sys.stdout.isatty()
    if by_leg:
        columns += ["bm25", *(f"{leg} rank" for leg in result.hits[0].rank_per_leg)]
    if explain:
        output.talk(f"{result.index}, {result.mode}, {result.level} level, {result.took:.0f} ms")
    rows = [_row(rank, hit, by_leg=by_leg) for rank, hit in enumerate(result.hits, first)]
    output.print_table(columns, rows, right=right, whole=["id", "score", "cosine", "moments"])
    output.talk_of(
        (str(rank), f"{escaped(hit.id)}{detail}")
        for rank, hit in enumerate(result.hits, first)
        for detail in _details_of(hit, tags)
    )


def _details_of(hit: Hit, tags: tuple[str, str]) -> Iterator[str]:
    if hit.explanation is not None:
        yield escaped(f": {hit.explanation}")
    for name, fragments in hit.highlights.items():
        for fragment in fragments:
            yield f", {escaped(name)}: {_marked(fragment, tags)}"
    if hit.duplicates:
        yield escaped(f": also {', '.join(hit.duplicates)}")


def _marked(fragment: str, tags: tuple[str, str]) -> str:
    """A highlight on one line; on a terminal the words that were found are bold."""
    if not sys.stderr.isatty():
        return " ".join(escaped(unescape(fragment)).split())
    # The text itself is in HTML: what looks like a tag is one.
    word = re.compile(f"{re.escape(tags[0])}(.*?){re.escape(tags[1])}", re.DOTALL)
    parts = [escaped(unescape(part)) for part in word.split(fragment)]
    parts[1::2] = [click.style(part, bold=True) for part in parts[1::2]]
    return " ".join("".join(parts).split())


def _row(rank: int, hit: Hit, *, by_leg: bool) -> Sequence[Any]:
    from vidsearch.search.timecode import timecode

    # A line each on a terminal; in a pipe a table's cells are put on one line.
    moments = ",\n".join(
        f"{timecode(m.start)}–{timecode(m.end)} ({m.cosine:.2f})" for m in hit.moments
    )
    row: list[Any] = [
        rank,
        hit.id,
        output.shortened(hit.fields.get("title")),
        f"{hit.score:.4f}",
        _rounded(hit.cosine),
        moments or None,
    ]
    if by_leg:
        row += [_rounded(hit.bm25), *hit.rank_per_leg.values()]
    return row


def _rounded(value: float | None) -> str | None:
    return None if value is None else f"{value:.3f}"
