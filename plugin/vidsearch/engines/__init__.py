"""Thin I/O to the search engine: one protocol, one dialect per engine.

Importing this loads no client library; :func:`connect` loads the one that is needed.
"""

from __future__ import annotations

from vidsearch.engines.base import AsyncEngine, Engine
from vidsearch.engines.connect import connect, connect_async
from vidsearch.engines.types import (
    BulkResult,
    Document,
    EngineInfo,
    EngineKind,
    Features,
    Json,
    Revision,
    ShardsRead,
    Write,
    routing_of,
)

__all__ = [
    "AsyncEngine",
    "BulkResult",
    "Document",
    "Engine",
    "EngineInfo",
    "EngineKind",
    "Features",
    "Json",
    "Revision",
    "ShardsRead",
    "Write",
    "connect",
    "connect_async",
    "routing_of",
]
