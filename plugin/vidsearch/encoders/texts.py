"""Texts as tokenizers take them."""

from __future__ import annotations

__all__ = ["encodable"]


def encodable(text: str) -> str:
    """The text without lone surrogates: bytes of a command line that are no UTF-8 arrive as such,
    and the Rust side of tokenizers refuses them.
    """
    return text.encode("utf-8", "replace").decode("utf-8")
