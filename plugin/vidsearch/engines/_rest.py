"""Carries the calls of an engine out in the caller's thread."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from vidsearch.engines._calls import Answer, Call, Calls, Request
from vidsearch.engines.base import (
    BulkResult,
    Document,
    EngineInfo,
    EngineKind,
    Features,
    Json,
    Revision,
    Write,
)
from vidsearch.errors import BackendError

__all__ = ["RestEngine"]

_T = TypeVar("_T")


class RestEngine(ABC):
    """An :class:`~vidsearch.engines.base.Engine`, but for what sends a request, and for scans.

    What its methods ask, and what the answers mean, is written in
    :mod:`vidsearch.engines._calls`.
    """

    kind: ClassVar[EngineKind]

    def __init__(self, calls: Calls, *, owned: bool) -> None:
        """
        Args:
            calls: what to ask of this kind of engine.
            owned: whether :meth:`close` closes the client.
        """
        self._calls = calls
        self._owned = owned
        self._sleep: Callable[[float], object] = time.sleep

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._calls.url!r})"

    # -- what an adapter supplies

    @abstractmethod
    def _send(self, request: Request) -> Answer:
        """Send one request. Raises only where none answers."""

    @abstractmethod
    def scan(
        self,
        index: str,
        *,
        query: Mapping[str, Any] | None = None,
        source: Sequence[str] | bool = True,
        page_size: int = 500,
    ) -> Iterator[Document]: ...

    @abstractmethod
    def _close_client(self) -> None: ...

    def _run(self, call: Call[_T]) -> _T:
        try:
            request = next(call)
            while True:
                if request.pause:
                    self._sleep(request.pause)
                try:
                    answer = self._send(request)
                except BackendError as error:
                    request = call.throw(error)  # some calls ask again
                else:
                    request = call.send(answer)
        except StopIteration as done:
            result: _T = done.value
            return result
        finally:
            call.close()

    # -- the calls

    def info(self) -> EngineInfo:
        return self._run(self._calls.info())

    def features(self) -> Features:
        return self._run(self._calls.features())

    def create_index(self, name: str, body: Mapping[str, Any]) -> None:
        self._run(self._calls.create_index(name, body))

    def delete_index(self, name: str) -> None:
        self._run(self._calls.delete_index(name))

    def indices_of(self, name: str) -> tuple[str, ...]:
        return self._run(self._calls.indices_of(name))

    def mapping(self, index: str) -> Json:
        return self._run(self._calls.mapping(index))

    def put_mapping(self, index: str, body: Mapping[str, Any]) -> None:
        self._run(self._calls.put_mapping(index, body))

    def settings(self, index: str) -> Json:
        return self._run(self._calls.settings(index))

    def put_settings(self, index: str, settings: Mapping[str, Any]) -> None:
        self._run(self._calls.put_settings(index, settings))

    def aliases(self, index: str) -> Json:
        return self._run(self._calls.aliases(index))

    def update_aliases(self, actions: Sequence[Mapping[str, Any]]) -> None:
        self._run(self._calls.update_aliases(actions))

    def refresh(self, index: str) -> None:
        self._run(self._calls.refresh(index))

    def get(self, index: str, id: str, *, routing: str | None = None) -> Document | None:
        return self._run(self._calls.get(index, id, routing=routing))

    def put(
        self,
        index: str,
        id: str,
        source: Mapping[str, Any],
        *,
        expect: Revision | Literal["absent"] | None = None,
        routing: str | None = None,
        pipeline: bool = True,
        refresh: bool = False,
    ) -> Revision:
        call = self._calls.put(
            index, id, source, expect=expect, routing=routing, pipeline=pipeline, refresh=refresh
        )
        return self._run(call)

    def update(
        self,
        index: str,
        id: str,
        partial: Mapping[str, Any],
        *,
        expect: Revision | None = None,
        routing: str | None = None,
        refresh: bool = False,
    ) -> Revision | None:
        call = self._calls.update(
            index, id, partial, expect=expect, routing=routing, refresh=refresh
        )
        return self._run(call)

    def delete(
        self,
        index: str,
        id: str,
        *,
        expect: Revision | None = None,
        routing: str | None = None,
        refresh: bool = False,
    ) -> bool:
        call = self._calls.delete(index, id, expect=expect, routing=routing, refresh=refresh)
        return self._run(call)

    def bulk(self, index: str, writes: Sequence[Write], *, refresh: bool = False) -> BulkResult:
        return self._run(self._calls.bulk(index, writes, refresh=refresh))

    def search(self, index: str, body: Mapping[str, Any]) -> Json:
        return self._run(self._calls.search(index, body))

    def msearch(self, index: str, bodies: Sequence[Mapping[str, Any]]) -> list[Json]:
        return self._run(self._calls.msearch(index, bodies))

    def count(self, index: str, query: Mapping[str, Any] | None = None) -> int:
        return self._run(self._calls.count(index, query))

    def close(self) -> None:
        if self._owned:
            self._close_client()
