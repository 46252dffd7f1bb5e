"""A real search node, a real Redis and a worker on this machine, without Docker.

>>> from vidsearch.local import SearchNode
>>> with SearchNode.start("opensearch") as node:  # doctest: +SKIP
...     print(node.url)

Importing this package loads nothing: ``python -m vidsearch.local.doctor`` runs before anything is
installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.local.node import SearchNode
    from vidsearch.local.redis import RedisServer
    from vidsearch.local.stack import Stack

__all__ = ["RedisServer", "SearchNode", "Stack"]

__getattr__, __dir__ = imported_late(
    __name__,
    {
        "RedisServer": "vidsearch.local.redis",
        "SearchNode": "vidsearch.local.node",
        "Stack": "vidsearch.local.stack",
    },
)
