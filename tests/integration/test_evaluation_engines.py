"""Evaluation inside real engines: every preset, and fusions of judged searches."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.command_line import Run, runner
from tests.search_index import TableEncoder, create_index, make_videos, unit_vectors
from tests.services import RunningServices

from vidsearch.config import IndexSettings, SearchSettings
from vidsearch.engines import Engine
from vidsearch.errors import EvaluationError
from vidsearch.evaluation import PairVectors
from vidsearch.evaluation.judgements import JudgedQuery
from vidsearch.evaluation.presets import measure_presets, presets_for
from vidsearch.evaluation.searches import fusions_of, search_legs, search_natively
from vidsearch.search import VideoSearch

pytestmark = pytest.mark.integration

DIMS, COUNT = 96, 200
TEXTS = ("a red circle at night", "blue dog number 7", "river", "nothing of these")


def vectors() -> PairVectors:
    videos = unit_vectors("videos", COUNT, dims=DIMS)
    texts = videos + 0.8 * unit_vectors("texts", COUNT, dims=DIMS)
    texts /= np.linalg.norm(texts, axis=1, keepdims=True)
    return PairVectors(texts, videos, np.arange(COUNT))


def test_every_preset_is_measured_and_nothing_is_left(engine: Engine, index_name: str) -> None:
    presets = presets_for(engine, DIMS)
    assert {"float", "int8", "flat"} <= set(presets)
    steps: list[tuple[int, int]] = []
    rows = measure_presets(
        engine,
        vectors(),
        presets,
        index=IndexSettings(name=index_name),
        search=SearchSettings(),
        queries=20,
        progress=lambda *step: steps.append(step),
    )
    assert steps[-1][0] == steps[-1][1]
    by_preset = {row.preset: row for row in rows}
    assert tuple(by_preset) == presets
    for row in rows:
        assert row.recall.value >= 0.98, row.preset  # 200 vectors, rescored
        assert 0 < row.p50 <= row.p95
        assert row.disk > 0
    # The captions are near their videos, and exact search says how near.
    exact = vectors().texts @ vectors().videos.T
    drawn = np.random.default_rng([0, 3]).permutation(COUNT)[:20]
    expected = np.mean([exact[n].argmax() == n for n in drawn])
    assert by_preset["flat"].figures["R@1"].value == pytest.approx(expected)
    if engine.kind == "elasticsearch" and engine.info().version >= (9, 1, 0):
        memory = {preset: row.memory for preset, row in by_preset.items()}
        assert memory["flat"] == 4 * DIMS * COUNT
        assert memory["int8_flat"] is not None
        assert memory["int8_flat"] < memory["flat"] / 2
    assert leftovers(engine, index_name) == ()


def test_interrupted_measurement_leaves_no_index(engine: Engine, index_name: str) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 5:
            assert len(leftovers(engine, index_name)) == 2
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure_presets(
            engine,
            vectors(),
            ["flat", "int8"],
            index=IndexSettings(name=index_name),
            search=SearchSettings(),
            progress=interrupt,
        )
    assert leftovers(engine, index_name) == ()


def leftovers(engine: Engine, index_name: str) -> tuple[str, ...]:
    return engine.indices_of(f"vidsearch-{index_name}-eval-*")


def test_preset_of_the_other_engine_is_refused_with_those_there_are(engine: Engine) -> None:
    preset = "fp16" if engine.kind == "elasticsearch" else "int4"
    with pytest.raises(EvaluationError, match=f"as '{preset}'; it has float, int8"):
        presets_for(engine, DIMS, [preset])


def test_command_shows_presets_beside_variants(
    elasticsearch_9: Any,
    index_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VIDSEARCH_ENGINE__URL", elasticsearch_9.url)
    monkeypatch.setenv("VIDSEARCH_INDEX__NAME", index_name)
    monkeypatch.chdir(tmp_path)
    run: Run = runner(capsys)
    np.save("t.npy", vectors().texts)
    np.save("v.npy", vectors().videos)
    done = run(
        *("eval", "pairs", "--text-vectors", "t.npy", "--video-vectors", "v.npy", "--engine"),
        *("--preset", "flat", "--preset", "binary", "--queries", "10", "--report", "r.html"),
        "--json",
    )
    assert done.code == 0, done.err
    assert [row["preset"] for row in done.data["presets"]] == ["binary", "flat"]
    assert done.data["presets"][1]["recall@10"]["value"] == 1.0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Recall against latency" in page
    assert "Presets of elasticsearch 9.5.3" in page


@pytest.fixture(scope="module")
def search(shared_engine: Engine, services: RunningServices) -> Iterator[VideoSearch]:
    name = f"test-eval-{uuid.uuid4().hex[:8]}"
    create_index(shared_engine, name, make_videos(), quantization="flat")
    yield VideoSearch(shared_engine, TableEncoder(), index=name)
    services.drop(name)


def test_fusions_of_legs_are_those_of_hybrid_searches(search: VideoSearch) -> None:
    queries = [JudgedQuery(str(n), text, {"v00": 1}) for n, text in enumerate(TEXTS)]
    legs = search_legs(search, queries, window=100)
    assert [each.keys() for each in legs] == [{"vector", "keyword"}] * len(TEXTS)
    for name, fusion in fusions_of(SearchSettings()).items():
        for text, each in zip(TEXTS, legs, strict=True):
            hybrid = search.search(text, mode="hybrid", fusion=fusion, k=100)
            assert [(hit.id, hit.score) for hit in hybrid] == fusion(each), name


def test_fusion_of_the_engine_is_asked_for_by_its_name(search: VideoSearch) -> None:
    queries = [JudgedQuery(str(n), text, {"v00": 1}) for n, text in enumerate(TEXTS)]
    found = search_natively(search, queries, "sum", k=10, level="segment")
    expected = [[hit.id for hit in search.search(text, fusion="sum")] for text in TEXTS]
    assert (found.name, found.rankings) == ("sum", expected)
