"""Answers of an engine, read several times as fast as by the clients' own serializers."""

from __future__ import annotations

from typing import Any

import orjson

__all__ = ["serializer_for"]

# A regular expression would take longer than the reading itself.
_KINDS = bytes(
    ord("0") if chr(byte) in "0123456789" else ord(".") if chr(byte) == "." else ord(" ")
    for byte in range(256)
)
_LONG_NUMBER = b" " + 19 * b"0"


def serializer_for(base: type[Any]) -> Any:
    """A serializer of a client: ``base`` but for reading, which gives the same.

    orjson makes floats of whole numbers beyond 64 bits, and refuses NaN and half of a surrogate
    pair. Such an answer is read by ``base``.

    Args:
        base: the client's serializer of JSON: ``elasticsearch.JsonSerializer`` or
            ``opensearchpy.serializer.JSONSerializer``.
    """

    class Serializer(base):  # type: ignore[misc]
        def loads(self, data: str | bytes) -> Any:
            try:
                raw = data.encode() if isinstance(data, str) else data
                if _LONG_NUMBER not in raw.translate(_KINDS):
                    return orjson.loads(raw)
            except ValueError:
                pass
            return super().loads(data)

    return Serializer()
