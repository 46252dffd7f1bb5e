"""A real search node, a real Redis and a worker on this machine, without Docker.

>>> from vidsearch.local import SearchNode
>>> with SearchNode.start("opensearch") as node:  # doctest: +SKIP
...     print(node.url)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vidsearch.local.node import SearchNode
    from vidsearch.local.redis import RedisServer
    from vidsearch.local.stack import Stack

__all__ = ["RedisServer", "SearchNode", "Stack"]

_HOMES = {"SearchNode": "node", "RedisServer": "redis", "Stack": "stack"}


def __getattr__(name: str) -> object:
    # Late, so that `python -m vidsearch.local.doctor` runs before anything is installed.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
