"""Layouts of the registry that were in use before, kept as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["unversioned_layout"]

_FOLDER = Path(__file__).parent / "unit" / "registry_layouts"


def unversioned_layout(*, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The last body before versions were counted, or an older one that lacks some fields."""
    body: dict[str, Any] = json.loads((_FOLDER / "unversioned.json").read_text(encoding="utf-8"))
    for name in without:
        del body["mappings"]["properties"][name]
    return body
