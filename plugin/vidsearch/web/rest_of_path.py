"""Ids at the end of a path, which may hold slashes and line breaks."""

from __future__ import annotations

from starlette.convertors import Convertor, register_url_convertor

__all__ = ["REST"]

REST = "vidsearch_rest"
"""Takes the whole rest of a path: ``f"/video/{{id:{REST}}}"``. Starlette's own ``path`` ends before
a line break, so that ``a`` would be answered for the id ``a\\n``."""


class _Rest(Convertor[str]):
    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor(REST, _Rest())
