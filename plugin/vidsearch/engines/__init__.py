"""Thin I/O to the search engine: one protocol, one adapter per engine.

Importing this loads no client library; :func:`connect` loads the one that is needed.
"""

from __future__ import annotations

from vidsearch.engines.base import Document, Engine, EngineInfo, EngineKind, Json, Revision, Write
from vidsearch.engines.connect import connect

__all__ = [
    "Document",
    "Engine",
    "EngineInfo",
    "EngineKind",
    "Json",
    "Revision",
    "Write",
    "connect",
]
