"""vidsearch as a model of MTEB, on a task made of drawn clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.demo import Shot, scenes, write_clip
from vidsearch.encoders import load_encoder
from vidsearch.errors import EvaluationError
from vidsearch.evaluation.mteb_search import MtebSearch
from vidsearch.evaluation.variants import Variant

mteb = pytest.importorskip(
    "mteb", reason="mteb, which brings datasets and scikit-learn, is not here"
)
pytest.importorskip("torch")
pytest.importorskip("av")

SCENES = scenes(6, seed=4, split="held_out")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        write_clip(folder / f"{number}.mp4", [Shot(scene=scene, seconds=2)], fps=4)
        for number, scene in enumerate(SCENES)
    ]


def task(clips: list[Path], *, as_bytes: bool, category: str = "t2v") -> Any:
    """A retrieval task of MTEB over the clips, without a download."""
    from datasets import Dataset, Video
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.abstasks.task_metadata import TaskMetadata

    ids = [str(number) for number in range(len(clips))]
    files = [
        {"path": None, "bytes": clip.read_bytes()}
        if as_bytes
        else {"path": str(clip), "bytes": None}
        for clip in clips
    ]
    videos = Dataset.from_dict({"id": ids, "video": files}).cast_column("video", Video())
    texts = Dataset.from_dict({"id": ids, "text": [scene.caption for scene in SCENES]})

    class DrawnClips(AbsTaskRetrieval):  # type: ignore[misc]
        metadata = TaskMetadata(
            name="DrawnClips",
            description="Drawn clips by their captions.",
            dataset={"path": "none", "revision": "none"},
            type="Any2AnyRetrieval",
            category=category,
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="ndcg_at_10",
            modalities=["text", "video"],
        )

        def load_data(self, num_proc: int | None = None, **options: Any) -> None:
            queries, corpus = (texts, videos) if category == "t2v" else (videos, texts)
            right = {id: {id: 1} for id in ids}
            self.dataset = {
                "default": {
                    "test": RetrievalSplitData(
                        queries=queries, corpus=corpus, relevant_docs=right, top_ranked=None
                    )
                }
            }
            self.data_loaded = True

    return DrawnClips()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("category", ["t2v", "v2t"])
@pytest.mark.parametrize("as_bytes", [False, True])
@pytest.mark.parametrize("variant", ["exact", "binary+rerank3"])
def test_task_of_drawn_clips_is_scored_as_any_model(
    clips: list[Path], category: str, as_bytes: bool, variant: str, tmp_path: Path
) -> None:
    encoder = load_encoder(ModelSettings(name="demo"))
    ingest = IngestSettings(isolate=False)
    model = MtebSearch(encoder, variant=Variant.named(variant), ingest=ingest)
    result = mteb.evaluate(model, task(clips, as_bytes=as_bytes, category=category), cache=None)
    (scores,) = result.task_results[0].scores["test"]
    assert scores["ndcg_at_10"] == 1.0
    assert scores["hit_rate_at_1"] == 1.0


def test_contents_that_are_not_embedded_are_refused() -> None:
    from datasets import Dataset

    model = MtebSearch(load_encoder(ModelSettings(name="demo")))
    with pytest.raises(EvaluationError, match="text, video at once"):
        model.index(Dataset.from_dict({"id": ["1"], "text": ["a"], "video": ["b.mp4"]}))
