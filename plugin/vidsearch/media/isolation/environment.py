"""How the child is started: its command and the little that it inherits."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["COMMAND", "child_environment"]

COMMAND = (sys.executable, "-m", "vidsearch.media.isolation.child")

# What libraries are found and loaded by, and the language of messages. Nothing else is passed on:
# the environment of a worker holds passwords and the keys of buckets.
_INHERITED = frozenset(
    {
        "DYLD_FALLBACK_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "LANG",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "PATH",
        "PYTHONHOME",
        "TMPDIR",
        "TZ",
    }
)
_INHERITED_PREFIXES = ("LC_", "OPENCV_")


def child_environment() -> dict[str, str]:
    """The variables of the child; what Python imports comes from where it came from here."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path),
        "PYTHONFAULTHANDLER": "1",  # where in Python it crashed, for the worker's log
        # One process per worker, one thread per process; and an arena of malloc's per thread would
        # take address space that the limit counts.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
    }
