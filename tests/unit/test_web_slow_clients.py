"""Clients that send or read slowly, or nothing, to the app behind a real port."""

from __future__ import annotations

import asyncio
import http.client
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send
from tests.serving import serving
from uvicorn import Config
from uvicorn.server import ServerState

from vidsearch.cli import slow_clients
from vidsearch.cli.serving import serve
from vidsearch.config import WebSettings
from vidsearch.web import watched
from vidsearch.web.security import Guard

SECONDS = 1.0
"""A whole request is sent within it, however busy the machine is."""


@contextmanager
def served(app: Any, settings: WebSettings, patch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    """Where the app is, served as the command line serves it."""
    given: dict[str, Any] = {}
    patch.setattr("uvicorn.run", lambda app, **options: given.update(options, app=app))
    serve(app, settings, host="127.0.0.1", port=1, extra="web")
    with serving(**{**given, "port": 0, "lifespan": "off"}) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), parts.port or 0


@contextmanager
def sent(place: tuple[str, int], data: bytes) -> Iterator[socket.socket]:
    """A connection on which so much was sent."""
    with socket.create_connection(place, timeout=60) as connection:
        connection.sendall(data)
        yield connection


def answer(connection: socket.socket) -> http.client.HTTPResponse:
    """The answer with its body, once it is there."""
    got = http.client.HTTPResponse(connection)
    got.begin()
    return got


def head(length: int) -> bytes:
    return f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n".encode()


async def _count(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


def _guarded(settings: WebSettings) -> Starlette:
    routes = [Route("/", _count, methods=["POST"])]
    return Starlette(routes=routes, middleware=[Middleware(Guard, settings)])


def test_a_connection_without_a_whole_head_is_closed_and_one_that_is_answered_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    goes_on = Event()

    async def answered_late(request: Request) -> Response:
        await anyio.to_thread.run_sync(goes_on.wait)
        return PlainTextResponse("late")

    app = Starlette(routes=[Route("/", answered_late), Route("/at-once", lambda _: Response())])
    asked, half = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nX-"
    at_once = b"GET /at-once HTTP/1.1\r\nHost: a\r\n\r\n"
    with (
        served(app, WebSettings(timeout=SECONDS), monkeypatch) as place,
        sent(place, at_once) as kept,
        sent(place, asked) as working,
        sent(place, half) as slow,
        sent(place, b"") as silent,
        sent(place, at_once + half) as slow_again,
    ):
        try:
            assert answer(kept).status == 200
            assert slow.recv(1) == b""
            assert silent.recv(1) == b""
            assert answer(slow_again).status == 200
            slow_again.settimeout(60)
            while slow_again.recv(1024):
                pass
            kept.sendall(at_once)  # the time that a head may take began with its first byte
            assert answer(kept).status == 200
            kept.sendall(half)
            assert kept.recv(1) == b""
        finally:
            goes_on.set()
        assert answer(working).read() == b"late"


def test_a_connection_without_a_request_is_closed_soon_where_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slow_clients, "_KEPT_BRIEFLY", 0.01)
    app = Starlette(routes=[Route("/", lambda _: Response())])
    with (
        served(app, WebSettings(max_connections=2), monkeypatch) as place,
        sent(place, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n") as connection,
    ):
        assert answer(connection).status == 200
        assert connection.recv(1) == b""


def test_an_answer_that_nobody_reads_is_given_up_and_one_that_is_read_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slow_clients, "_UNREAD", 2.0)
    part, parts, given_up = bytes(1 << 20), 32, Event()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(parts):
            yield part

    async def unread(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await receive()  # the body of the request
        async for piece in pieces():
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        assert (await receive())["type"] == "http.disconnect"
        given_up.set()

    app = Starlette(
        routes=[
            Route("/", lambda _: Response()),
            Route("/read", lambda _: StreamingResponse(pieces())),
            Mount("/unread", unread),
        ]
    )
    asked = "GET /{} HTTP/1.1\r\nHost: a\r\n\r\n"
    with (
        served(app, WebSettings(), monkeypatch) as place,
        sent(place, asked.format("read").encode()) as reading,
    ):
        assert len(answer(reading).read()) == parts * len(part)
        with sent(place, asked.format("unread/").encode()):
            assert given_up.wait(60)
        reading.sendall(asked.format("").encode())
        assert answer(reading).status == 200


async def _until_lost(connections: slow_clients.OpenConnections) -> None:
    while connections.number:
        await asyncio.sleep(0.01)


async def _connected(
    app: Any, connections: slow_clients.OpenConnections, end: socket.socket
) -> Any:
    """What speaks HTTP at one end of a connection."""
    config = Config(app, log_config=None, lifespan="off", ws="none")
    config.load()
    protocol: Any = slow_clients.http_protocol(connections, seconds=60, most=20)
    _, connected = await asyncio.get_running_loop().connect_accepted_socket(
        lambda: protocol(config=config, server_state=ServerState(), app_state={}), end
    )
    return connected


def test_an_answer_whose_end_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_clients, "_UNREAD", 0.01)
    ours, theirs = socket.socketpair()
    # The rest of the answer is less than what asyncio takes before it has an app wait.
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)

    async def until_given_up() -> None:
        connections = slow_clients.OpenConnections()
        connected = await _connected(Response(bytes(32_000)), connections, ours)
        theirs.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(_until_lost(connections), 60)
        assert connected.cycle.response_complete

    with theirs:
        asyncio.run(until_given_up())


def test_a_connection_that_the_client_has_reset_leaves_no_timer() -> None:
    async def reset() -> None:
        connections = slow_clients.OpenConnections()
        ours, theirs = socket.socketpair()
        connected = await _connected(Response(), connections, ours)
        theirs.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.to_thread(theirs.recv, 1)
        kept = connected.timeout_keep_alive_task
        theirs.close()  # with bytes that were not read
        await asyncio.wait_for(_until_lost(connections), 60)
        assert kept.cancelled()

    asyncio.run(reset())


def test_a_body_that_does_not_come_is_not_waited_for_and_leaves_its_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = WebSettings(timeout=SECONDS, max_upload_bytes=1024, max_searches=1)
    with served(_guarded(settings), settings, monkeypatch) as place:
        with sent(place, head(1001) + b"x" * 1000) as slow:
            told = answer(slow)
            assert (told.status, told.headers["connection"]) == (408, "close")
            assert b"1000 bytes" in told.read()
            assert slow.recv(1) == b"", "nothing more is read of it"
        with sent(place, head(1024) + b"x" * 1024) as next_one:
            assert answer(next_one).read() == b"1024"


def test_a_large_body_has_more_time_than_a_small_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched, "_SLOWEST", 1)
    settings = WebSettings(timeout=SECONDS)
    with (
        served(_guarded(settings), settings, monkeypatch) as place,
        sent(place, head(101) + b"x" * 100) as large,
        sent(place, head(2) + b"x") as small,
    ):
        assert answer(small).status == 408
        large.sendall(b"x")
        assert answer(large).read() == b"101"
