"""Ways of comparing vectors, against plain loops over packed bits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.errors import EvaluationError
from vidsearch.evaluation import PairVectors, Variant

DIMS = 24


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> PairVectors:
    drawn = np.random.default_rng(5)
    videos = drawn.standard_normal((60, DIMS))
    texts = videos + 0.9 * drawn.standard_normal((60, DIMS))
    return PairVectors(unit(texts), unit(videos), np.arange(60))


@pytest.mark.parametrize("number", [1, 7, 30, 60, 100])
def test_binary_ranked_again_is_what_packed_bits_give(vectors: PairVectors, number: int) -> None:
    found = vectors.places(Variant.named(f"binary+rerank{number}"), "text-to-video")
    assert found.ranks().tolist() == pytest.approx(
        [reference_rank(vectors, query, number) for query in range(60)]
    )


def reference_rank(vectors: PairVectors, query: int, number: int) -> float:
    """Rank of the video of a caption: Hamming distance first, the best again by cosine."""
    bits = np.packbits(vectors.videos > 0, axis=1)
    asked = np.packbits(vectors.texts[query] > 0)
    distances = [sum(int(byte).bit_count() for byte in row ^ asked) for row in bits]
    candidates = sorted(range(60), key=lambda video: (distances[video], video))[:number]
    cosines = vectors.videos.astype(np.float64) @ vectors.texts[query]
    if query in candidates:
        return 1 + sum(cosines[video] > cosines[query] + 1e-6 for video in candidates)
    others = [distances[video] for video in range(60) if video not in {*candidates, query}]
    ahead = sum(each < distances[query] for each in others)
    tied = sum(each == distances[query] for each in others)
    return len(candidates) + ahead + 1 + tied / 2


def test_binary_alone_counts_bits_that_differ(vectors: PairVectors) -> None:
    scores = Variant.named("binary").scorer(vectors.texts, vectors.videos)(slice(0, 60))
    differing = (vectors.texts[:, None] > 0) != (vectors.videos[None] > 0)
    np.testing.assert_array_equal(scores, DIMS - 2 * differing.sum(axis=2))


def test_int8_is_within_its_rounding_of_exact(vectors: PairVectors) -> None:
    exact = Variant.named("exact").scorer(vectors.texts, vectors.videos)(slice(0, 60))
    np.testing.assert_allclose(exact, vectors.texts @ vectors.videos.T, atol=1e-6)
    rounded = Variant.named("int8").scorer(vectors.texts, vectors.videos)(slice(0, 60))
    step = max(np.abs(vectors.texts).max(), np.abs(vectors.videos).max()) / 127
    assert 0 < np.abs(rounded - exact).max() < step * np.sqrt(DIMS)


def test_cut_dims_are_the_cosine_of_the_first_dims(vectors: PairVectors) -> None:
    scores = Variant.named("dims8").scorer(vectors.texts, vectors.videos)(slice(0, 60))
    expected = unit(vectors.texts[:, :8]) @ unit(vectors.videos[:, :8]).T
    np.testing.assert_allclose(scores, expected, atol=1e-6)


def test_ranking_all_again_is_exact(vectors: PairVectors) -> None:
    for name in ("binary+rerank60", "int8+rerank60", "dims4+rerank60", "dims4+binary+rerank60"):
        for direction in ("text-to-video", "video-to-text"):
            found = vectors.places(Variant.named(name), direction)
            exact = vectors.places(Variant.named("exact"), direction)
            assert found.ranks().tolist() == exact.ranks().tolist(), name


@pytest.mark.parametrize(
    "name",
    ["exact", "int8", "binary", "dims8", "binary+rerank10", "dims8+int8+rerank3", "dims8+rerank3"],
)
def test_name_of_a_variant_is_read_back(name: str) -> None:
    assert str(Variant.named(name)) == name


@pytest.mark.parametrize(
    "name",
    ["", "fp8", "binary+", "rerank10", "exact+rerank10", "binary+dims8", "dims0", "int8+binary"],
)
def test_other_name_of_a_variant_is_refused(name: str) -> None:
    with pytest.raises(EvaluationError, match="variant"):
        Variant.named(name)


def test_more_dims_than_there_are_are_refused(vectors: PairVectors) -> None:
    with pytest.raises(EvaluationError, match="dims25 keeps 25 dims, but the vectors have 24"):
        vectors.places(Variant.named("dims25"), "text-to-video")


def test_bytes_of_the_first_step() -> None:
    assert [Variant.named(n).bytes_of(512) for n in ("exact", "int8", "binary+rerank9")] == [
        *(2048, 512, 64)
    ]
    assert Variant.named("dims100+binary").bytes_of(512) == 13
