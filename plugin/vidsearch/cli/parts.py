"""The parts that a command works with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vidsearch.cli import output

if TYPE_CHECKING:
    from vidsearch_tasks import Runtime

__all__ = ["opened_parts"]


@contextmanager
def opened_parts() -> Iterator[Runtime]:
    """Engine, registry and broker as the settings name them; closed at the end."""
    from vidsearch_tasks import Runtime

    parts = Runtime(output.settings())
    try:
        yield parts
    finally:
        parts.close()
