"""CLIP checkpoints of other shapes and in other files equal transformers' own whole model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidsearch.encoders import TorchEncoder
from vidsearch.encoders.checkpoint import open_checkpoint
from vidsearch.errors import ModelUnavailableError
from vidsearch.media import FrameBatch
from vidsearch.media.torch_pixels import clip_pixels_torch
from vidsearch.testing.checkpoints import random_clip_checkpoint

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

_TEXTS = ["a red circle", "two people walk a dog over a bridge in the rain " * 12]
_SHAPES = {
    "patch 16": {"patch_size": 16, "image_size": 64},
    "patch 14 of a large model": {"patch_size": 14, "image_size": 56, "num_hidden_layers": 3},
    "336 px in small": {"patch_size": 14, "image_size": 84},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_clip_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def encoder(folder: Path) -> TorchEncoder:
    return TorchEncoder(str(folder), device="cpu", precision="fp32")


def frames() -> FrameBatch:
    data = np.random.default_rng(0).integers(0, 256, (3, 90, 120, 3), dtype=np.uint8)
    return FrameBatch(data, np.arange(3, dtype=np.float64))


def edit(path: Path, change: Any) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("vision", _SHAPES.values(), ids=_SHAPES)
@pytest.mark.parametrize("as_bin", [False, True], ids=["safetensors", "bin"])
def test_other_shapes_equal_transformers(copy: Path, vision: dict[str, int], as_bin: bool) -> None:
    config = transformers.CLIPConfig.from_pretrained(copy)
    text = {**config.text_config.to_dict(), "max_position_embeddings": 32, "projection_dim": 48}
    vision = {**config.vision_config.to_dict(), **vision, "projection_dim": 48}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        model = transformers.CLIPModel(
            transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=48)
        ).eval()
    (copy / "model.safetensors").unlink()
    model.save_pretrained(copy)
    if as_bin:
        (copy / "model.safetensors").unlink()
        torch.save(model.state_dict(), copy / "pytorch_model.bin")

    # Some checkpoints name the length of vectors once, for the whole.
    def once(content: dict[str, Any]) -> None:
        del content["text_config"]["projection_dim"], content["vision_config"]["projection_dim"]

    edit(copy / "config.json", once)
    ours = encoder(copy)
    assert (ours.identity.dims, ours.identity.image_size) == (48, vision["image_size"])
    assert ours.context_length == 32

    tokens = transformers.CLIPTokenizerFast.from_pretrained(copy)(
        _TEXTS, padding="max_length", truncation=True, max_length=32, return_tensors="pt"
    )
    pixels = clip_pixels_torch(frames().data, ours._checkpoint.pixels)
    with torch.no_grad():
        whole = model(**tokens, pixel_values=pixels)
    for mine, theirs in (
        (ours.encode_text(_TEXTS), whole.text_embeds),
        (ours.encode_frames(frames()), whole.image_embeds),
    ):
        assert (mine.astype(np.float64) * theirs.double().numpy()).sum(1).min() >= 0.999999


def test_saved_padding_of_a_tokenizer_is_ignored(copy: Path, tiny: Path) -> None:
    tokenizer = transformers.CLIPTokenizerFast.from_pretrained(copy)
    tokenizer("a", padding="max_length", truncation=True, max_length=6)
    tokenizer.save_pretrained(copy)
    saved = json.loads((copy / "tokenizer.json").read_text())
    assert saved["padding"]["strategy"] == {"Fixed": 6}
    assert saved["truncation"]["max_length"] == 6
    for name in ("vocab.json", "merges.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (copy / name).unlink(missing_ok=True)
    assert encoder(copy).count_tokens("a") == encoder(tiny).count_tokens("a") == 3
    np.testing.assert_array_equal(
        encoder(copy).encode_text(_TEXTS), encoder(tiny).encode_text(_TEXTS)
    )


def test_truncated_weights_are_refused(copy: Path) -> None:
    weights = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(
        ModelUnavailableError, match="the vision tower of 'local' cannot be loaded: "
    ):
        encoder(copy).encode_frames(frames())


def test_missing_projection_of_frames_is_refused(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailableError, match=r"vision tower \(visual_projection\.weight"):
        encoder(copy).encode_frames(frames())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("do_center_crop", False),
        ("resample", 1),
        ("do_normalize", False),
        ("size", {"shortest_edge": 40}),
        ("size", {"height": 32, "width": 32}),
    ],
    ids=str,
)
def test_preprocessing_that_is_not_clips_is_refused(copy: Path, key: str, value: Any) -> None:
    edit(copy / "preprocessor_config.json", lambda content: content.update({key: value}))
    with pytest.raises(ModelUnavailableError, match=rf"preprocessor_config\.json asks for {key}="):
        _ = encoder(copy).identity


def test_sizes_as_older_files_name_them_and_absent_values_are_taken(copy: Path) -> None:
    def older(content: dict[str, Any]) -> None:
        side = content["size"]["shortest_edge"]
        content.update(size=side, crop_size=side, image_mean=None)

    usual = encoder(copy).identity
    edit(copy / "preprocessor_config.json", older)
    assert encoder(copy).identity == usual


def test_one_mean_is_that_of_all_colours(copy: Path) -> None:
    edit(copy / "preprocessor_config.json", lambda content: content.update(image_mean=[0.5] * 3))
    each = open_checkpoint(str(copy)).pixels
    edit(copy / "preprocessor_config.json", lambda content: content.update(image_mean=0.5))
    assert open_checkpoint(str(copy)).pixels == each


@pytest.mark.parametrize("content", ["[]", '{"image_processor": []}'])
def test_preprocessor_file_without_settings_is_refused(copy: Path, content: str) -> None:
    (copy / "preprocessor_config.json").write_text(content)
    with pytest.raises(ModelUnavailableError, match="holds no settings of an image processor"):
        _ = encoder(copy).identity
