"""A CLIP-style byte-pair tokenizer whose merges make one token of every word of the drawn world."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

from vidsearch.demo.scenes import SHAPES, WORDS

START = "<|startoftext|>"
END = "<|endoftext|>"
_WORD_END = "</w>"
_EXTRA = (
    "a an and are at background backdrop against balls behind by clip find for from front half in "
    "is it me object objects of on one or pair picture scene second first shape shapes show "
    "showing single some that the there these this three to two video wall with"
)


def byte_symbols() -> list[str]:
    """The 256 printable stand-ins of bytes, in CLIP's order."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    shifted = [byte for byte in range(256) if byte not in kept]
    return [chr(byte) for byte in kept] + [chr(256 + index) for index in range(len(shifted))]


def words() -> list[str]:
    """Every word a caption may hold, lower case, sorted."""
    found = set(_EXTRA.split())
    for nouns in SHAPES.values():
        found.update(word for pair in nouns for word in pair)
    for synonyms in WORDS.values():
        found.update(part for words in synonyms.values() for word in words for part in word.split())
    return sorted(word for word in found if word.isalpha())


def build_merges() -> list[tuple[str, str]]:
    """Merges, most frequent pair first and ties by spelling, until every word is one token."""
    pieces = {word: [*word[:-1], word[-1] + _WORD_END] for word in words()}
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for parts in pieces.values() for pair in pairwise(parts))
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        pieces = {word: _merged(parts, best) for word, parts in pieces.items()}


def _merged(parts: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    for part in parts:
        if result and (result[-1], part) == pair:
            result[-1] += part
        else:
            result.append(part)
    return result


def write_tokenizer(folder: Path, *, max_length: int) -> int:
    """Write the five tokenizer files into `folder`; returns the size of the vocabulary."""
    from transformers import AutoTokenizer

    symbols = byte_symbols()
    merges = build_merges()
    tokens = [*symbols, *(symbol + _WORD_END for symbol in symbols)]
    tokens += [left + right for left, right in merges]
    tokens += [START, END]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        raise ValueError("two merges make the same token")
    folder.mkdir(parents=True, exist_ok=True)
    # Later releases rewrite this file; older ones read it as it is.
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": max_length,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
        "do_lower_case": True,
        "errors": "replace",
    }
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "vocab.json").write_text(
        json.dumps(vocabulary, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (folder / "tokenizer_config.json").write_text(json.dumps(config) + "\n", encoding="utf-8")
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    return len(tokens)
