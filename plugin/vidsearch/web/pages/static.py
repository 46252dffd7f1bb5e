"""Style, script and icon, from the package."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from vidsearch.web.pages.rendering import FOLDER

__all__ = ["static_files"]


class _Versioned(StaticFiles):
    """Files whose URLs hold the version of vidsearch, so that browsers keep them for a day."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["cache-control"] = "public, max-age=86400"
        return response


def static_files() -> StaticFiles:
    """The app that serves them."""
    return _Versioned(directory=FOLDER / "static")
