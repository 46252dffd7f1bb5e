"""The body that reads single fields of the candidates of a search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["fields_query"]


def fields_query(*, ids: Sequence[str], fields: Sequence[str]) -> dict[str, Any]:
    """Single fields of some videos, vectors too, without a ``_source``.

    Both engines give a vector as a flat list there, whatever keeps it out of the document.
    """
    query = {"ids": {"values": list(ids)}}
    page = {"size": len(ids), "track_total_hits": False, "_source": False}
    return {**page, "query": query, "fields": list(fields)}
