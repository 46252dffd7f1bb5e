"""Reports: one page that needs nothing else, and plots that show what they are given."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from vidsearch.errors import EvaluationError
from vidsearch.evaluation import PairVectors, Variant, pair_rows
from vidsearch.evaluation.page import Page
from vidsearch.evaluation.pairs_report import pairs_page
from vidsearch.evaluation.plots import Bar, Dot, bar_chart, dot_chart, rank_histogram
from vidsearch.evaluation.worst import worst_queries

ODD = '<b>"mine" & yours</b>'


def numbers(svg: str, tag: str, attribute: str) -> list[float]:
    root = ElementTree.fromstring(svg)
    return [float(each.attrib[attribute]) for each in root.iter(tag)]


def test_texts_are_escaped_wherever_they_stand() -> None:
    page = Page(ODD, ODD)
    page.heading(ODD, ODD)
    page.facts([(ODD, ODD)])
    page.table([ODD], [[ODD], [None]])
    page.plot(bar_chart(ODD, [Bar(ODD, 1.0, ODD)]), ODD)
    page.query(ODD, ODD, [(ODD, "data:image/jpeg;base64,AA==", True)])
    html = page.html()
    assert ODD not in html
    assert "&lt;b&gt;" in html


def test_page_asks_for_nothing_from_elsewhere_and_has_both_colour_schemes() -> None:
    page = Page("title", "lead")
    page.query(
        "a dog", "rank 3", [("v1", "data:image/jpeg;base64,AA==", True), ("v2", None, False)]
    )
    html = page.html()
    assert re.findall(r'(?:src|href)="(?!data:)', html) == []
    assert not {"http", "url(", "@import", "<script", "<link"} & set(re.findall(r"\S+", html))
    assert "prefers-color-scheme: dark" in html


def test_page_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="cannot be written"):
        Page("title", "lead").write(tmp_path / "none" / "page.html")


def test_bars_are_as_long_as_their_values() -> None:
    svg = bar_chart(
        "bars", [Bar("a", 0.5, "50", 0.4, 0.6), Bar("b", 0.25, "25"), Bar("c", 1, "100")]
    )
    first, second, third = numbers(svg, "rect", "width")
    assert (first, second) == (pytest.approx(third / 2, abs=0.1), pytest.approx(third / 4, abs=0.1))
    assert svg.count('class="whisker"') == 1


def test_histogram_puts_each_rank_into_the_bucket_that_ends_with_it() -> None:
    ranks = np.array([1, 1, 1.5, 2, 5, 10, 11, 1001])
    html = rank_histogram("ranks", [("mine", ranks)])
    shown = re.findall(r"rank ([^:]+): ([\d.]+)%", html)
    assert dict(shown) == {
        "1": "25.0",
        "2": "25.0",
        "3–5": "12.5",
        "6–10": "12.5",
        "11–50": "12.5",
        "51–100": "0.0",
        "101–1000": "0.0",
        "> 1000": "12.5",
    }
    assert "<li>" in html


@pytest.mark.parametrize("log_x", [False, True])
def test_dots_stand_in_the_order_of_their_figures(log_x: bool) -> None:
    dots = [Dot("a", 1, 90), Dot("b", 10, 95), Dot("c", 100, 99)]
    svg = dot_chart("dots", dots, x_label="p50, ms", y_label="recall", log_x=log_x)
    across, up = numbers(svg, "circle", "cx"), numbers(svg, "circle", "cy")
    assert across == sorted(across)
    assert up == sorted(up, reverse=True)
    even = across[1] - across[0] == pytest.approx(across[2] - across[1], abs=0.2)
    assert even == log_x


def test_one_dot_alone_is_drawn() -> None:
    svg = dot_chart("dots", [Dot("a", 2, 100)], x_label="x", y_label="y")
    assert 0 < numbers(svg, "circle", "cx")[0] < 640


def vectors() -> PairVectors:
    drawn = np.random.default_rng(3)
    videos = drawn.standard_normal((30, 16))
    texts = videos + 1.5 * drawn.standard_normal((30, 16))
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (texts, videos)]
    return PairVectors(*(each.astype(np.float32) for each in unit), np.arange(30))


def test_worst_queries_are_those_of_the_highest_ranks() -> None:
    exact, pairs = Variant(), vectors()
    places = pairs.places(exact, "text-to-video")
    found = worst_queries(pairs, exact, places, number=4)
    ranks = places.ranks()
    assert [each.rank for each in found] == sorted(ranks, reverse=True)[:4]
    for each in found:
        assert each.video == each.caption
        assert len(each.instead) == 3
        scores = [score for _, score in each.instead]
        assert scores == sorted(scores, reverse=True)
        assert each.video not in [video for video, _ in each.instead]
    assert len(worst_queries(pairs, exact, places, number=99)) == np.count_nonzero(ranks > 1)


def test_page_of_vectors_has_the_table_the_plots_and_the_worst_queries() -> None:
    variants = [Variant(), Variant.named("binary")]
    models = {"mine": vectors()}
    rows = list(pair_rows(models.items(), variants))
    html = pairs_page(rows, models).html()
    for row in rows:
        assert f"{100 * row.figures['R@1'].value:.2f}" in html
    assert html.count("<svg") == 4
    worst = worst_queries(models["mine"], variants[0], rows[0].places)
    assert html.count('<div class="query">') == len(worst)
    for svg in re.findall(r"<svg.*?</svg>", html):
        ElementTree.fromstring(svg)
