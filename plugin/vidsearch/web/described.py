"""Docstrings for those who do not write Python."""

from __future__ import annotations

import re

__all__ = ["markdown"]

_SEE = re.compile(r";?\s*see\s+:\w+:`[^`]+`")
_ROLE = re.compile(r":\w+:`~?(?:[\w.]+\.)?(\w+)`")
_PYTHON = {"`True`": "`true`", "`False`": "`false`", "`None`": "`null`"}


def markdown(text: str) -> str:
    """The first paragraph of a docstring, in Markdown and the words of JSON."""
    text = _ROLE.sub(r"`\1`", _SEE.sub("", text.partition("\n\n")[0])).replace("``", "`")
    for ours, theirs in _PYTHON.items():
        text = text.replace(ours, theirs)
    return " ".join(text.split())
