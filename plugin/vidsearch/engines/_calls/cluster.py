"""What a cluster is and can do, and documents in the JSON that it takes."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from vidsearch.engines._calls.asking import Asking, Call
from vidsearch.engines._vectors import ByteOrder, holds_arrays, to_json
from vidsearch.engines.base import EngineInfo, EngineKind, Features, Json
from vidsearch.engines.errors import unreadable
from vidsearch.errors import BackendError, BackendUnavailableError

__all__ = ["ClusterCalls"]

_OLDEST: dict[EngineKind, tuple[int, int, int]] = {
    "elasticsearch": (8, 19, 0),
    "opensearch": (2, 19, 0),
}
"""The oldest versions that are supported."""


class ClusterCalls(Asking):
    """Version and features, asked once and kept."""

    kind: ClassVar[EngineKind]

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._info: EngineInfo | None = None
        self._features: Features | None = None

    @abstractmethod
    def _version(self, root: Json) -> str:
        """The version number in the answer of ``GET /``, after a look at whose it is."""

    @abstractmethod
    def _detected(self, info: EngineInfo) -> Call[Features]:
        """What the cluster can do, asked in a way that survives a missing right or endpoint."""

    def info(self) -> Call[EngineInfo]:
        if self._info is None:
            # A node without the module for the root path refuses the method (405).
            answer = yield from self.request("GET", "/", also=(404, 405))
            if answer.status < 300:
                version = self._version(answer.body)
            else:
                nodes = (yield from self.request("GET", "/_nodes/_local/http")).body["nodes"]
                version = next(iter(nodes.values()))["version"]
            numbers = [int(n) for n in re.findall(r"\d+", version)[:3]]
            major, minor, patch = (*numbers, 0, 0, 0)[:3]
            self._info = EngineInfo(self.kind, (major, minor, patch), self.url)
        return self._info

    def features(self) -> Call[Features]:
        if self._features is None:
            try:
                info = yield from self.info()
            except BackendUnavailableError:
                raise
            except BackendError:  # no right to ask: nothing is sent that the oldest cannot read
                info = EngineInfo(self.kind, _OLDEST[self.kind], self.url)
            self._features = yield from self._detected(info)
        return self._features

    def _order(self, *sources: Any) -> Call[ByteOrder | None]:
        """Byte order of the vectors in them; the cluster is asked only where they are arrays."""
        if not any(map(holds_arrays, sources)):
            return None
        return (yield from self.features()).base64_vectors

    def _json(self, source: Mapping[str, Any], order: ByteOrder | None) -> bytes:
        try:
            return to_json(source, order)
        except TypeError as error:
            raise unreadable(error, url=self.url) from error
