"""The table and the page of ``vidsearch eval search``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vidsearch.evaluation.judgements import JudgedQuery
from vidsearch.evaluation.page import Page
from vidsearch.evaluation.plots import Bar, bar_chart
from vidsearch.evaluation.searches import SearchRow
from vidsearch.evaluation.statistics import Figure
from vidsearch.evaluation.tuning import Tuning

__all__ = ["search_cells", "search_columns", "search_page", "verdict"]

_WORST = 20


def search_columns(rows: Sequence[SearchRow]) -> list[str]:
    """Columns of the table; all but the first are numbers."""
    names = list(rows[0].figures)
    return ["search", *names, f"{names[0]} - first", "p"]


def search_cells(row: SearchRow) -> list[Any]:
    """The cells of a row, for :func:`search_columns`."""
    difference = row.difference
    return [
        row.name,
        *map(_cell, row.figures.values()),
        difference and _cell(difference.figure),
        difference and f"{difference.p:.4f}",
    ]


def verdict(tuning: Tuning) -> str:
    """What a person should make of it, in two sentences."""
    held, difference = tuning.held_out, tuning.difference
    measured = (
        f"{tuning.measure} on queries that the settings were not chosen on: {held.value:.4f}, with "
        f"the present ones ({tuning.present}) {tuning.present_figure.value:.4f}; the difference is "
        f"{difference.figure.value:+.4f} ({difference.figure.low:+.4f} to "
        f"{difference.figure.high:+.4f}), p = {difference.p:.4f}."
    )
    if tuning.is_noise:
        return f"{measured} That is within noise: keep what is set, or judge more queries."
    return f"{measured} These settings find better: {tuning.best}."


def search_page(
    queries: Sequence[JudgedQuery],
    rows: Sequence[SearchRow],
    tuning: Tuning | None,
    *,
    index: str,
) -> Page:
    """The page of judged searches in the index of that name."""
    page = Page("Judged searches", f"{len(queries):,} queries, index {index}")
    page.heading(
        "Table",
        "Below a figure: 95 % of bootstrap samples of the queries. p: paired permutation test of "
        "the difference from the first row.",
    )
    columns = search_columns(rows)
    page.table(columns, map(search_cells, rows), right=columns[1:])
    leading = next(iter(rows[0].figures))
    bars = [
        Bar(row.name, figure.value, f"{figure.value:.3f}", figure.low, figure.high, number)
        for number, (row, figure) in enumerate((row, row.figures[leading]) for row in rows)
    ]
    page.plot(bar_chart(leading, bars, most=1.0), f"{leading}, with its interval.")
    if tuning is not None:
        page.heading("Tuning", verdict(tuning))
        page.facts(tuning.best.settings().items())
    best = max(rows, key=lambda row: row.figures[leading].value)
    page.heading("Worst queries", f"The lowest {leading} of {best.name}, and of the other rows.")
    order = np.argsort(best.values[leading], kind="stable")[:_WORST]
    page.table(
        ["query", "relevant", *(row.name for row in rows)],
        (
            [
                queries[n].text,
                ", ".join(id for id, grade in queries[n].relevance.items() if grade),
                *(f"{row.values[leading][n]:.3f}" for row in rows),
            ]
            for n in map(int, order)
        ),
        right=[row.name for row in rows],
    )
    return page


def _cell(figure: Figure) -> str:
    return f"{figure.value:.4f}\n({figure.low:.4f} to {figure.high:.4f})"
