"""The search page, the HTTP API and the MCP server: :func:`create_app` and its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vidsearch.lazy import imported_late

if TYPE_CHECKING:
    from vidsearch.web.app import create_app

__all__ = ["create_app"]

__getattr__, __dir__ = imported_late(__name__, {"create_app": "vidsearch.web.app"})
