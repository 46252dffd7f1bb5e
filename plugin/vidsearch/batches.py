"""Iterables in batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

__all__ = ["BATCH", "in_batches"]

BATCH = 500
"""Videos per request to the engine."""

_T = TypeVar("_T")


def in_batches(items: Iterable[_T], size: int = BATCH) -> Iterator[list[_T]]:
    """Lists of ``size`` items, the last one maybe shorter. Reads one batch ahead, and no more."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
