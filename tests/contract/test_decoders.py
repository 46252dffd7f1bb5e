"""Every decoder keeps the same contract."""

from __future__ import annotations

import pytest

from vidsearch.media import Decoder, open_decoder
from vidsearch.testing.decoder_contract import DecoderContract


class TestOpenCvDecoder(DecoderContract):
    @pytest.fixture
    def decoder(self) -> Decoder:
        return open_decoder("opencv")


class TestPyAvDecoder(DecoderContract):
    @pytest.fixture
    def decoder(self) -> Decoder:
        return open_decoder("pyav")
