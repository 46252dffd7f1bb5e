"""Every encoder keeps the same contract."""

from __future__ import annotations

import pytest

from vidsearch.encoders import Encoder, TorchEncoder
from vidsearch.testing.checkpoints import random_clip_checkpoint, random_siglip_checkpoint
from vidsearch.testing.encoder_contract import EncoderContract
from vidsearch.testing.fake_encoder import FakeEncoder


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = random_clip_checkpoint(tmp_path_factory.mktemp("models") / "tiny", half=True)
    return TorchEncoder(str(folder), device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def demo_weights() -> Encoder:
    return TorchEncoder("demo", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def half_precision() -> Encoder:
    return TorchEncoder("demo", device="cpu", precision="bf16")


@pytest.fixture(scope="module", params=[1, 2])
def siglip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp("models") / "siglip"
    random_siglip_checkpoint(folder, generation=request.param)
    return TorchEncoder(str(folder), device="cpu", precision="fp32")


class TestFakeEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self) -> Encoder:
        return FakeEncoder()


class TestTorchEncoderOnRandomWeights(EncoderContract):
    @pytest.fixture
    def encoder(self, random_weights: Encoder) -> Encoder:
        return random_weights


class TestTorchEncoderOnTheDemoCheckpoint(EncoderContract):
    @pytest.fixture
    def encoder(self, demo_weights: Encoder) -> Encoder:
        return demo_weights


class TestTorchEncoderOnSiglip(EncoderContract):
    @pytest.fixture
    def encoder(self, siglip: Encoder) -> Encoder:
        return siglip


class TestTorchEncoderInBf16(EncoderContract):
    # A frame alone takes other kernels than one of a batch, and their last bit is of eight.
    frame_tolerance = 0.02

    @pytest.fixture
    def encoder(self, half_precision: Encoder) -> Encoder:
        return half_precision
