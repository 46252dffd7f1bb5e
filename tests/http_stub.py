"""A small HTTP server that answers what a test tells it, and remembers what it was asked."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ELASTIC = {"X-Elastic-Product": "Elasticsearch"}
"""The header by which Elasticsearch's client knows its server."""


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: str


@dataclass(frozen=True)
class Reply:
    """One answer; ``body`` is sent as JSON unless it is text or bytes."""

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang_up: bool = False
    """Close the connection afterwards without a word, as a balancer does with an idle one."""
    pieces: Iterable[bytes] | None = None
    """Written one by one after the head instead of ``body``, for as long as somebody listens; the
    head has no length then. A generator may take its time."""
    raw: bool = False
    """``pieces`` are all that is written: the head is theirs, too."""


@dataclass
class Stub:
    """The running server."""

    url: str
    asked: list[Asked] = field(default_factory=list)
    closed: int = 0
    """Connections that this side has closed."""

    def paths(self) -> list[str]:
        """Method and path of every request, without parameters."""
        return [f"{one.method} {one.path.partition('?')[0]}" for one in self.asked]


@contextmanager
def http_stub(
    answer: Callable[[Asked], Reply], *, certificate: tuple[Path, Path] | None = None
) -> Iterator[Stub]:
    """Serve on a free port of this machine.

    Args:
        answer: from request to reply; called in the server's threads.
        certificate: files with certificate and key, to serve TLS.
    """
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            asked = Asked(
                self.command, self.path, dict(self.headers), self.rfile.read(length).decode()
            )
            stub.asked.append(asked)
            reply = answer(asked)
            if reply.delay:
                released.wait(reply.delay)
            as_text = isinstance(reply.body, str)
            content = reply.body
            if not isinstance(content, bytes):
                content = (content if as_text else json.dumps(content)).encode()
            headers = {"content-type": "text/html" if as_text else "application/json"}
            if reply.pieces is None:
                headers["content-length"] = str(len(content))
            try:
                if not reply.raw:
                    self.send_response(reply.status)
                    for name, value in {**headers, **reply.headers}.items():
                        self.send_header(name, value)
                    self.end_headers()
                for piece in [content] if reply.pieces is None else reply.pieces:
                    self.wfile.write(piece)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client gave up, as some tests want
            if reply.hang_up or reply.pieces is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Silent: a test looks at what it asked for, not at the log."""

    for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.handle_one)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def shutdown_request(self, request: Any) -> None:
            super().shutdown_request(request)
            stub.closed += 1

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that refuses the certificate hangs up; that is the test, not an error."""

    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        scheme = "https"
    stub = Stub(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield stub
    finally:
        released.set()
        server.shutdown()
        thread.join()
        server.server_close()


def endless(piece: bytes, *, every: float = 0.0, after: bytes = b"") -> Iterator[bytes]:
    """``after``, then one piece after the other, a pause of ``every`` seconds before each."""
    yield after
    for _ in range(100_000):  # so that a failing test ends, too
        time.sleep(every)
        yield piece


def wait_until(number: Callable[[], int], *, reaches: int, seconds: float = 60.0) -> bool:
    """Whether the number came so far in time."""
    end = time.monotonic() + seconds
    while number() < reaches:
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True
