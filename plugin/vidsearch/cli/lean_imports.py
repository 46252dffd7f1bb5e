"""Imports of client libraries without what they load beside, where it happens to be installed.

The client of Elasticsearch loads every HTTP library that it could use, and pyarrow; that of Redis
loads OpenTelemetry. This takes longer than the work of most commands, and only those that serve
from an event loop use any of it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from importlib.machinery import (
    ModuleSpec,
    PathFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from types import ModuleType
from typing import Any

__all__ = ["LeanFinder", "import_lean"]

_BESIDE = {
    "elasticsearch": ("aiohttp", "httpx", "requests", "pyarrow", "opentelemetry"),
    "opensearchpy": ("aiohttp",),
    "kombu.serialization": ("yaml", "msgpack"),  # of messages; ours are JSON
    "redis": ("opentelemetry",),
}
"""By module, the optional packages that it, and what it imports, is imported without."""


def import_lean() -> None:
    """Have this process import clients so from now on.

    They stay so: an ``AsyncElasticsearch`` of this process finds no HTTP library. So it is for a
    process that ends with its one command.
    """
    sys.meta_path.insert(0, LeanFinder())


class LeanFinder:
    """Hides packages from the thread that imports a client, until the client is imported.

    What is loaded already is not hidden. A client that cannot do without is imported with all.
    """

    def __init__(self) -> None:
        self._hidden = _Hidden()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As of every finder of ``sys.meta_path``; ``None`` leaves a module to the next one.

        Raises:
            ModuleNotFoundError: it is hidden.
        """
        if fullname.partition(".")[0] in self._hidden.names:
            raise ModuleNotFoundError(f"{fullname} is hidden from a client", name=fullname)
        beside = _BESIDE.get(fullname)
        if beside is None:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        loader: Any = spec.loader if spec else None
        of_one_module = (SourceFileLoader, SourcelessFileLoader)  # that of a zip has others, too
        if type(loader) in of_one_module:
            loader.exec_module = partial(self._run_alone, loader.exec_module, beside)
        return spec

    def _run_alone(
        self, run: Callable[[ModuleType], None], beside: Sequence[str], module: ModuleType
    ) -> None:
        before = self._hidden.names
        hidden = frozenset(name for name in beside if name not in sys.modules)
        self._hidden.names = before | hidden
        try:
            run(module)
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] not in hidden:
                raise
            self._hidden.names = before
            run(module)
        finally:
            self._hidden.names = before


class _Hidden(threading.local):
    names: frozenset[str] = frozenset()
