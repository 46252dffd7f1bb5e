"""``python -m vidsearch.cli``: the command where the scripts folder is not on the path."""

from __future__ import annotations

from vidsearch.cli import main

main()
