"""Exported checkpoints keep the contract of encoders, and equal what they were exported from."""

from __future__ import annotations

import numpy as np
import pytest
from tests.exports import (
    demo_export,
    siglip_checkpoint,
    siglip_export,
    tiny_checkpoint,
    tiny_export,
)

from vidsearch.encoders import Encoder, TorchEncoder
from vidsearch.encoders.onnx import OnnxEncoder
from vidsearch.media import FrameBatch
from vidsearch.testing.encoder_contract import EncoderContract

_TEXTS = [
    "",
    "a red circle",
    "Two people; one dog, 3 cats & a bird!",
    "how to bake bread in an old brick oven",
    "a person in a striped shirt flips a pancake in a pan in a kitchen " * 8,
]


@pytest.fixture(scope="module", params=["fp32", "int8"])
def on_random_weights(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Encoder:
    return OnnxEncoder(tiny_export(tmp_path_factory), precision=request.param)


@pytest.fixture(scope="module", params=["fp32", "int8"])
def on_demo_weights(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Encoder:
    return OnnxEncoder(demo_export(tmp_path_factory), precision=request.param, cache_size=0)


class TestOnnxEncoderOnRandomWeights(EncoderContract):
    @pytest.fixture
    def encoder(self, on_random_weights: Encoder) -> Encoder:
        return on_random_weights


class TestOnnxEncoderOnTheDemoCheckpoint(EncoderContract):
    @pytest.fixture
    def encoder(self, on_demo_weights: Encoder) -> Encoder:
        return on_demo_weights


@pytest.mark.parametrize("name", ["demo", "random", "siglip"])
@pytest.mark.parametrize(("precision", "bar"), [("fp32", 0.999999), ("int8", 0.98)])
def test_onnx_vectors_equal_torch_vectors(
    tmp_path_factory: pytest.TempPathFactory, name: str, precision: str, bar: float
) -> None:
    if name == "demo":
        export, checkpoint = demo_export(tmp_path_factory), "demo"
    elif name == "siglip":
        export, checkpoint = siglip_export(tmp_path_factory), siglip_checkpoint(tmp_path_factory)
    else:
        export, checkpoint = tiny_export(tmp_path_factory), tiny_checkpoint(tmp_path_factory)
    ours = OnnxEncoder(export, precision=precision)
    theirs = TorchEncoder(str(checkpoint), device="cpu", precision="fp32")
    # Of the drawn kind: noise alone is one and the same grey to any encoder.
    rng = np.random.default_rng(1)
    data = rng.integers(0, 64, (5, 90, 160, 3), dtype=np.uint8)
    data += rng.integers(0, 192, (5, 1, 1, 3), dtype=np.uint8)
    frames = FrameBatch(data, np.arange(5, dtype=np.float64))

    assert (ours.encode_text(_TEXTS) * theirs.encode_text(_TEXTS)).sum(1).min() >= bar
    assert (ours.encode_frames(frames) * theirs.encode_frames(frames)).sum(1).min() >= bar
    assert ours.identity == theirs.identity
    assert ours.identity.precision == precision
    assert ours.context_length == theirs.context_length
    assert [ours.count_tokens(text) for text in _TEXTS] == [
        theirs.count_tokens(text) for text in _TEXTS
    ]
