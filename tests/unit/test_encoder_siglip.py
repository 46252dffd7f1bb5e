"""SigLIP of both generations equals transformers' own model, and what of it is refused."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.encoders import TorchEncoder
from vidsearch.errors import ModelUnavailableError
from vidsearch.media import FrameBatch
from vidsearch.media.torch_pixels import clip_pixels_torch
from vidsearch.once import built
from vidsearch.testing.checkpoints import random_siglip_checkpoint
from vidsearch.testing.pixels_contract import levels_of, picture

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("PIL")

_TEXTS = [
    "",
    "a red circle",
    "Two people; ONE dog, 3 cats & a bird!",
    "how to bake bread in an old brick oven " * 12,
]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A checkpoint by generation."""
    base = tmp_path_factory.mktemp("models")
    return {
        1: random_siglip_checkpoint(base / "siglip-1", generation=1),
        2: random_siglip_checkpoint(base / "siglip-2", generation=2),
    }


@pytest.fixture(params=[1, 2])
def folder(request: pytest.FixtureRequest, both: dict[int, Path]) -> Path:
    return both[request.param]


@pytest.fixture
def copy(both: dict[int, Path], tmp_path: Path) -> Path:
    """Of the first generation, to damage."""
    return Path(shutil.copytree(both[1], tmp_path / "copy"))


def encoder(folder: Path, **arguments: Any) -> TorchEncoder:
    return TorchEncoder(str(folder), device="cpu", **{"precision": "fp32"} | arguments)


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    for key, value in changes.items():
        part, _, name = key.rpartition("__")
        (content[part] if part else content)[name] = value
    path.write_text(json.dumps(content))


def frames() -> FrameBatch:
    data = np.stack([picture(90, 160, seed=seed) for seed in range(3)])
    return FrameBatch(data, np.arange(3, dtype=np.float64))


def tokens(folder: Path, text: str) -> list[str]:
    """Those of a row as the tower gets it."""
    made = encoder(folder)
    _, tokenizer = made._texts
    return [tokenizer.id_to_token(id) for id in made._row(text)]


def whole(folder: Path) -> Any:
    return transformers.SiglipModel.from_pretrained(folder).eval()


def cosines(ours: NDArray[np.float32], theirs: Any) -> NDArray[np.float64]:
    a, b = ours.astype(np.float64), theirs.double().numpy()
    assert a.shape == b.shape
    return (a * b).sum(-1) / (np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1))


# Parity


def test_vectors_of_towers_equal_those_of_the_whole_model(folder: Path) -> None:
    ours = encoder(folder)
    rows = torch.tensor([ours._row(text) for text in _TEXTS])
    pixels = clip_pixels_torch(frames().data, ours._checkpoint.pixels)
    with torch.no_grad():
        theirs = whole(folder)(input_ids=rows, pixel_values=pixels)
    assert cosines(ours.encode_text(_TEXTS), theirs.text_embeds).min() >= 0.999999
    of_frames = cosines(ours.encode_frames(frames()), theirs.image_embeds)
    assert of_frames.min() >= 0.999999
    # The bar is not met by just any frame.
    assert cosines(ours.encode_frames(frames()), theirs.image_embeds.roll(1, 0)).max() < 0.999


def test_frames_equal_transformers_own_pixels(folder: Path) -> None:
    """Its processor on Pillow, then the whole model: the model card's way."""
    ours = encoder(folder)
    kind = getattr(transformers, "SiglipImageProcessorPil", transformers.SiglipImageProcessor)
    pixels = kind.from_pretrained(folder)(list(frames().data), return_tensors="pt")["pixel_values"]
    recipe = ours._checkpoint.pixels
    assert pixels.shape == (3, 3, recipe.size, recipe.size)
    mine = clip_pixels_torch(frames().data, recipe)
    error = np.abs(levels_of(mine, recipe) - levels_of(pixels, recipe))
    assert error.max() <= 2.01
    assert error.mean() <= 0.01
    with torch.no_grad():
        theirs = whole(folder).vision_model(pixel_values=pixels)[1]
    assert cosines(ours.encode_frames(frames()), theirs).min() >= 0.99999


def test_texts_of_the_second_generation_equal_transformers_own(both: dict[int, Path]) -> None:
    kind = getattr(transformers, "Siglip2Tokenizer", None)
    if kind is None:
        pytest.skip("this transformers has no tokenizer of SigLIP 2's own")
    theirs = kind.from_pretrained(both[2])(
        _TEXTS, padding="max_length", truncation=True, max_length=64
    )
    ours = encoder(both[2])
    assert [ours._row(text) for text in _TEXTS] == theirs["input_ids"]


def test_texts_of_the_first_generation_lose_case_and_punctuation(both: dict[int, Path]) -> None:
    plain = ["▁a", "▁r", "ed", "▁d", "og", "s", *["</s>"] * 58]
    assert tokens(both[1], "a red dogs") == plain
    assert tokens(both[1], "  A\tRED \n (dog's)!? ") == plain
    # Gemma's tokenizer keeps the dots.
    assert tokens(both[2], "A Red.")[:5] == ["a", "▁r", "ed", ".", "<eos>"]
    assert set(tokens(both[2], "A Red.")[5:]) == {"<pad>"}


def test_truncated_text_keeps_its_end_token(folder: Path) -> None:
    ours = encoder(folder)
    row = ours._row("red " * 100)
    assert len(row) == ours.context_length == 64
    assert row[-1] == 1
    assert row.count(1) == 1


