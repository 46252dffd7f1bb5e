"""The tokenizer's file in the form that loads fastest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["write_tokenizer"]


def write_tokenizer(tokenizer: Any, path: Path) -> None:
    """Write a ``tokenizers.Tokenizer`` as JSON, its merges as ``"a b"`` instead of ``["a", "b"]``.

    tokenizers reads both forms, and the older one a third faster. Where that would not give the
    very same tokenizer, as where a piece of a merge holds a blank, the file is the usual one.
    """
    usual = tokenizer.to_str()
    content = json.loads(usual)
    merges = content["model"].get("merges") or []
    content["model"]["merges"] = [one if isinstance(one, str) else " ".join(one) for one in merges]
    short = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    path.write_text(short if merges and _same(short, tokenizer) else usual, encoding="utf-8")


def _same(text: str, tokenizer: Any) -> bool:
    try:
        read = type(tokenizer).from_str(text)
    except Exception:  # a bare Exception is what tokenizers raises
        return False
    same: bool = read.to_str() == tokenizer.to_str()
    return same
