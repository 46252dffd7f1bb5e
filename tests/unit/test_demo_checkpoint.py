"""The shipped checkpoint: its format, its tokenizer, and that it finds what it never saw."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import vidsearch
from vidsearch.demo import VALUES, Scene, Shot, scenes, write_clip

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

FOLDER = Path(vidsearch.__file__).parent / "encoders" / "demo_checkpoint"
FILES = {
    "README.md",
    "config.json",
    "merges.txt",
    "model.safetensors",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.json",
}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Batches are tiny: a second thread would only wait for the first."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model() -> Any:
    return transformers.CLIPModel.from_pretrained(FOLDER, dtype=torch.float32)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return transformers.AutoTokenizer.from_pretrained(FOLDER)


@pytest.fixture(scope="module")
def processor() -> Any:
    return transformers.CLIPImageProcessor.from_pretrained(FOLDER)


def unit(output: Any) -> Any:
    vectors = getattr(output, "pooler_output", output)
    return torch.nn.functional.normalize(vectors, dim=-1).numpy()


def texts(model: Any, tokenizer: Any, *queries: str) -> Any:
    tokens = tokenizer(list(queries), padding=True, truncation=True, return_tensors="pt")
    with torch.inference_mode():
        return unit(model.get_text_features(**tokens))


def clip(model: Any, processor: Any, frames: list[Any]) -> Any:
    pixels = processor(images=frames, return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        mean = unit(model.get_image_features(pixel_values=pixels)).mean(axis=0)
    return mean / np.linalg.norm(mean)


class TestFiles:
    def test_files_are_complete_and_small(self) -> None:
        assert {path.name for path in FOLDER.iterdir()} == FILES
        assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 4_000_000

    def test_weights_are_in_half_precision(self) -> None:
        safetensors = pytest.importorskip("safetensors")
        with safetensors.safe_open(FOLDER / "model.safetensors", framework="pt") as file:
            # Older releases of transformers ask for this.
            assert file.metadata()["format"] == "pt"
            assert {file.get_tensor(name).dtype for name in file.keys()} == {  # noqa: SIM118
                torch.float16
            }

    def test_configuration_and_tokenizer_agree(self, tokenizer: Any) -> None:
        config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
        text = config["text_config"]
        assert config["projection_dim"] == text["projection_dim"] == 512
        assert len(tokenizer) == text["vocab_size"]
        assert tokenizer.bos_token_id == text["bos_token_id"]
        assert tokenizer.eos_token_id == text["eos_token_id"]
        assert tokenizer.pad_token_id == text["pad_token_id"]
        assert tokenizer.model_max_length == text["max_position_embeddings"] == 77

    def test_model_card_warns_of_real_videos(self) -> None:
        card = (FOLDER / "README.md").read_text(encoding="utf-8")
        assert "license: apache-2.0" in card
        assert "never" in card


class TestTokenizer:
    def test_words_of_captions_have_one_token_each(self, tokenizer: Any) -> None:
        caption = "Two LARGE striped red circles on a black background"
        ids = tokenizer(caption)["input_ids"]
        assert len(ids) == len(caption.split()) + 2
        assert (ids[0], ids[-1]) == (tokenizer.bos_token_id, tokenizer.eos_token_id)

    def test_unknown_symbols_do_not_end_the_text(self, tokenizer: Any) -> None:
        ids = tokenizer("caf\u00e9 \u2603 \u4e2d\u6587 \U0001f600 ~x")["input_ids"]
        assert tokenizer.eos_token_id not in ids[:-1]

    def test_slow_and_fast_tokenizer_files_give_the_same_tokens(self, tokenizer: Any) -> None:
        assert json.loads((FOLDER / "vocab.json").read_text("utf-8")) == tokenizer.get_vocab()


class TestModel:
    def test_different_texts_have_different_vectors(self, model: Any, tokenizer: Any) -> None:
        # With a wrong end token all texts silently become one vector.
        vectors = texts(model, tokenizer, "a red circle", "a blue square", "a green star")
        assert (vectors @ vectors.T - np.eye(3)).max() < 0.9

    def test_padding_does_not_change_vectors(self, model: Any, tokenizer: Any) -> None:
        alone = texts(model, tokenizer, "a red circle")
        padded = texts(model, tokenizer, "a red circle", "two tiny dotted stars on a navy wall")
        np.testing.assert_allclose(padded[:1], alone, atol=1e-5)

    def test_long_texts_are_truncated(self, model: Any, tokenizer: Any) -> None:
        vectors = texts(model, tokenizer, "red circle " * 100, "zq" * 500, "")
        assert vectors.shape == (3, 512)
        assert np.isfinite(vectors).all()

    def test_towers_give_the_vectors_of_the_whole_model(self, model: Any, tokenizer: Any) -> None:
        transformers.logging.set_verbosity_error()  # they report the other tower's weights
        kwargs = {"dtype": torch.float32}
        text = transformers.CLIPTextModelWithProjection.from_pretrained(FOLDER, **kwargs)
        vision = transformers.CLIPVisionModelWithProjection.from_pretrained(FOLDER, **kwargs)
        tokens = tokenizer(["a red circle"], return_tensors="pt")
        pixels = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            np.testing.assert_allclose(
                unit(text(**tokens).text_embeds), unit(model.get_text_features(**tokens)), atol=1e-5
            )
            np.testing.assert_allclose(
                unit(vision(pixel_values=pixels).image_embeds),
                unit(model.get_image_features(pixel_values=pixels)),
                atol=1e-5,
            )

    def test_held_out_clips_are_found_by_their_captions(
        self, model: Any, tokenizer: Any, processor: Any, tmp_path: Path
    ) -> None:
        av = pytest.importorskip("av")
        wanted: list[Scene] = scenes(24, seed=41, split="held_out")
        vectors, swapped = [], []
        for number, scene in enumerate(wanted):
            path = tmp_path / f"{number}.mp4"
            write_clip(path, [Shot(scene=scene, seconds=3, seed=number)], fps=2, gop=2)
            with av.open(str(path)) as container:
                frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)][::2]
            vectors.append(clip(model, processor, frames))
            swapped.append(clip(model, processor, [frame[..., ::-1].copy() for frame in frames]))
        queries = texts(model, tokenizer, *[scene.caption for scene in wanted])
        right = np.arange(len(wanted))
        assert ((queries @ np.stack(vectors).T).argmax(axis=1) == right).mean() >= 0.9
        # Red and blue the wrong way round must show: the nearest colour is another one.
        named = []
        for vector, scene in zip(swapped, wanted, strict=True):
            options = [scene.with_value("colour", name).caption for name in VALUES["colour"]]
            best = (texts(model, tokenizer, *options) @ vector).argmax()
            named.append(VALUES["colour"][best] == scene.colour)
        assert np.mean(named) <= 0.3
