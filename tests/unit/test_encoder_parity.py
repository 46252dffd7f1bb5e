"""The encoder equals the model card's snippet and the notebook's recipe on the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.encoders import TorchEncoder, mean_unit
from vidsearch.encoders.checkpoint import DEMO_FOLDER
from vidsearch.media import open_decoder
from vidsearch.testing.checkpoints import random_clip_checkpoint
from vidsearch.testing.notebook import notebook_embedding, notebook_frames, notebook_pixels

cv2 = pytest.importorskip("cv2")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
Image = pytest.importorskip("PIL.Image")

_TEXTS = [
    "a red circle",
    "how to bake bread in an old brick oven",
    "Two people; one dog, 3 cats & a bird!",
    "a person in a striped shirt flips a pancake in a pan in a kitchen " * 8,
]
# Constant, whole frame rates, where the notebook's frame arithmetic is right.
_CLIPS = ["decord_flipping_a_pancake.mkv", "cve_vid1.mp4", "vitrivr_color_test.mp4"]


@dataclass(frozen=True)
class Model:
    folder: Path
    size: int
    encoder: TorchEncoder


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    # Saved in half precision, as some checkpoints are: both sides must still compute in single.
    folder = tmp_path_factory.mktemp("models") / "vit-b-32"
    yield random_clip_checkpoint(folder, shape="vit-b-32", half=True)
    (folder / "model.safetensors").unlink()


@pytest.fixture(scope="module", params=["vit-b-32", "demo"])
def model(request: pytest.FixtureRequest) -> Model:
    if request.param == "demo":
        size = transformers.CLIPConfig.from_pretrained(DEMO_FOLDER).vision_config.image_size
        return Model(DEMO_FOLDER, size, TorchEncoder("demo", device="cpu", precision="fp32"))
    folder = request.getfixturevalue("large")
    return Model(folder, 224, TorchEncoder(str(folder), device="cpu", precision="fp32"))


def cosines(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> NDArray[np.float64]:
    assert ours.shape == theirs.shape
    a, b = ours.astype(np.float64), theirs.astype(np.float64)
    return (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


@pytest.mark.parametrize("padding", [False, "max_length"])
def test_text_vectors_equal_those_of_the_model_card(model: Model, padding: bool | str) -> None:
    tower = transformers.CLIPTextModelWithProjection.from_pretrained(
        model.folder, dtype=torch.float32
    )
    tokenizer = transformers.CLIPTokenizerFast.from_pretrained(model.folder)
    theirs = []
    for text in _TEXTS:
        inputs = tokenizer(
            text=text, return_tensors="pt", padding=padding, truncation=True, max_length=77
        )
        with torch.no_grad():
            outputs = tower(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        theirs.append((outputs[0] / outputs[0].norm(dim=-1, keepdim=True))[0].numpy())
    ours = model.encoder.encode_text(_TEXTS)
    assert cosines(ours, np.stack(theirs)).min() >= 0.999999
    # Not only the same direction: the vectors are of unit length, as the card's are.
    np.testing.assert_allclose(ours, np.stack(theirs), atol=2e-6)


@pytest.mark.parametrize("clip", _CLIPS)
def test_video_vectors_equal_those_of_the_notebook(model: Model, shared: Path, clip: str) -> None:
    path = shared / "clips" / clip
    tower = transformers.CLIPVisionModelWithProjection.from_pretrained(
        model.folder, dtype=torch.float32
    )
    pixels = notebook_pixels(notebook_frames(path), size=model.size)
    theirs, their_video = notebook_embedding(tower, pixels)

    batches = open_decoder().frames(path)
    ours = np.concatenate([model.encoder.encode_frames(batch) for batch in batches])
    assert cosines(ours, theirs).min() >= 0.999999
    assert cosines(mean_unit(ours), their_video) >= 0.999999
    # Of unit length, too; a level of 255 in some pixels moves a component by some 1e-5.
    np.testing.assert_allclose(mean_unit(ours), their_video, atol=5e-5)


def test_swapped_channels_are_noticed(model: Model, shared: Path) -> None:
    """Swapped channels, which the two tests above must notice, are far beyond their bar."""
    (batch,) = open_decoder().frames(shared / "clips" / "vitrivr_color_test.mp4")
    right = model.encoder.encode_frames(batch)
    swapped = type(batch)(data=batch.data[..., ::-1].copy(), pts_seconds=batch.pts_seconds)
    assert cosines(right, model.encoder.encode_frames(swapped)).min() < 0.9999
