"""Answers of an engine read as the clients' own serializers read them."""

from __future__ import annotations

import json
import math
from typing import Any

import elasticsearch
import opensearchpy.exceptions
import opensearchpy.serializer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vidsearch.engines.answers import serializer_for

CLIENTS = {
    "elasticsearch": elasticsearch.JsonSerializer,
    "opensearch": opensearchpy.serializer.JSONSerializer,
}
NUMBERS = st.integers() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.fixture(params=CLIENTS, scope="module")
def base(request: pytest.FixtureRequest) -> Any:
    return CLIENTS[request.param]


@given(value=VALUES, ascii=st.booleans())
def test_answer_reads_as_the_client_reads_it(base: Any, value: Any, ascii: bool) -> None:
    text = json.dumps({"value": value}, ensure_ascii=ascii)
    ours, theirs = serializer_for(base).loads(text), base().loads(text)
    assert repr(ours) == repr(theirs)  # 1 is not 1.0, nor 0.0 -0.0


@pytest.mark.parametrize(
    "text",
    [
        f'{{"a": {2**63 - 1}, "b": {2**64 - 1}, "c": {-(2**63)}}}',
        f'{{"a":{2**64},"b":[{-(2**63) - 1},{10**30}]}}',
        f"[{10**25}.0, 1e400, 0.{'1' * 40}, 12345678901234567890123.5e-3]",
        '{"a": "\\ud83d", "\\udc00": 1}',
        '{"id": "12345678901234567890123"}',
    ],
)
def test_number_or_text_at_a_limit_reads_as_the_client_reads_it(base: Any, text: str) -> None:
    assert repr(serializer_for(base).loads(text)) == repr(base().loads(text))


def test_nan_reads_as_the_client_reads_it(base: Any) -> None:
    assert math.isnan(serializer_for(base).loads('{"a": NaN}')["a"])


@pytest.mark.parametrize("text", ["<html>", "", '{"a": 1', '{"a": 1} more'])
def test_no_json_is_the_error_of_the_client(base: Any, text: str) -> None:
    errors = (elasticsearch.SerializationError, opensearchpy.exceptions.SerializationError)
    with pytest.raises(errors):
        base().loads(text)
    with pytest.raises(errors):
        serializer_for(base).loads(text)


def test_bytes_read_as_text_does() -> None:
    data = '{"title": "Mädchen", "n": [0.1, 2]}'
    serializer = serializer_for(elasticsearch.JsonSerializer)
    assert serializer.loads(data.encode()) == serializer.loads(data) == json.loads(data)
