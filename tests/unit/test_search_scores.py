"""Scores of each engine back to cosines, against numbers that the engines gave."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.search_index import unit_vectors

from vidsearch.search.legs import above_threshold, read_vector_hits, threshold_of
from vidsearch_mappings.scores import Similarity, cosine_from_score, similarity_of


def _score(cosine: float, similarity: Similarity) -> float:
    """As the engines document it."""
    if similarity == "cosine":
        return (1 + cosine) / 2
    if similarity == "half_inner_product":
        return _score(cosine, "inner_product") / 2
    if similarity == "inner_product":
        return 1 + cosine if cosine >= 0 else 1 / (1 - cosine)
    return 1 / (1 + 2 - 2 * cosine)


@pytest.mark.parametrize(
    ("field", "score", "cosine"),
    [
        ({"type": "dense_vector", "similarity": "cosine"}, 0.75, 0.5),
        ({"type": "dense_vector"}, 0.75, 0.5),
        ({"type": "dense_vector", "similarity": "dot_product"}, 0.25, -0.5),
        ({"type": "dense_vector", "similarity": "max_inner_product"}, 1.5, 0.5),
        ({"type": "dense_vector", "similarity": "max_inner_product"}, 2 / 3, -0.5),
        ({"type": "dense_vector", "similarity": "l2_norm"}, 0.5, 0.5),
        ({"type": "knn_vector", "method": {"space_type": "cosinesimil"}}, 0.75, 0.5),
        ({"type": "knn_vector", "space_type": "innerproduct"}, 2.0, 1.0),
        ({"type": "knn_vector", "space_type": "l2", "method": {}}, 0.2, -1.0),
        ({"type": "knn_vector"}, 1.0, 1.0),
    ],
)
def test_scores_of_each_similarity_give_known_cosines(
    field: dict[str, object], score: float, cosine: float
) -> None:
    assert cosine_from_score(score, similarity=similarity_of(field)) == pytest.approx(cosine)


@pytest.mark.parametrize("similarity", ["cosine", "inner_product", "half_inner_product", "l2"])
@given(cosine=st.floats(-1, 1))
def test_score_and_cosine_round_trip(similarity: Similarity, cosine: float) -> None:
    score = _score(cosine, similarity)
    assert math.isclose(
        cosine_from_score(score, similarity=similarity), cosine, abs_tol=1e-12, rel_tol=1e-9
    )


@pytest.mark.parametrize("similarity", ["cosine", "inner_product", "half_inner_product", "l2"])
def test_a_score_beyond_the_range_is_clipped(similarity: Similarity) -> None:
    assert cosine_from_score(3.0, similarity=similarity) == 1.0
    assert cosine_from_score(0.0, similarity=similarity) == -1.0


def test_a_similarity_that_is_not_for_unit_vectors_is_refused() -> None:
    with pytest.raises(ValueError, match="hamming"):
        similarity_of({"type": "knn_vector", "space_type": "hamming"})


def test_a_video_has_the_cosine_of_its_best_moment() -> None:
    # Seen on Elasticsearch 9.5.3: the score is that of the best segment the graph search came by.
    def hit(id: str, score: float, *moments: float) -> dict[str, Any]:
        segments = [
            {"_score": s, "fields": {"video.segments": [{"start": [float(i)], "end": [i + 1.0]}]}}
            for i, s in enumerate(moments)
        ]
        return {
            "_id": id,
            "_score": score,
            "inner_hits": {"moments": {"hits": {"hits": segments}}},
        }

    response = {"hits": {"hits": [hit("a", 0.90, 0.90), hit("b", 0.89, 0.89, 0.95), hit("c", 0.7)]}}
    found = above_threshold(read_vector_hits(response, field="video", similarity="cosine"), 0.79)
    assert [(one.id, round(one.score, 6)) for one in found] == [("b", 0.9), ("a", 0.8)]
    assert [moment.start for moment in found[0].moments] == [1.0]


@pytest.mark.parametrize("grouped", [True, False], ids=["elasticsearch", "opensearch"])
def test_segments_without_start_or_end_are_no_moments(grouped: bool) -> None:
    def segment(score: float, **values: Any) -> dict[str, Any]:
        if not values:
            return {"_score": score}  # neither engine gives empty fields
        flat = {f"video.segments.{name}": value for name, value in values.items()}
        return {"_score": score, "fields": {"video.segments": [values]} if grouped else flat}

    segments = [
        segment(0.95),
        segment(0.94, start=[0.0]),
        segment(0.93, thumbnail=["t"]),
        segment(0.9, start=[4.0], end=[6.0]),
    ]
    inner = {"moments": {"hits": {"hits": segments}}}
    hits = [
        {"_id": "a", "_score": 0.95, "inner_hits": inner},
        {"_id": "b", "_score": 0.75, "inner_hits": {"moments": {"hits": {"hits": segments[:2]}}}},
    ]
    first, last = read_vector_hits({"hits": {"hits": hits}}, field="video", similarity="cosine")
    assert (first.score, last.score) == (pytest.approx(0.9), pytest.approx(0.5))
    (moment,) = first.moments
    assert (moment.start, moment.end, moment.cosine) == (4.0, 6.0, pytest.approx(0.8))
    assert last.moments == ()


@given(st.integers(0, 10_000))
def test_vector_has_the_greatest_cosine_with_itself_whatever_rounding_makes_of_it(
    number: int,
) -> None:
    (vector,) = unit_vectors(f"vector {number}", 1)
    hit = {"_id": "v", "_score": (1 + float(vector @ vector)) / 2}
    found = read_vector_hits({"hits": {"hits": [hit]}}, field="video", similarity="cosine")
    for cut in ({"min_cosine": 1.0, "gap": None}, {"min_cosine": None, "gap": 0.0}):
        assert above_threshold(found, threshold_of(found, **cut)) == found
    assert not above_threshold(found, threshold_of([found[0]._replace(score=1.1)], **cut))


@pytest.mark.parametrize("stored", [[0.6, 0.8], ["PxmZmj9MzM0="]], ids=["numbers", "base64"])
def test_cosines_of_segments_with_vectors_are_computed_here(stored: list[Any]) -> None:
    segment = {"start": [0.0], "end": [1.0], "vector": stored}
    hit = {
        "_id": "v",
        "_score": 0.7,
        "inner_hits": {
            "moments": {
                "hits": {"hits": [{"_score": 0.99, "fields": {"video.segments": [segment]}}]}
            }
        },
    }
    response = {"hits": {"hits": [hit]}}
    (found,) = read_vector_hits(response, field="video", similarity="cosine", vector=[1.0, 0.0])
    assert found.moments[0].cosine == pytest.approx(0.6)
    assert found.score == pytest.approx(0.6)
