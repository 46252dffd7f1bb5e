"""The page of ``vidsearch eval pairs``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vidsearch.evaluation.embed import EmbeddedPairs
from vidsearch.evaluation.page import Page
from vidsearch.evaluation.pairs import LeftOut
from vidsearch.evaluation.plots import Bar, bar_chart, rank_histogram
from vidsearch.evaluation.statistics import Figure
from vidsearch.evaluation.table import PairRow
from vidsearch.evaluation.variants import Variant
from vidsearch.evaluation.vectors import DIRECTIONS, PairVectors
from vidsearch.evaluation.worst import WorstQuery, worst_queries

__all__ = ["figure_cell", "pairs_page", "row_cells", "table_columns"]

_EXPLAINED = (
    "R@k: share of queries with a right item among the first k, in per cent. MedianR and MeanR: "
    "median and mean of the rank of the first right item. Items of the same score count by the "
    "mean over all their orders. Below a figure: 95 % of bootstrap samples of the videos. "
    "p: paired permutation test of the difference of R@1 from the first row of the direction."
)


def table_columns(rows: Sequence[PairRow]) -> tuple[list[str], list[str]]:
    """The columns of the table, and those of numbers among them."""
    numbers = [*rows[0].figures, "R@1 - first", "p", "bytes"]
    return ["direction", "model", "variant", *numbers], numbers


def row_cells(row: PairRow) -> list[Any]:
    """The cells of a row, for :func:`table_columns`."""
    difference = row.differences and row.differences["R@1"]
    return [
        row.direction,
        row.model,
        row.variant,
        *(figure_cell(name, figure) for name, figure in row.figures.items()),
        difference and figure_cell("R@1", difference.figure),
        difference and f"{difference.p:.4f}",
        row.bytes_per_vector,
    ]


def figure_cell(name: str, figure: Figure) -> str:
    """As a model card has it: shares in per cent; the interval in a second line."""
    scale, digits = (100, 2) if name.startswith("R@") else (1, 1 if name == "MedianR" else 2)
    value, low, high = (scale * each for each in (figure.value, figure.low, figure.high))
    return f"{value:.{digits}f}\n({low:.{digits}f} to {high:.{digits}f})"


def pairs_page(
    rows: Sequence[PairRow],
    models: Mapping[str, PairVectors],
    *,
    embedded: EmbeddedPairs | None = None,
    picture: Callable[[Path], str | None] = lambda path: None,
    sections: Iterable[Callable[[Page], None]] = (),
) -> Page:
    """The page of a table.

    Args:
        rows: of the table.
        models: vectors by the name of the model.
        embedded: captions and files, where the vectors are of such.
        picture: a picture of a file, as a data URI.
        sections: add parts before the worst queries.
    """
    vectors = models[rows[0].model]
    page = Page(
        "Retrieval of captions and videos",
        f"{len(vectors.texts):,} captions, {len(vectors.videos):,} videos, {', '.join(models)}",
    )
    page.heading("Table", _EXPLAINED)
    columns, numbers = table_columns(rows)
    page.table(columns, map(row_cells, rows), right=numbers)
    if embedded and embedded.pairs.left_out:
        _left_out(page, embedded.pairs.left_out)
    for direction in DIRECTIONS:
        mine = [row for row in rows if row.direction == direction]
        if mine:
            _plots(page, direction, mine)
    for add in sections:
        add(page)
    first = rows[0]
    worst = worst_queries(vectors, Variant.named(first.variant), first.places)
    if first.direction == "text-to-video" and worst:
        page.heading(
            "Worst queries",
            f"Captions whose video comes last with {first.model}, {first.variant}. The video that "
            "the caption is of is framed; the others came first.",
        )
        _queries(page, worst, embedded, picture)
    return page


def _plots(page: Page, direction: str, rows: Sequence[PairRow]) -> None:
    names = [f"{row.model}, {row.variant}" for row in rows]
    firsts = [row.figures["R@1"] for row in rows]
    page.heading(direction.capitalize())
    bars = [
        Bar(name, r1.value, f"{100 * r1.value:.2f}", r1.low, r1.high, number)
        for number, (name, r1) in enumerate(zip(names, firsts, strict=True))
    ]
    page.plot(bar_chart(f"R@1, {direction}", bars, most=1.0), "R@1 in per cent, with its interval.")
    ranks = [(name, row.places.ranks()) for name, row in zip(names, rows, strict=True)]
    page.plot(
        rank_histogram(f"Ranks, {direction}", ranks),
        "Share of the queries by the rank of the first right item.",
    )


def _left_out(page: Page, left_out: Sequence[LeftOut]) -> None:
    page.heading("Left out", f"{len(left_out)} videos are not part of the table.")
    page.table(["video", "reason"], left_out)


def _queries(
    page: Page,
    worst: Sequence[WorstQuery],
    embedded: EmbeddedPairs | None,
    picture: Callable[[Path], str | None],
) -> None:
    shown: dict[int, str | None] = {}

    def film(number: int, score: float, right: bool) -> tuple[str, str | None, bool]:
        if embedded is None:
            return f"video {number}, {score:.3f}", None, right
        if number not in shown:
            shown[number] = picture(embedded.paths[number])
        return f"{embedded.pairs.videos[number].key}, {score:.3f}", shown[number], right

    for each in worst:
        text = embedded.pairs.captions[each.caption] if embedded else f"caption {each.caption}"
        films = [film(each.video, each.score, True)]
        films += [film(number, score, False) for number, score in each.instead]
        page.query(text, f"rank {each.rank:g}", films)
