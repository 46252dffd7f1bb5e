"""The table and the plots of :mod:`vidsearch.evaluation.presets`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from vidsearch.evaluation.page import Page
from vidsearch.evaluation.pairs_report import figure_cell
from vidsearch.evaluation.plots import Bar, Dot, bar_chart, dot_chart
from vidsearch.evaluation.presets import PresetRow

__all__ = ["add_presets", "preset_cells", "preset_columns"]

_MIB = 1 << 20


def preset_columns(rows: Sequence[PresetRow]) -> list[str]:
    """Columns of the table; all but the first are numbers."""
    costs = ["p50 ms", "p95 ms", "load s", "disk MiB", "memory MiB"]
    return ["preset", *rows[0].figures, f"recall@{rows[0].k}", *costs]


def preset_cells(row: PresetRow) -> list[Any]:
    """The cells of a row, for :func:`preset_columns`."""
    return [
        row.preset,
        *(figure_cell(name, figure) for name, figure in row.figures.items()),
        figure_cell("R@k", row.recall),
        f"{row.p50:.1f}",
        f"{row.p95:.1f}",
        f"{row.load_seconds:.1f}",
        f"{row.disk / _MIB:.1f}",
        None if row.memory is None else f"{row.memory / _MIB:.2f}",
    ]


def add_presets(rows: Sequence[PresetRow], engine: str) -> Callable[[Page], None]:
    """Adds the part to a page; ``engine`` says which cluster it was."""

    def add(page: Page) -> None:
        page.heading(
            f"Presets of {engine}",
            "The same captions, searched for in an index for each preset. recall: share of the "
            "nearest videos by exact cosine that are found, in per cent. Memory: what searches "
            "read at random, as the engine says.",
        )
        columns = preset_columns(rows)
        page.table(columns, map(preset_cells, rows), right=columns[1:])
        dots = [Dot(row.preset, row.p50, 100 * row.recall.value, n) for n, row in enumerate(rows)]
        recall = f"recall@{rows[0].k}, per cent"
        page.plot(
            dot_chart("Recall against latency", dots, x_label="p50, ms", y_label=recall),
            "Recall against the median latency of a search.",
        )
        r1 = [
            Bar(row.preset, first.value, f"{100 * first.value:.2f}", first.low, first.high, n)
            for n, row in enumerate(rows)
            for first in [row.figures["R@1"]]
        ]
        page.plot(bar_chart("R@1 by preset", r1, most=1.0), "R@1 in per cent, by preset.")
        disk = [
            Bar(row.preset, row.disk / _MIB, f"{row.disk / _MIB:.1f} MiB", series=n)
            for n, row in enumerate(rows)
        ]
        page.plot(bar_chart("Disk by preset", disk), "Size of the index on disk, by preset.")

    return add