def test_start_token_of_the_tokenizer_file_is_not_used(
    both: dict[int, Path], tmp_path: Path
) -> None:
    """transformers' Gemma tokenizers set it by their own options."""
    copy = Path(shutil.copytree(both[2], tmp_path / "copy"))
    template = json.loads((copy / "tokenizer.json").read_text())
    template["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "<bos>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<bos>": {"id": "<bos>", "ids": [2], "tokens": ["<bos>"]}},
    }
    (copy / "tokenizer.json").write_text(json.dumps(template))
    assert tokens(copy, "a")[:3] == ["a", "<eos>", "<pad>"]


# Identity and loading


def test_how_frames_are_resized_is_part_of_the_identity(both: dict[int, Path]) -> None:
    one, other = (encoder(both[number]).identity for number in (1, 2))
    assert (one.dims, one.image_size, one.frames) == (64, 32, "squash-bicubic")
    assert other.frames == "squash-bilinear"
    assert one.to_meta()["frames"] == "squash-bicubic"


def test_omitted_configuration_values_are_those_of_the_base_model(copy: Path) -> None:
    """The published config.json names hardly more than its type."""
    (copy / "config.json").write_text('{"model_type": "siglip", "vision_config": {}}')
    edit(copy / "preprocessor_config.json", size={"height": 224, "width": 224})
    base = encoder(copy)
    assert (base.identity.dims, base.identity.image_size, base.context_length) == (768, 224, 64)
    assert base._checkpoint.vocabulary_size == 32000


def test_only_the_tower_that_is_needed_is_loaded_and_silently(
    both: dict[int, Path], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    ours = encoder(both[1])
    ours.encode_text(["a red circle " * 50])
    assert "_vision_tower" not in built(ours)
    assert type(ours._text_tower).__name__ == "SiglipTextModel"
    ours.encode_frames(frames())
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_attention_that_pools_a_frame_survives_other_linear_layers(
    both: dict[int, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidsearch.encoders import onednn

    usual = encoder(both[1])
    monkeypatch.setattr(onednn, "_is_faster", lambda layer: False)
    expected = usual.encode_frames(frames())
    monkeypatch.setattr(onednn, "_is_faster", lambda layer: True)
    swapped = encoder(both[1])
    np.testing.assert_allclose(swapped.encode_frames(frames()), expected, atol=1e-5)
    kinds = [type(module).__name__ for module in swapped._vision_tower.modules()]
    assert "OneDnnLinear" in kinds
    assert "Linear" not in kinds


def test_bf16_vectors_are_near_fp32_vectors(both: dict[int, Path]) -> None:
    half = encoder(both[1], precision="bf16").encode_frames(frames())
    assert (half * encoder(both[1]).encode_frames(frames())).sum(1).min() >= 0.9995


# What is refused


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("config.json", {"model_type": "siglip2"}, "'siglip2': take a SigLIP 2 of a fixed"),
        ("config.json", {"vision_config__vision_use_head": False}, "has no head"),
        ("config.json", {"text_config__projection_size": 48}, "texts have 48 dims, .* frames 64"),
        ("preprocessor_config.json", {"do_center_crop": True}, "asks for do_center_crop=True"),
        ("preprocessor_config.json", {"resample": 1}, r"resample=1, .* \(resample=2 or 3\)"),
        ("preprocessor_config.json", {"size": {"shortest_edge": 32}}, "asks for size="),
        ("preprocessor_config.json", {"size": {"height": 64, "width": 64}}, "asks for size="),
    ],
)
def test_unsupported_checkpoint_is_refused(
    copy: Path, file: str, changes: dict[str, Any], message: str
) -> None:
    edit(copy / file, **changes)
    with pytest.raises(ModelUnavailableError, match=message):
        _ = encoder(copy).identity


def test_checkpoint_without_a_resize_rule_is_refused(copy: Path) -> None:
    (copy / "preprocessor_config.json").unlink()
    with pytest.raises(
        ModelUnavailableError, match=r"has no preprocessor_config\.json, which says how"
    ):
        _ = encoder(copy).identity


def test_sentencepiece_vocabulary_alone_is_refused(copy: Path) -> None:
    (copy / "tokenizer.json").rename(copy / "spiece.model")
    with pytest.raises(
        ModelUnavailableError, match=r"has no tokenizer\.json \(SentencePiece's spiece"
    ):
        encoder(copy).count_tokens("a")


def test_tokenizer_without_its_configuration_is_refused(copy: Path) -> None:
    (copy / "tokenizer_config.json").unlink()
    with pytest.raises(
        ModelUnavailableError, match=r"the tokenizer of 'local' .*tokenizer_config\.json"
    ):
        encoder(copy).count_tokens("a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokenizer_class": "T5Tokenizer"}, "tokenizer_class='T5Tokenizer'"),
        ({"do_lower_case": False}, "do_lower_case=False"),
        ({"eos_token": "<|end|>"}, r"lacks the token '<\|end\|>'"),
        ({"pad_token": {"content": "<|pad|>"}}, r"lacks the token '<\|pad\|>'"),
    ],
)
def test_unknown_tokenizer_class_is_refused(
    copy: Path, changes: dict[str, Any], message: str
) -> None:
    edit(copy / "tokenizer_config.json", **changes)
    with pytest.raises(ModelUnavailableError, match=message):
        encoder(copy).count_tokens("a")


def test_tokenizer_of_the_other_generation_is_refused(copy: Path, both: dict[int, Path]) -> None:
    shutil.copy(both[2] / "tokenizer.json", copy)
    with pytest.raises(ModelUnavailableError, match=r"knows 919 tokens, but the model \d+"):
        encoder(copy).count_tokens("a")


def test_missing_weights_of_the_head_are_refused(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights["text_model.head.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ModelUnavailableError, match=r"head\.weight .*not a SigLIP checkpoint with its"
    ):
        encoder(copy).encode_text(["a"])
