"""What is one word of a text, much as the standard analyzer of the engines cuts it."""

from __future__ import annotations

import re

__all__ = ["PIECE", "WORD"]

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# Combining marks of decomposed text (NFD), which belong to the letter before them.
_MARK = "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff]"
_LETTER = rf"(?:[^\W{_CJK}]|{_MARK})"
_SYMBOL = r"[^\w\s\x00-\u203b]"  # emoji and the like

PIECE = re.compile(rf"[{_CJK}]|{_LETTER}{{1,255}}|{_SYMBOL}")
"""What any analyzer makes at most one term of."""

WORD = re.compile(rf"[{_CJK}]+|{_LETTER}+(?:['’.]{_LETTER}+)*|{_SYMBOL}")
"""Pieces that make one word: "don't", "o'clock", "a.m" and "red_car" are one."""
