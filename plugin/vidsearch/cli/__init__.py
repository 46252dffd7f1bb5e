"""The ``vidsearch`` command: nouns, then verbs; data on stdout, messages on stderr."""

from __future__ import annotations

from vidsearch.cli.root import cli, main

__all__ = ["cli", "main"]
