"""Copies of an index, as `index attach` makes them, for tests that watch nothing on the way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vidsearch.engines import Engine
from vidsearch.index.copy import copy_with_settings

__all__ = ["copy_of"]


def copy_of(
    engine: Engine,
    name: str,
    *,
    alias: str | None,
    settings: Mapping[str, Any],
    mapping: Mapping[str, Any] | None = None,
    to: str | None = None,
    **options: Any,
) -> tuple[str, float]:
    """See :func:`~vidsearch.index.copy.copy_with_settings`; by default with the mapping that the
    index has."""
    nothing: dict[str, Any] = {
        "confirm": lambda index, copy: None,
        "before_swap": lambda copy: None,
        "progress": lambda done, total: None,
    }
    return copy_with_settings(
        engine,
        name,
        alias=alias,
        settings=settings,
        mapping=engine.mapping(name) if mapping is None else mapping,
        to=to,
        **{**nothing, **options},
    )
