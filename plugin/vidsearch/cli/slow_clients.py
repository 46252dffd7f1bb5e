"""Connections on which no request arrives, or one that never becomes whole."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Http
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol as _Http

__all__ = ["http_protocol"]


def http_protocol(*, seconds: float) -> type[asyncio.Protocol]:
    """What uvicorn speaks HTTP with, which also closes connections that nothing is asked on.

    uvicorn waits for the rest of a request's head for ever. Bodies are the app's matter.

    Args:
        seconds: within which the head of a request must arrive, from the beginning of the
            connection or the end of the last answer.
    """

    class Protocol(_Http):
        _limit: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._wait_for_a_request()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._wait_for_a_request()

        def connection_lost(self, exc: Exception | None) -> None:
            if self._limit is not None:
                self._limit.cancel()
            super().connection_lost(exc)

        def _wait_for_a_request(self) -> None:
            if self._limit is not None:
                self._limit.cancel()
            self._limit = self.loop.call_later(seconds, self._close_if_unasked)

        def _close_if_unasked(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Protocol
