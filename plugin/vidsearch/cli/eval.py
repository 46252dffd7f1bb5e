"""``vidsearch eval``: how well a model finds, and how well an index is searched."""

from __future__ import annotations

import click

from vidsearch.cli.eval_pairs import pairs
from vidsearch.cli.eval_search import search

__all__ = ["eval"]


@click.group()
def eval() -> None:
    """Measure retrieval: of captions and videos, or of judged searches."""


eval.add_command(pairs)
eval.add_command(search)
