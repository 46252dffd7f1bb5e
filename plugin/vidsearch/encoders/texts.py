"""How texts are prepared for a tokenizer, and tokens for a text tower."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

__all__ = ["Cleaning", "TextRecipe"]

Cleaning = Literal["none", "lower", "lower-no-punctuation"]

_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class TextRecipe:
    """What a text tower expects; read from the checkpoint."""

    context_length: int
    """Tokens that it reads, those included that the model adds."""
    cleaning: Cleaning = "none"
    """What is done to a text before its tokenizer sees it."""
    padding: int | None = None
    """Token that fills every row up to the context length, where the tower was trained so."""

    def __post_init__(self) -> None:
        if self.context_length < 2 or self.cleaning not in get_args(Cleaning):
            raise ValueError(f"not a recipe for texts: {self}")

    def ids(self, tokenizer: Any, text: str) -> list[int]:
        """All tokens of a text, those included that the model adds.

        Args:
            tokenizer: a ``tokenizers.Tokenizer`` that neither pads nor cuts off.
            text: anything.
        """
        ids: list[int] = tokenizer.encode(self._cleaned(_encodable(text))).ids
        return ids

    def row(self, ids: Sequence[int]) -> list[int]:
        """Tokens as the tower reads them: what is too long is cut off, what is short is filled
        where the tower wants it."""
        row = list(ids)
        if len(row) > self.context_length:
            # The end token stays: the tower pools there, or was never shown a text without it.
            row = [*row[: self.context_length - 1], row[-1]]
        if self.padding is not None:
            row += [self.padding] * (self.context_length - len(row))
        return row

    def _cleaned(self, text: str) -> str:
        if self.cleaning == "none":
            return text
        text = text.lower()
        if self.cleaning == "lower-no-punctuation":
            text = re.sub(r"\s+", " ", text.translate(_PUNCTUATION)).strip()
        return text


def _encodable(text: str) -> str:
    """The text without lone surrogates: bytes of a command line that are no UTF-8 arrive as such,
    and the Rust side of tokenizers refuses them.
    """
    return text.encode("utf-8", "replace").decode("utf-8")
