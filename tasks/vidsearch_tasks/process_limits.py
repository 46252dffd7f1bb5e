"""What the processes of a worker's pool are limited to: threads, and lines in the log."""

from __future__ import annotations

import logging
import os

__all__ = ["limit_threads", "quieten_clients"]

_LOG_LEVELS = {
    # They log a line per request, and opensearch-py a warning per document that is not there yet.
    "elastic_transport": logging.WARNING,
    "opensearch": logging.ERROR,
}


def limit_threads(number: int) -> None:
    """Set the number of threads of numerical libraries that are loaded later, unless it is set.

    As many workers as cores, each with as many threads as cores, would spend their time waiting for
    each other.
    """
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, str(number))


def quieten_clients() -> None:
    """Have the clients of search engines log what goes wrong only, unless their level is set."""
    for name, level in _LOG_LEVELS.items():
        logger = logging.getLogger(name)
        if logger.level == logging.NOTSET:
            logger.setLevel(level)
