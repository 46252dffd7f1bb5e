"""A reverse proxy before a real node, with TLS or without, that checks requests."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Rule = Callable[[str, str], bool]
"""Whether a method and path (without parameters) are allowed."""


@dataclass
class Proxy:
    """The running proxy."""

    url: str
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    """Method, path and status of every request that got through TLS."""


@contextmanager
def tls_proxy(
    target: str,
    *,
    certificate: tuple[Path, Path] | None,
    authorization: str | None = None,
    clients: Path | None = None,
    allows: Rule = lambda method, path: True,
    max_body: Callable[[str], int | None] = lambda path: None,
) -> Iterator[Proxy]:
    """Serve on a free port of this machine.

    Args:
        target: URL of the node.
        certificate: files with certificate and key; ``None`` serves without TLS.
        authorization: the header that every request must carry.
        clients: CA bundle that must have signed a client's certificate.
        allows: what is not allowed is answered 403, as by a role without the right.
        max_body: by path, what has more bytes than that is answered 413, with a page.
    """
    parts = urlsplit(target)
    assert parts.hostname
    node = (parts.hostname, parts.port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60

        def handle_one(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.partition("?")[0]
            most = max_body(path)
            if authorization is not None and self.headers.get("authorization") != authorization:
                self._reply(401, _problem(401, "unable to authenticate"))
            elif not allows(self.command, path):
                self._reply(403, _problem(403, f"no right to {self.command} {path}"))
            elif most is not None and len(body) > most:
                page = b"<html><head><title>413 Request Entity Too Large</title></head></html>"
                self._reply(413, page, {"content-type": "text/html"})
            else:
                self._forward(body)

        def _forward(self, body: bytes) -> None:
            kept = {
                name: value
                for name, value in self.headers.items()
                if name.lower() not in {"authorization", "host", "connection", "content-length"}
            }
            connection = http.client.HTTPConnection(*node, timeout=60)
            try:
                connection.request(self.command, self.path, body or None, kept)
                answer = connection.getresponse()
                content = answer.read()
            finally:
                connection.close()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}
            }
            self._reply(answer.status, content, headers)

        def _reply(
            self, status: int, content: bytes, headers: dict[str, str] | None = None
        ) -> None:
            proxy.asked.append((self.command, self.path.partition("?")[0], status))
            self.send_response_only(status)
            ours = {"content-type": "application/json", "x-elastic-product": "Elasticsearch"}
            for name, value in (ours if headers is None else headers).items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Silent."""

    for method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
        setattr(Handler, f"do_{method}", Handler.handle_one)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:
            # Here, in the thread of the connection, as a handshake may fail or hang.
            if context is not None:
                request.settimeout(60)
                request = context.wrap_socket(request, server_side=True)
            try:
                super().finish_request(request, client_address)
            finally:
                request.close()

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A handshake that fails is what some tests want."""

    context: ssl.SSLContext | None = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        if clients is not None:
            context.load_verify_locations(clients)
            context.verify_mode = ssl.CERT_REQUIRED
    server = Server(("127.0.0.1", 0), Handler)
    scheme = "http" if context is None else "https"
    proxy = Proxy(f"{scheme}://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _problem(status: int, reason: str) -> bytes:
    cause = {"type": "security_exception", "reason": reason}
    return json.dumps({"error": {**cause, "root_cause": [cause]}, "status": status}).encode()
