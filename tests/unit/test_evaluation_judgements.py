"""Files of judged queries, and what is measured by them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsearch.errors import EvaluationError
from vidsearch.evaluation.judgements import JudgedQuery, read_judgements
from vidsearch.evaluation.measures import measure, measure_names

pytest.importorskip("ir_measures")

QRELS = "301 0 v1 2\n301 0 v2 0\n302 0 v9 1\n303 0 v3 0\n"
TREC_TOPICS = """
<top>
<num> Number: 301
<title> dogs on
 a beach
<desc> Description:
</top>
<top><num>302</num><title>a red circle</title></top>
"""


def written(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


@pytest.mark.parametrize("topics", ["301\tdogs on a beach\n302\ta red circle\n", TREC_TOPICS])
def test_qrels_take_their_texts_from_topics(tmp_path: Path, topics: str) -> None:
    found = read_judgements(
        written(tmp_path, "judged.qrels", QRELS), written(tmp_path, "topics.txt", topics)
    )
    assert found == (
        JudgedQuery("301", "dogs on a beach", {"v1": 2, "v2": 0}),
        JudgedQuery("302", "a red circle", {"v9": 1}),
    )


def test_csv_has_a_row_per_relevant_video(tmp_path: Path) -> None:
    table = "query,id,relevance\na dog,v1,3\na cat,v2,\na dog,v4,1\n"
    found = read_judgements(written(tmp_path, "judged.csv", table))
    assert [(each.text, each.relevance) for each in found] == [
        ("a dog", {"v1": 3, "v4": 1}),
        ("a cat", {"v2": 1}),
    ]


def test_json_lines_have_ids_or_grades(tmp_path: Path) -> None:
    lines = '{"query": "a dog", "relevant": ["v1"]}\n{"query": "a cat", "relevant": {"v2": 2}}\n'
    found = read_judgements(written(tmp_path, "judged.jsonl", lines))
    assert [each.relevance for each in found] == [{"v1": 1}, {"v2": 2}]


@pytest.mark.parametrize("mark", ["\u2028", "\u0085", "\x0b"])
def test_text_that_holds_a_break_of_a_page_is_one_line(tmp_path: Path, mark: str) -> None:
    lines = f'{{"query": "a{mark}dog", "relevant": ["v1"]}}\n'.replace("\x0b", "\\u000b")
    (found,) = read_judgements(written(tmp_path, "judged.jsonl", lines))
    assert found.text == f"a{mark}dog"
    topics = written(tmp_path, "topics.txt", f"301\ta{mark}dog\n302\ta cat\n")
    found, _ = read_judgements(written(tmp_path, "judged.qrels", QRELS), topics)
    assert found.text == f"a{mark}dog"


@pytest.mark.parametrize(
    ("name", "text", "topics", "message"),
    [
        ("a.qrels", QRELS, None, "needs --topics"),
        ("a.csv", "query,id\na,b\n", "1\tx\n", "leave out --topics"),
        ("a.qrels", QRELS, "301\tdogs\n", "no text for the query '302'"),
        ("a.qrels", "301 0 v1\n", "301\tdogs\n", "line 1: query, iteration, video and relevance"),
        ("a.qrels", "301 0 v1 high\n", "301\tdogs\n", "a whole number, not 'high'"),
        ("a.qrels", QRELS, "301 dogs\n", "line 1: query, tab and text"),
        ("a.csv", "query,id,relevance\na,b,0\n", None, "no relevant video for any query"),
        ("a.csv", "text,id\na,b\n", None, "no column 'query'"),
        ("a.jsonl", "[]\n", None, "line 1: "),
        ("a.jsonl", '{"query": "a", "relevant": {"b": true}}\n', None, "whole numbers"),
    ],
)
def test_file_that_judges_nothing_is_refused(
    tmp_path: Path, name: str, text: str, topics: str | None, message: str
) -> None:
    path = None if topics is None else written(tmp_path, "topics.txt", topics)
    with pytest.raises(EvaluationError, match=message):
        read_judgements(written(tmp_path, name, text), path)


IDS = [f"v{number}" for number in range(12)]
CASES = st.lists(
    st.tuples(
        st.dictionaries(st.sampled_from(IDS), st.integers(0, 3), min_size=1).filter(
            lambda grades: any(grades.values())
        ),
        st.permutations(IDS).flatmap(
            lambda order: st.integers(0, len(IDS)).map(lambda n: order[:n])
        ),
    ),
    min_size=1,
    max_size=6,
)


def judged(case: list[tuple[dict[str, int], list[str]]]) -> list[JudgedQuery]:
    return [JudgedQuery(f"q{at:03}", "text", grades) for at, (grades, _) in enumerate(case)]


@given(CASES, st.sampled_from([1, 3, 10]))
def test_measures_are_those_of_their_definitions(
    case: list[tuple[dict[str, int], list[str]]], k: int
) -> None:
    values = measure(judged(case), [ranking for _, ranking in case], k=k)
    assert tuple(values) == measure_names(k)
    for at, (grades, ranking) in enumerate(case):
        gains = [grades.get(id, 0) for id in ranking]
        best = sorted(grades.values(), reverse=True)
        relevant = sum(grade > 0 for grade in grades.values())
        first = next((rank for rank, gain in enumerate(gains, 1) if gain), math.inf)
        assert values[f"nDCG@{k}"][at] == pytest.approx(dcg(gains[:k]) / dcg(best[:k]))
        assert values[f"R@{k}"][at] == pytest.approx(sum(g > 0 for g in gains[:k]) / relevant)
        assert values["RR"][at] == pytest.approx(1 / first)
        assert [values[f"Success@{n}"][at] for n in (1, 5, 10)] == [first <= n for n in (1, 5, 10)]


def dcg(gains: list[int]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, 1))


@pytest.mark.filterwarnings("ignore")  # of numba, about ranx's own code
def test_random_rankings_have_the_measures_of_ranx() -> None:
    ranx = pytest.importorskip("ranx", reason="ranx, which brings numba, is not a dependency")
    drawn = np.random.default_rng(6)
    case = []
    for _ in range(200):
        # Grades and scores of few values: many ties, which the order of the ranking decides.
        grades = {id: int(drawn.integers(3)) for id in drawn.choice(IDS, 6, replace=False)}
        grades["v0"] = 1
        scores = {id: int(drawn.integers(3)) for id in drawn.choice(IDS, 9, replace=False)}
        case.append((grades, sorted(scores, key=lambda id: (-scores[id], id))))
    queries = judged(case)
    values = measure(queries, [ranking for _, ranking in case], k=5)
    run = {
        q.id: {id: -float(n) for n, id in enumerate(r)}
        for q, (_, r) in zip(queries, case, strict=True)
    }
    theirs = ranx.evaluate(
        ranx.Qrels({query.id: dict(query.relevance) for query in queries}),
        ranx.Run(run),
        ["ndcg@5", "recall@5", "mrr", "hit_rate@1", "hit_rate@5", "hit_rate@10"],
        return_mean=False,
    )
    for ours, name in zip(values, theirs, strict=True):
        np.testing.assert_allclose(values[ours], theirs[name], atol=1e-9, err_msg=ours)
