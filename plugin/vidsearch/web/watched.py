"""What passes of a request: the bytes and seconds of its body, and the headers of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Send

from vidsearch.web.problems import RETRY_SECONDS, Problem

__all__ = ["Bodies", "Limit", "Watched"]

_SLOWEST = 32 * 1024
"""Bytes per second that a large body has to bring; a small one has the time of a search."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Of one body."""

    most: int
    """Bytes."""
    why: str
    """What sets it."""

    def exceeded(self) -> Problem:
        """The problem that a body has more."""
        return Problem.of_status(413, f"the body has more than {self.most} bytes ({self.why})")


class Bodies:
    """The bodies of the requests that are being answered.

    Args:
        most: bytes of all of them together.
        seconds: for which a small one is waited for.
    """

    def __init__(self, most: int, *, seconds: float) -> None:
        self.most = most
        self.seconds = seconds
        self.held = 0
        """Bytes."""


class Watched:
    """Counts the bytes and seconds of a request's body, and adds headers to its answer.

    Args:
        receive: gives the next part of the body.
        send: takes the answer.
        bodies: of all requests.
        headers: of the answer, beside its own.
        limit: of this body.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        bodies: Bodies,
        headers: Mapping[str, str],
        *,
        limit: Limit,
    ) -> None:
        self._receive = receive
        self._send = send
        self._bodies = bodies
        self._headers = headers
        self._limit = limit
        self._is_whole = False
        self._waited = 0.0
        self.received = 0
        self.answered = False

    async def receive(self) -> Message:
        message = await (self._receive() if self._is_whole else self._received_in_time())
        if message["type"] == "http.request":
            self._is_whole = not message.get("more_body", False)
            length = len(message.get("body", b""))
            self.received += length
            self._bodies.held += length
            if self.received > self._limit.most:
                raise self._limit.exceeded()
            if self._bodies.held > self._bodies.most:
                raise Problem.of_status(
                    503, "other requests are too large already", retry_after=RETRY_SECONDS
                )
        return message

    async def _received_in_time(self) -> Message:
        """The next part of the body; only the time that it is waited for counts."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        allowed = self._bodies.seconds + self.received / _SLOWEST
        try:
            return await asyncio.wait_for(self._receive(), max(0.0, allowed - self._waited))
        except asyncio.TimeoutError:
            if self.answered:  # and only listens for whether the client goes away
                return {"type": "http.disconnect"}
            raise Problem.of_status(
                408,
                f"the body came too slowly: {self.received} bytes in {allowed:.1f} seconds",
                headers={"connection": "close"},
            ) from None
        finally:
            self._waited += loop.time() - begun

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.answered = True
            headers = MutableHeaders(scope=message)
            for name, value in self._headers.items():
                headers.setdefault(name, value)
        await self._send(message)
