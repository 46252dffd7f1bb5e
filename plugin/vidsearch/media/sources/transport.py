"""The connection under httpcore: goes to the very address that was checked, within the timeouts."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore

from vidsearch.errors import SourceNotFoundError
from vidsearch.media.sources.allowlist import Allowlist
from vidsearch.media.sources.timeouts import TransferClock

__all__ = ["GuardedBackend"]


class GuardedBackend(httpcore.NetworkBackend):
    """Resolves a name once, has all its addresses checked, and connects to one of these.

    No second look-up can give another answer. TLS still verifies the name, which httpcore hands to
    the handshake by itself.

    Args:
        allowlist: what may be reached.
        clock: measures the download.
        where: the URI as it may be shown.
    """

    def __init__(self, allowlist: Allowlist, clock: TransferClock, *, where: str) -> None:
        self._allowlist = allowlist
        self._clock = clock
        self._where = where
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers, all within ``timeout`` seconds.

        Raises:
            SourceForbiddenError: the host is at an address that may not be reached.
            httpcore.ConnectError: none answers, or there is no such name.
        """
        addresses = self._resolve(host, port)
        self._allowlist.require_reachable(host, port=port, addresses=addresses, where=self._where)
        ends = None if timeout is None else time.monotonic() + timeout
        for left, address in zip(reversed(range(len(addresses))), addresses, strict=True):
            seconds = None if ends is None else max(0.001, ends - time.monotonic())
            try:
                stream = self._sockets.connect_tcp(
                    address,
                    port,
                    timeout=seconds and seconds / (left + 1),
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not left:
                    raise
            else:
                return _ClockedStream(stream, self._clock)
        raise httpcore.ConnectError("the name has no address")

    def _resolve(self, host: str, port: int) -> list[str]:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:  # a label that is empty or too long
            raise SourceNotFoundError(f"{self._where} is not a valid URL") from None
        except OSError as error:
            raise httpcore.ConnectError(error) from error
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class _ClockedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, clock: TransferClock) -> None:
        self._stream = stream
        self._clock = clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            content = self._stream.read(max_bytes, self._clock.wait())
        except httpcore.ReadTimeout:
            self._clock.require_time()  # was it silence, or the end of the time?
            raise
        self._clock.count(len(content))
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _ClockedStream(
            self._stream.start_tls(ssl_context, server_hostname, timeout), self._clock
        )

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
