"""Every decoder keeps the same contract."""

from __future__ import annotations

from functools import partial

import pytest

from vidsearch.media import open_decoder
from vidsearch.testing.decoder_contract import DecoderContract, MakeDecoder


class TestPyAvDecoder(DecoderContract):
    @pytest.fixture
    def make_decoder(self) -> MakeDecoder:
        return partial(open_decoder, "pyav")


class TestPyAvDecoderOnTwoThreads(DecoderContract):
    @pytest.fixture
    def make_decoder(self) -> MakeDecoder:
        return partial(open_decoder, "pyav", threads=2)


class TestOpenCvDecoder(DecoderContract):
    @pytest.fixture
    def make_decoder(self) -> MakeDecoder:
        return partial(open_decoder, "opencv")
