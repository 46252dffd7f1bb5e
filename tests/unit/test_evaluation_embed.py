"""Pairs through real files: drawn clips, the decoder, the demo model, the store."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vidsearch.config import IngestSettings, ModelSettings, SourceSettings
from vidsearch.demo import Shot, scenes, write_clip
from vidsearch.embeddings import EmbeddingStore, embed_uri
from vidsearch.encoders import Encoder, load_encoder
from vidsearch.errors import EvaluationError
from vidsearch.evaluation import EmbeddedPairs, Pairs, VideoFiles, embed_pairs
from vidsearch.evaluation.files import Progress
from vidsearch.evaluation.pairs import CaptionRow, ListedVideo
from vidsearch.media.file_store import FileStore

pytest.importorskip("torch")
pytest.importorskip("av")

INGEST = IngestSettings(isolate=False)
SCENES = scenes(3, seed=4, split="held_out")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for number, scene in enumerate(SCENES):
        write_clip(folder / f"{number}.mp4", [Shot(scene=scene, seconds=2)], fps=4)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return load_encoder(ModelSettings(name="demo"))


@pytest.fixture
def store(tmp_path: Path) -> EmbeddingStore:
    return EmbeddingStore(FileStore(str(tmp_path / "store"), setting="--store"))


def listed(*keys: str) -> Pairs:
    rows = [(key, f"caption of {key}") for key in keys]
    return Pairs.of(CaptionRow(ListedVideo(key, (key,)), caption) for key, caption in rows)


def embedded(
    pairs: Pairs,
    folder: Path,
    encoder: Encoder,
    store: EmbeddingStore | None,
    progress: Progress = lambda done, total: None,
) -> EmbeddedPairs:
    return embed_pairs(
        pairs,
        VideoFiles(folder),
        {"demo": encoder},
        ingest=INGEST,
        sources=SourceSettings(),
        store=store,
        progress=progress,
    )


def test_vectors_are_those_of_ingestion(
    folder: Path, encoder: Encoder, store: EmbeddingStore
) -> None:
    found = embedded(listed("0", "1", "2"), folder, encoder, store).models["demo"]
    expected = [
        embed_uri(
            str(folder / f"{number}.mp4"), encoder=encoder, ingest=INGEST, sources=SourceSettings()
        ).mean()
        for number in range(3)
    ]
    np.testing.assert_allclose(found.videos, expected, atol=1e-3)  # the store rounds to fp16
    np.testing.assert_allclose(found.texts[1], encoder.encode_text(["caption of 1"])[0], atol=1e-6)


def test_second_run_decodes_nothing_and_finds_the_same(
    folder: Path, encoder: Encoder, store: EmbeddingStore
) -> None:
    first = embedded(listed("0", "1"), folder, encoder, store)
    again = embedded(listed("0", "1"), folder, encoder, store)
    assert (first.decoded, again.decoded) == (2, 0)
    np.testing.assert_array_equal(first.models["demo"].videos, again.models["demo"].videos)


def test_interrupted_run_goes_on(folder: Path, encoder: Encoder, store: EmbeddingStore) -> None:
    def interrupt(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embedded(listed("0", "1", "2"), folder, encoder, store, interrupt)
    assert embedded(listed("0", "1", "2"), folder, encoder, store).decoded == 1


def test_missing_and_broken_videos_are_named_and_left_out(
    folder: Path, encoder: Encoder, store: EmbeddingStore
) -> None:
    found = embedded(listed("0", "gone", "broken.mp4", "2"), folder, encoder, store)
    assert [video.key for video in found.pairs.videos] == ["0", "2"]
    assert found.models["demo"].videos.shape == (2, 512)
    assert found.models["demo"].video_of.tolist() == [0, 1]
    assert [path.name for path in found.paths] == ["0.mp4", "2.mp4"]
    gone, broken = found.pairs.left_out
    assert gone == ("gone", f"no such file in {folder}")
    assert broken.video == "broken.mp4"
    assert broken.reason.startswith("VideoOpenError: broken.mp4")


def test_no_video_at_all_is_an_error_with_the_reasons(
    folder: Path, encoder: Encoder, store: EmbeddingStore
) -> None:
    with pytest.raises(EvaluationError, match="none of 1 videos can be embedded: gone: no such"):
        embedded(listed("gone"), folder, encoder, store)


def test_long_captions_are_counted(folder: Path, encoder: Encoder) -> None:
    long = Pairs.of([CaptionRow(ListedVideo("0", ("0",)), "a red circle " * 40)])
    assert embedded(long, folder, encoder, None).cut_off == {"demo": 1}
    assert embedded(listed("0"), folder, encoder, None).cut_off == {"demo": 0}
