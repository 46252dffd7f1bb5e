"""Plots as inline SVG, drawn with the colours of the page that holds them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["COLOURS", "Bar", "Dot", "bar_chart", "dot_chart", "rank_histogram"]

COLOURS = 6
"""Series that have a colour of their own; the next one begins anew."""
_WIDTH = 640
_ROW, _LABEL, _RIGHT = 26, 210, 90
_BUCKETS = (1, 2, 5, 10, 50, 100, 1000)
"""Last rank of each bucket of a histogram; what lies beyond is in one more."""


class Bar(NamedTuple):
    """One horizontal bar, with its interval where it has one."""

    label: str
    value: float
    shown: str
    """The value as text."""
    low: float | None = None
    high: float | None = None
    series: int = 0


class Dot(NamedTuple):
    """One point of a plot of two figures."""

    label: str
    x: float
    y: float
    series: int = 0


def bar_chart(title: str, bars: Sequence[Bar], *, most: float | None = None) -> str:
    """Horizontal bars from zero, one below the other.

    Args:
        title: what they show; read out where the plot is not seen.
        bars: values from 0 on.
        most: value at the right end; by default the largest.
    """
    top = most or max([each.high or each.value for each in bars], default=1.0) or 1.0
    scale = (_WIDTH - _LABEL - _RIGHT) / top
    parts = []
    for number, bar in enumerate(bars):
        y = number * _ROW + 4
        middle = y + (_ROW - 8) / 2
        parts.append(_text(_LABEL - 8, middle + 4, bar.label, anchor="end"))
        parts.append(
            f'<rect class="s{bar.series % COLOURS}" x="{_LABEL}" y="{y}" rx="2" '
            f'width="{max(1.0, bar.value * scale):.1f}" height="{_ROW - 8}"/>'
        )
        end = bar.value
        if bar.low is not None and bar.high is not None:
            low, high = (_LABEL + each * scale for each in (bar.low, bar.high))
            parts.append(
                f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}'
                f'M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"/>'
            )
            end = max(bar.value, bar.high)
        parts.append(_text(_LABEL + end * scale + 6, middle + 4, bar.shown))
    return _svg(title, len(bars) * _ROW + 4, parts)


def rank_histogram(title: str, rows: Sequence[tuple[str, NDArray[np.float64]]]) -> str:
    """How many queries have which rank: a group of bars per bucket, a colour per row.

    Args:
        title: as of :func:`bar_chart`.
        rows: names, each with its ranks from 1.
    """
    shares = [_shares(ranks) for _, ranks in rows]
    labels = [_bucket_label(n) for n in range(len(_BUCKETS) + 1)]
    height, base = 220, 190
    group = (_WIDTH - 40) / len(labels)
    width = min(28.0, (group - 10) / max(1, len(rows)))
    parts = []
    for line in (0, 0.25, 0.5, 0.75, 1):
        y = base - line * (base - 20)
        parts.append(f'<path class="grid" d="M36 {y:.1f}H{_WIDTH}"/>')
        parts.append(_text(32, y + 4, f"{line:.0%}", anchor="end"))
    for number, label in enumerate(labels):
        left = 40 + number * group
        parts.append(_text(left + group / 2, base + 18, label, anchor="middle"))
        for series, (name, _) in enumerate(rows):
            share = shares[series][number]
            x = left + (group - width * len(rows)) / 2 + series * width
            tall = share * (base - 20)
            parts.append(
                f'<rect class="s{series % COLOURS}" x="{x:.1f}" y="{base - tall:.1f}" '
                f'width="{width - 1:.1f}" height="{tall:.1f}">'
                f"<title>{escape(name)}, rank {label}: {share:.1%}</title></rect>"
            )
    return _svg(title, height, parts) + _legend([name for name, _ in rows])


def dot_chart(
    title: str, dots: Sequence[Dot], *, x_label: str, y_label: str, log_x: bool = False
) -> str:
    """Points of two figures, each with its label.

    Args:
        title: as of :func:`bar_chart`.
        dots: the points.
        x_label: what goes to the right, with its unit.
        y_label: what goes up, with its unit.
        log_x: whether steps to the right multiply; values must be above 0.
    """
    height, left, base = 320, 56, 270
    xs = [math.log10(dot.x) if log_x else dot.x for dot in dots]
    x_low, x_high = _widened(xs)
    y_low, y_high = _widened([dot.y for dot in dots])

    def across(x: float) -> float:
        return left + (x - x_low) / (x_high - x_low) * (_WIDTH - left - 110)

    def up(y: float) -> float:
        return base - (y - y_low) / (y_high - y_low) * (base - 20)

    parts = [f'<path class="axis" d="M{left} 14V{base}H{_WIDTH}"/>']
    for step in range(5):
        x, y = (low + step / 4 * (high - low) for low, high in ((x_low, x_high), (y_low, y_high)))
        shown = 10**x if log_x else x
        parts.append(_text(across(x), base + 18, f"{shown:.3g}", anchor="middle"))
        parts.append(_text(left - 6, up(y) + 4, f"{y:.3g}", anchor="end"))
        parts.append(f'<path class="grid" d="M{left} {up(y):.1f}H{_WIDTH}"/>')
    for dot, x in zip(dots, xs, strict=True):
        parts.append(
            f'<circle class="s{dot.series % COLOURS}" cx="{across(x):.1f}" cy="{up(dot.y):.1f}" '
            f'r="5"><title>{escape(dot.label)}: {dot.x:.4g}, {dot.y:.4g}</title></circle>'
        )
        parts.append(_text(across(x) + 8, up(dot.y) + 4, dot.label))
    parts.append(_text(_WIDTH / 2, base + 40, x_label, anchor="middle"))
    parts.append(_text(left, 10, y_label))
    return _svg(title, height, parts)


def _shares(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    at = np.searchsorted(np.array(_BUCKETS, float), ranks, "left")
    counts: NDArray[np.float64] = np.bincount(at, minlength=len(_BUCKETS) + 1) / max(1, len(ranks))
    return counts


def _bucket_label(number: int) -> str:
    if number == len(_BUCKETS):
        return f"> {_BUCKETS[-1]}"
    last = _BUCKETS[number]
    first = _BUCKETS[number - 1] + 1 if number else 1
    return str(last) if first == last else f"{first}–{last}"


def _widened(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low) * 0.08 or abs(high) * 0.05 or 1.0
    return low - room, high + room


def _legend(names: Sequence[str]) -> str:
    items = "".join(
        f'<li><i class="s{number % COLOURS}"></i>{escape(name)}</li>'
        for number, name in enumerate(names)
    )
    return f'<ul class="legend">{items}</ul>'


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{escape(title)}">'
        f"<title>{escape(title)}</title>{''.join(parts)}</svg>"
    )
