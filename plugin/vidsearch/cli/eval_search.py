"""``vidsearch eval search``: judged searches of a live index, by leg and by fusion."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option, report_option
from vidsearch.config import load_settings
from vidsearch.errors import EvaluationError

if TYPE_CHECKING:
    from vidsearch.config import FusionName, Settings
    from vidsearch.evaluation.judgements import JudgedQuery
    from vidsearch.evaluation.searches import Found, Legs, SearchRow
    from vidsearch.evaluation.tuning import Tuning
    from vidsearch.search import VideoSearch

__all__ = ["search"]

_SHOWN = 5


@click.command()
@click.option(
    "--judgements",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Which videos queries should find: .csv (query, id, relevance), .jsonl (query, "
    "relevant), or TREC qrels.",
)
@click.option(
    "--topics",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="With qrels: texts of the queries, with a tab after their number, or TREC topics.",
)
@click.option(
    "-k", default=10, show_default=True, type=click.IntRange(min=1), help="Hits that count."
)
@click.option(
    "--level",
    type=click.Choice(["segment", "video", "both"]),
    default="segment",
    show_default=True,
    help="Level of the vector leg.",
)
@click.option(
    "--native",
    "native",
    multiple=True,
    type=click.Choice(["sum", "native", "native_rrf"]),
    help="Measure a fusion of the engine as well; repeat for more.",
)
@click.option(
    "--tune", "tunes", is_flag=True, help="Find the fusion, weights and normalizer that do best."
)
@click.option(
    "--folds",
    default=5,
    show_default=True,
    type=click.IntRange(2, 100),
    help="With --tune: parts of the cross-validation.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of parts, intervals and tests.")
@report_option
@json_option
def search(
    judgements: Path,
    topics: Path | None,
    k: int,
    level: Any,
    native: tuple[FusionName, ...],
    tunes: bool,
    folds: int,
    seed: int,
    report: Path | None,
    as_json: bool,
) -> None:
    """Measure searches of the index by judged queries: nDCG, recall, MRR and success.

    The rows are the vector leg, the keyword leg and each fusion with the weights of the settings.
    Below a figure stands its interval: 95 % of bootstrap samples of the queries. The difference of
    nDCG from the first row has a paired permutation test. --json has the values of each query.

    --tune chooses settings on some of the queries and measures them on the others, and says where
    the difference from the present settings is noise.
    """
    from vidsearch.evaluation.judgements import read_judgements
    from vidsearch.evaluation.measures import require_measures
    from vidsearch.evaluation.searches import search_legs, search_rows
    from vidsearch.search import VideoSearch

    require_measures()
    settings = load_settings()
    if k > settings.search.window:
        raise EvaluationError(
            f"-k {k} asks for more hits than a fusion ranks, which are {settings.search.window} "
            "(setting search.window)"
        )
    queries = read_judgements(judgements, topics)
    missing = _missing(settings, queries)
    with VideoSearch.from_settings(settings) as videos:
        with output.progress("queries", total=len(queries)) as done:
            window = settings.search.window
            legs = search_legs(videos, queries, window=window, level=level, progress=done)
        found = _found(videos, queries, legs, settings, native, k, level)
        rows = list(search_rows(queries, found, k=k, seed=seed))
    tuning = _tuned(queries, legs, settings, k, folds, seed) if tunes else None
    if report is not None:
        from vidsearch.evaluation.search_report import search_page

        search_page(queries, rows, tuning, index=settings.index.name).write(report)
        output.talk(f"wrote {report}")
    if as_json:
        output.print_json(_to_dict(queries, rows, tuning, missing, k, seed))
        return
    _print(rows)
    if tuning is not None:
        _print_tuning(tuning)


def _missing(settings: Settings, queries: Sequence[JudgedQuery]) -> list[str]:
    """Relevant videos that the index lacks, which are told, as no search can find them."""
    from vidsearch.engines import connect

    relevant = {id for query in queries for id, grade in query.relevance.items() if grade}
    engine = connect(settings.engine)
    try:
        there = engine.mget(settings.index.name, sorted(relevant), source=False)
    finally:
        engine.close()
    missing = sorted(relevant - there.keys())
    if missing:
        first = ", ".join(missing[:_SHOWN])
        output.talk(
            f"{len(missing)} of {len(relevant)} relevant videos are not in the index, and count "
            f"as not found: {first}{', …' if len(missing) > _SHOWN else ''}"
        )
    return missing


def _found(
    videos: VideoSearch,
    queries: Sequence[JudgedQuery],
    legs: Sequence[Legs],
    settings: Settings,
    native: Sequence[FusionName],
    k: int,
    level: Any,
) -> Iterator[Found]:
    from vidsearch.evaluation.searches import Found, fuse, fusions_of, search_natively

    for leg in legs[0]:
        yield Found(leg, [[hit.id for hit in each[leg]] for each in legs])
    for name, fusion in fusions_of(settings.search).items():
        yield fuse(name, fusion, legs)
    for name in dict.fromkeys(native):
        yield search_natively(videos, queries, name, k=max(k, 10), level=level)


def _tuned(
    queries: Sequence[JudgedQuery],
    legs: Sequence[Legs],
    settings: Settings,
    k: int,
    folds: int,
    seed: int,
) -> Tuning:
    from vidsearch.evaluation.tuning import FusionChoice, tune

    output.talk("tuning …")
    present = FusionChoice.of(settings.search)
    return tune(queries, legs, present, k=k, folds=folds, seed=seed)


def _to_dict(
    queries: Sequence[JudgedQuery],
    rows: Sequence[SearchRow],
    tuning: Tuning | None,
    missing: Sequence[str],
    k: int,
    seed: int,
) -> dict[str, Any]:
    return {
        "queries": [{"id": query.id, "text": query.text} for query in queries],
        "k": k,
        "seed": seed,
        "missing": list(missing),
        "rows": [row.to_dict() for row in rows],
        "tuning": tuning and tuning.to_dict(),
    }


def _print(rows: Sequence[SearchRow]) -> None:
    from vidsearch.evaluation.search_report import search_cells, search_columns

    columns = search_columns(rows)
    output.print_table(columns, map(search_cells, rows), right=columns[1:], whole=["search"])


def _print_tuning(tuning: Tuning) -> None:
    from vidsearch.evaluation.search_report import verdict
    from vidsearch.evaluation.tuning import settings_lines

    output.talk(verdict(tuning))
    for line in settings_lines(tuning.best.settings()):
        click.echo(line)
