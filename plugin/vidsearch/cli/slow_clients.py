"""Connections whose client asks nothing, or asks or reads slowly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["OpenConnections", "http_protocol"]

_KEPT = 75.0
"""Seconds that a connection without a request is kept for: longer than most proxies do (60), which
otherwise may send a request on one that is just being closed, and answer 502."""
_KEPT_BRIEFLY = 5.0
"""The same while there are many."""
_UNREAD = 300.0
"""Seconds after which a connection is closed whose client reads nothing, or next to nothing, of an
answer. A player that has buffered enough of a video does that, and asks for the rest again."""


class OpenConnections:
    """How many there are."""

    def __init__(self) -> None:
        self.number = 0


def http_protocol(
    connections: OpenConnections,
    *,
    seconds: float,
    most: int,
    limited: Callable[[Any], Any] = lambda app: app,
) -> type[asyncio.Protocol]:
    """What uvicorn speaks HTTP with, which also closes connections that nothing happens on.

    uvicorn waits for ever for the rest of a request's head, and for a client to read its answer.
    Bodies of requests are the app's matter.

    Args:
        connections: are counted there.
        seconds: within which the head of a request must arrive, from the beginning of the
            connection, or from the first byte of a further request.
        most: connections; while there are more than half as many, those without a request are
            closed soon.
        limited: makes of the app that which further ones get.
    """

    class Protocol(H11Protocol):
        _asking: asyncio.TimerHandle | None = None
        _reading: asyncio.TimerHandle | None = None

        def connection_made(self, transport: Any) -> None:
            connections.number += 1
            # So that the end of an answer has to be read, too, however short it is.
            transport.set_write_buffer_limits(high=0)
            if connections.number > most:
                self.app = limited(self.app)
            super().connection_made(transport)
            self._wait_for_a_head()

        def connection_lost(self, exc: Exception | None) -> None:
            connections.number -= 1
            self._stop_waiting()
            self._cancel(self._reading)
            # uvicorn leaves it where the client has reset the connection.
            self._unset_keepalive_if_required()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._asking is None and self._is_unasked():
                self._wait_for_a_head()
            super().data_received(data)

        def on_response_complete(self) -> None:
            self._stop_waiting()
            kept = _KEPT if connections.number < most // 2 else min(_KEPT_BRIEFLY, seconds)
            self.timeout_keep_alive = kept  # type: ignore[assignment]  # it is added to a time
            super().on_response_complete()
            if self._is_unasked() and self.conn.trailing_data[0]:  # a part of the next head
                self._wait_for_a_head()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._reading = self.loop.call_later(_UNREAD, self.transport.abort)

        def resume_writing(self) -> None:
            self._cancel(self._reading)
            super().resume_writing()

        def _wait_for_a_head(self) -> None:
            self._asking = self.loop.call_later(seconds, self._close_if_unasked)

        def _stop_waiting(self) -> None:
            self._cancel(self._asking)
            self._asking = None

        def _close_if_unasked(self) -> None:
            if self._is_unasked():
                self.transport.close()

        def _is_unasked(self) -> bool:
            return self.cycle is None or self.cycle.response_complete

        @staticmethod
        def _cancel(timer: asyncio.TimerHandle | None) -> None:
            if timer is not None:
                timer.cancel()

    return Protocol
