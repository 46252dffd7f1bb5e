"""A service that can be taken away and brought back without stopping it."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from urllib.parse import urlsplit

_PORTS = range(20_000, 30_000)
"""Below those that systems give to connections, and to servers that ask for any port: so nobody
takes one of them in the moment until it is used, or while a service is away."""


def free_port() -> int:
    """A port of this machine that nobody listens on, and that nobody gets by chance."""
    chance = random.SystemRandom()
    while True:
        port = chance.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Relay:
    """A TCP relay before a real service; :meth:`down` ends it.

    Args:
        url: of the service.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._target = (parts.hostname, parts.port)
        self._port = free_port()
        self.url = parts._replace(netloc=f"127.0.0.1:{self._port}").geturl()
        """Of the relay."""
        self._changing = threading.Lock()
        self._connections: list[socket.socket] = []
        self._server: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self.up()

    def up(self) -> None:
        """Take connections again."""
        server = socket.create_server(("127.0.0.1", self._port))
        self._server = server
        self._start(self._accept, server)

    def down(self) -> None:
        """Refuse connections and cut those that are open. Safe to repeat."""
        with self._changing:
            server, self._server = self._server, None
            open_ones = [*self._connections, *filter(None, [server])]
            self._connections.clear()
        for one in open_ones:
            with contextlib.suppress(OSError):  # wakes the thread that waits for it
                one.shutdown(socket.SHUT_RDWR)
        if server:
            server.close()
        while self._threads:
            self._threads.pop().join()
        for one in open_ones:
            one.close()

    def _start(self, work: object, *args: socket.socket) -> None:
        assert callable(work)
        thread = threading.Thread(target=work, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self._target)
            except OSError:  # the service itself has ended
                near.close()
                continue
            with self._changing:
                if self._server is not server:  # taken away since it was accepted
                    near.close()
                    far.close()
                    return
                self._connections += [near, far]
                self._start(_pump, near, far)
                self._start(_pump, far, near)


def _pump(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
