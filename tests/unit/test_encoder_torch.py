"""The torch encoder: what it loads and when, what it refuses, and in which words."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from vidsearch.config import IngestSettings, ModelSettings
from vidsearch.encoders import TorchEncoder, load_encoder
from vidsearch.errors import ConfigError, ModelUnavailableError
from vidsearch.media import FrameBatch
from vidsearch.testing.checkpoints import clip_vocabulary, random_clip_checkpoint

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_clip_checkpoint(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    """A checkpoint to damage."""
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def encoder(folder: Path, **arguments: Any) -> TorchEncoder:
    return TorchEncoder(str(folder), device="cpu", **{"precision": "fp32"} | arguments)


def edit(path: Path, **changes: Any) -> None:
    content = json.loads(path.read_text())
    for key, value in changes.items():
        section, _, name = key.rpartition("__")
        (content[section] if section else content)[name] = value
    path.write_text(json.dumps(content))


def frames(count: int = 2) -> FrameBatch:
    data = np.random.default_rng(0).integers(0, 256, (count, 40, 50, 3), dtype=np.uint8)
    return FrameBatch(data, np.arange(count, dtype=np.float64))


# Identity


def test_two_folders_with_equal_weights_are_one_model(tiny: Path, copy: Path) -> None:
    one, other = encoder(tiny).identity, encoder(copy).identity
    assert one == other
    assert (one.name, one.dims, one.image_size) == ("local", 64, 32)
    assert one.sampling == "played-at@1fps"


def test_other_weights_are_another_model(tiny: Path, tmp_path: Path) -> None:
    other = random_clip_checkpoint(tmp_path / "other", seed=1)
    assert encoder(tiny).identity.revision != encoder(other).identity.revision


def test_the_sampling_rate_is_part_of_the_identity(tiny: Path) -> None:
    assert encoder(tiny, rate=2.0).identity.sampling == "played-at@2fps"
    assert encoder(tiny, rate=0.5).identity.sampling == "played-at@0.5fps"
    settings = ModelSettings(name=str(tiny), device="cpu")
    assert load_encoder(settings, IngestSettings(fps=2)).identity == encoder(tiny, rate=2).identity


def test_the_demo_checkpoint_goes_by_its_name() -> None:
    identity = TorchEncoder("demo").identity
    assert (identity.name, identity.dims) == ("demo", 512)
    assert len(identity.revision) == 64


def test_every_setting_reaches_the_encoder() -> None:
    settings = ModelSettings(
        name="acme/clip",
        revision="v1",
        device="cpu",
        precision="bf16",
        batch_size=3,
        threads=2,
        offline=True,
        token=SecretStr("hf_secret"),
    )
    made = load_encoder(settings, IngestSettings(fps=2))
    direct = TorchEncoder(
        settings.name, rate=2.0, **settings.model_dump(exclude={"name", "encoder", "others"})
    )
    ignored = {"_lock"}
    assert {k: v for k, v in vars(made).items() if k not in ignored} == {
        k: v for k, v in vars(direct).items() if k not in ignored
    }


def test_weights_in_shards_have_an_identity(tiny: Path, tmp_path: Path) -> None:
    def sharded(name: str) -> Path:
        folder = Path(shutil.copytree(tiny, tmp_path / name))
        model = transformers.CLIPModel.from_pretrained(tiny)
        (folder / "model.safetensors").unlink()
        model.save_pretrained(folder, max_shard_size="100KB")
        assert len(list(folder.glob("model-*-of-*.safetensors"))) > 1
        return folder

    one, other = encoder(sharded("one")), encoder(sharded("other"))
    assert one.identity == other.identity
    np.testing.assert_allclose(
        one.encode_text(["a red circle"]), encoder(tiny).encode_text(["a red circle"]), atol=1e-6
    )


# Loading


def test_only_the_tower_that_is_needed_is_loaded(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    for name in ("CLIPTextModelWithProjection", "CLIPVisionModelWithProjection"):
        tower = getattr(transformers, name)
        original = tower.from_pretrained

        def record(*args: Any, _name: str = name, _original: Any = original, **kwargs: Any) -> Any:
            loaded.append(_name)
            return _original(*args, **kwargs)

        monkeypatch.setattr(tower, "from_pretrained", record)

    lazy = encoder(tiny)
    assert lazy.identity.dims == 64
    assert lazy.context_length == 77
    lazy.count_tokens("a red circle")
    assert loaded == []
    lazy.encode_text(["a red circle"])
    lazy.encode_text(["a blue square"])
    assert loaded == ["CLIPTextModelWithProjection"]
    lazy.encode_frames(frames())
    lazy.encode_frames(frames())
    assert loaded == ["CLIPTextModelWithProjection", "CLIPVisionModelWithProjection"]


def test_half_precision_weights_are_computed_in_single(tmp_path: Path) -> None:
    half = random_clip_checkpoint(tmp_path / "half", half=True)
    lazy = encoder(half)
    lazy.encode_text(["a"])
    lazy.encode_frames(frames())
    for tower in (lazy._text_tower, lazy._vision_tower):
        assert {parameter.dtype for parameter in tower.parameters()} == {torch.float32}


def test_loading_is_silent(
    tiny: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    verbose = encoder(tiny)
    verbose.encode_text(["a red circle " * 50])
    verbose.encode_frames(frames())
    verbose.count_tokens("a red circle " * 50)
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []
    assert transformers.utils.logging.is_progress_bar_enabled()


def test_batches_and_threads_follow_the_settings(tiny: Path) -> None:
    before = torch.get_num_threads()
    try:
        small = encoder(tiny, batch_size=2, threads=2)
        sizes = []
        small.encode_frames(frames(1))
        small._vision_tower.register_forward_pre_hook(
            lambda _, __, kwargs: sizes.append(len(kwargs["pixel_values"])), with_kwargs=True
        )
        vectors = small.encode_frames(frames(5))
        assert sizes == [2, 2, 1]
        assert torch.get_num_threads() == 2
        np.testing.assert_allclose(vectors, encoder(tiny).encode_frames(frames(5)), atol=1e-6)
    finally:
        torch.set_num_threads(before)


def test_preprocessing_follows_the_checkpoint(copy: Path, tiny: Path) -> None:
    edit(copy / "preprocessor_config.json", image_mean=[0.2, 0.3, 0.4], image_std=[0.5, 0.5, 0.5])
    pixels = encoder(copy)._checkpoint.pixels
    assert (pixels.size, pixels.mean, pixels.std) == (32, (0.2, 0.3, 0.4), (0.5, 0.5, 0.5))
    # transformers 5 may nest it in another file.
    content = json.loads((copy / "preprocessor_config.json").read_text())
    (copy / "preprocessor_config.json").unlink()
    (copy / "processor_config.json").write_text(json.dumps({"image_processor": content}))
    assert encoder(copy)._checkpoint.pixels == pixels
    (copy / "processor_config.json").unlink()
    assert encoder(copy)._checkpoint.pixels == encoder(tiny)._checkpoint.pixels


# What is refused


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./nothing", "~/nothing", "a/b/c", "what ever"]
)
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(ModelUnavailableError, match=r"no folder.*VIDSEARCH_MODEL__NAME"):
        _ = TorchEncoder(name).identity


def test_a_folder_without_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"no config\.json"):
        _ = encoder(tmp_path).identity


def test_a_broken_configuration(copy: Path) -> None:
    (copy / "config.json").write_text("{")
    with pytest.raises(ModelUnavailableError, match=r"config\.json cannot be read"):
        _ = encoder(copy).identity


def test_another_kind_of_model(copy: Path) -> None:
    edit(copy / "config.json", model_type="bert")
    with pytest.raises(
        ModelUnavailableError, match="neither a CLIP nor a SigLIP checkpoint, but of type 'bert'"
    ):
        _ = encoder(copy).identity


def test_a_folder_without_weights(copy: Path) -> None:
    (copy / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailableError, match="no weights"):
        _ = encoder(copy).identity


def test_damaged_weights(copy: Path) -> None:
    (copy / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(ModelUnavailableError, match=r"text tower.*cannot be loaded"):
        encoder(copy).encode_text(["a"])


def test_weights_of_another_shape(copy: Path) -> None:
    edit(copy / "config.json", text_config__hidden_size=32)
    with pytest.raises(
        ModelUnavailableError, match=r"text tower.*has the shape \(77, 64\), but .* \(77, 32\)"
    ):
        encoder(copy).encode_text(["a"])


def test_missing_weights_are_not_made_up(copy: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(copy / "model.safetensors")
    del weights["text_projection.weight"]
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailableError, match=r"lacks weights.*text_projection\.weight"):
        encoder(copy).encode_text(["a"])


def test_a_tokenizer_that_is_not_there(copy: Path) -> None:
    for name in ("vocab.json", "merges.txt"):
        (copy / name).unlink()
    with pytest.raises(ModelUnavailableError, match="tokenizer"):
        encoder(copy).count_tokens("a")


def test_a_tokenizer_of_another_checkpoint(copy: Path) -> None:
    vocabulary, merges = clip_vocabulary(900)
    (copy / "vocab.json").write_text(json.dumps(vocabulary))
    (copy / "merges.txt").write_text("\n".join(["#version: 0.2", *(f"{a} {b}" for a, b in merges)]))
    with pytest.raises(ModelUnavailableError, match="900 tokens, but the model 1024"):
        encoder(copy).encode_text(["a"])


def test_a_wrong_end_token_does_not_pass_silently(copy: Path) -> None:
    # Pooling then finds no end token and takes the first position: every text the same vector.
    edit(copy / "config.json", text_config__eos_token_id=511)
    with pytest.raises(ModelUnavailableError, match="one and the same vector"):
        encoder(copy).encode_text(["a"])


def test_a_device_that_is_not_there(tiny: Path) -> None:
    with pytest.raises(ConfigError, match=r"'abacus'.*VIDSEARCH_MODEL__DEVICE"):
        TorchEncoder(str(tiny), device="abacus").encode_text(["a"])


def test_the_token_is_never_shown(tiny: Path) -> None:
    secret = TorchEncoder("nobody/nothing", offline=True, token=SecretStr("hf_secret"))
    with pytest.raises(ModelUnavailableError) as caught:
        _ = secret.identity
    assert "hf_secret" not in f"{caught.value!r} {secret!r} {vars(secret)!r}"


# The vocabulary that random checkpoints carry


def test_the_made_up_vocabulary_is_like_the_real_one() -> None:
    vocabulary, merges = clip_vocabulary(49408)
    assert len(vocabulary) == 49408
    assert len(merges) == 49408 - 512 - 2
    assert len(set(merges)) == len(merges)
    assert sorted(vocabulary.values()) == list(range(49408))
    assert vocabulary["!"] == 0  # as in the real one
    assert vocabulary["<|startoftext|>"] == 49406
    assert vocabulary["<|endoftext|>"] == 49407
