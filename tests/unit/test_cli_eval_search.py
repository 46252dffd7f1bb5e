"""``vidsearch eval search`` as a person and as a script meet it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.command_line import Run, runner
from tests.search_index import TableEncoder, create_index, make_videos

from vidsearch.testing.memory_engine import MemoryEngine

pytest.importorskip("ir_measures")

VIDEOS = make_videos(20)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    engine = MemoryEngine()
    create_index(engine, "videos-000001", VIDEOS, alias="videos")
    monkeypatch.setattr("vidsearch.engines.connect", lambda settings, client=None: engine)
    monkeypatch.setattr("vidsearch.encoders.load_encoder", lambda *a, **o: TableEncoder())
    monkeypatch.chdir(tmp_path)
    return runner(capsys)


@pytest.fixture
def judged(tmp_path: Path) -> str:
    """Each title as the query, its videos relevant; and one video that is not there."""
    rows = [f"{video.fields['title']} {n % 5},{video.id}" for n, video in enumerate(VIDEOS)]
    (tmp_path / "judged.csv").write_text("\n".join(["query,id", *rows, "red circle,gone"]))
    return "judged.csv"


def test_legs_and_fusions_are_rows_with_the_values_of_each_query(run: Run, judged: str) -> None:
    done = run("eval", "search", "--judgements", judged, "-k", "5", "--json")
    assert done.code == 0, done.err
    data = done.data
    names = ["vector", "keyword", "rrf", "linear min_max", "linear z_score"]
    assert [row["search"] for row in data["rows"]] == names
    vector, keyword = data["rows"][:2]
    assert vector["difference_from_first"] is None
    assert keyword["difference_from_first"]["value"] == pytest.approx(
        keyword["nDCG@5"]["value"] - vector["nDCG@5"]["value"]
    )
    assert keyword["nDCG@5"]["value"] > 0.3 > vector["nDCG@5"]["value"]
    values = keyword["per_query"]["nDCG@5"]
    assert len(values) == len(data["queries"])
    assert sum(values) / len(values) == pytest.approx(keyword["nDCG@5"]["value"])
    assert data["missing"] == ["gone"]
    assert "1 of 21 relevant videos are not in the index" in done.err


def test_tuning_prints_settings_and_what_they_are_worth(run: Run, judged: str) -> None:
    done = run("eval", "search", "--judgements", judged, "--tune", "--folds", "3")
    assert done.code == 0, done.err
    heading, *rows = [line.split("\t") for line in done.out.splitlines()]
    assert heading[:3] == ["search", "nDCG@10", "R@10"]
    assert rows[5] == ["[search]"]
    settings = dict(row[0].split(" = ") for row in rows[6:])
    assert float(settings["keyword_weight"]) > float(settings["vector_weight"])
    assert "on queries that the settings were not chosen on" in done.err


def test_report_is_one_page_with_the_worst_queries(run: Run, judged: str, tmp_path: Path) -> None:
    done = run("eval", "search", "--judgements", judged, "--tune", "--report", "page.html")
    assert done.code == 0, done.err
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1
    for text in ("Worst queries", "linear z_score", "nDCG@10", "keyword_weight"):
        assert text in page
    assert "http" not in page


def test_too_few_queries_for_tuning_are_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "few.csv").write_text(f"query,id\nred circle,{VIDEOS[0].id}\n")
    done = run("eval", "search", "--judgements", "few.csv", "--tune")
    assert done.code == 2
    assert "5 folds need at least 10 queries" in done.err


def test_more_hits_than_a_fusion_ranks_are_refused(run: Run, judged: str) -> None:
    done = run("eval", "search", "--judgements", judged, "-k", "101")
    assert done.code == 2
    assert "which are 100 (setting search.window)" in done.err


def test_missing_package_is_told_before_anything_is_searched(
    run: Run, judged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ir_measures", None)
    monkeypatch.setattr("vidsearch.engines.connect", lambda *_, **__: pytest.fail("searched"))
    done = run("eval", "search", "--judgements", judged)
    assert done.code == 2
    assert "pip install 'vidsearch[eval]'" in done.err
