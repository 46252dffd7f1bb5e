"""Videos over http and https: every hop checked, bounded, resumed when the connection breaks.

No proxy, cookie, netrc or credential is taken from the environment. Certificates are checked
against the system's (``SSL_CERT_FILE`` names others, as for all of OpenSSL).
"""

from __future__ import annotations

import base64
import logging
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    MissingExtra,
    SourceForbidden,
    SourceUnavailable,
    VideoNotFound,
    VideoOpenError,
)
from vidsearch.media.sources.patience import USUAL, Pace, Patience
from vidsearch.media.sources.reach import Reach
from vidsearch.media.sources.schemes import require_scheme
from vidsearch.media.sources.temporary import BoundedFile
from vidsearch.media.sources.uris import WebUri, public_uri, scheme_of

if TYPE_CHECKING:
    import httpcore

__all__ = ["download"]

_log = logging.getLogger(__name__)

_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 10
_TRIED_AGAIN = {202, 408, 425, 429}
_COMPRESSED = {"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]*"')
_HINTS = {
    401: "; it needs credentials, or others",
    403: "; the link may have run out, or needs credentials",
}


class _Broken(Exception):
    """The connection broke in the middle of a video."""


def download(
    uri: str, file: BoundedFile, *, settings: SourceSettings, patience: Patience = USUAL
) -> None:
    """Stream a video into a file.

    Raises:
        VideoNotFound: not a URL, or the server says that there is nothing for us (4xx).
        VideoOpenError: it comes compressed although that was declined.
        VideoTooLarge: more bytes than the settings allow.
        SourceForbidden: it lies, or leads, where the settings let nothing be read from.
        SourceUnavailable: unreachable, too slow, broke off, or 5xx. Worth a retry.
        MissingExtra: httpcore is not installed.
    """
    try:
        import httpcore

        from vidsearch.media.sources.transport import GuardedBackend
    except ImportError as error:
        raise MissingExtra.of("worker", needed_for="reading videos over http") from error

    first = WebUri.parse(uri)
    where = public_uri(uri)
    pace = Pace(where, patience)
    reach = Reach(settings)
    with httpcore.ConnectionPool(
        ssl_context=ssl.create_default_context(),
        max_keepalive_connections=0,
        network_backend=GuardedBackend(reach, pace, where=where),
    ) as pool:
        _Download(first, where, file, pool, settings, reach, pace, patience).run()


class _Download:
    """One video on its way, and what is needed to go on after a break."""

    def __init__(
        self,
        first: WebUri,
        where: str,
        file: BoundedFile,
        pool: httpcore.ConnectionPool,
        settings: SourceSettings,
        reach: Reach,
        pace: Pace,
        patience: Patience,
    ) -> None:
        self._first = first
        self._where = where
        self._file = file
        self._pool = pool
        self._settings = settings
        self._reach = reach
        self._pace = pace
        self._patience = patience
        self._validator: str | None = None

    def run(self) -> None:
        pause = self._patience.pause
        for left in reversed(range(self._patience.resumes + 1)):
            try:
                with self._answer() as response:
                    self._store(response)
                return
            except _Broken as broken:
                if self._validator is None or not left:
                    raise SourceUnavailable(str(broken)) from broken.__cause__
                _log.info("%s; going on at byte %d", broken, self._file.size)
            time.sleep(pause)
            pause *= 2

    @contextmanager
    def _answer(self) -> Iterator[httpcore.Response]:
        """The answer that is not a redirect; each hop is checked like the first."""
        hop = self._first
        for _ in range(_MOST_REDIRECTS + 1):
            self._reach.require_listed(hop.host, port=hop.port, where=self._where)
            with self._asked(hop) as response:
                if response.status not in _REDIRECTS:
                    yield response
                    return
                location = _header(response, "location")
            if not location:
                raise VideoNotFound(f"{self._where} is moved ({response.status}) to nowhere")
            hop = self._next(hop, location)
        raise VideoNotFound(f"{self._where} was redirected more than {_MOST_REDIRECTS} times")

    def _next(self, hop: WebUri, location: str) -> WebUri:
        target = hop.join(location)
        scheme = scheme_of(target)
        leads = f"{self._where} may not be read: it redirects to {public_uri(target)}"
        if scheme not in {"http", "https"}:
            raise SourceForbidden(f"{leads}, which is not http or https")
        if hop.scheme == "https" and scheme == "http":
            raise SourceForbidden(f"{leads}, from https to http, where anybody may change it")
        require_scheme(scheme, self._settings, where=self._where)
        try:
            return WebUri.parse(target)
        except VideoNotFound:
            raise VideoNotFound(f"{self._where} redirects to what is not a valid URL") from None

    @contextmanager
    def _asked(self, hop: WebUri) -> Iterator[httpcore.Response]:
        import httpcore

        # The first host's credentials go to the first host; a redirect may bring its own.
        credentials = hop.credentials
        if credentials is None and hop.origin == self._first.origin:
            credentials = self._first.credentials
        headers: list[tuple[bytes | str, bytes | str]] = [
            ("Host", hop.authority),
            ("User-Agent", "vidsearch"),
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
        ]
        if credentials is not None:
            headers.append(("Authorization", b"Basic " + base64.b64encode(credentials)))
        if self._file.size and self._validator:
            headers += [("Range", f"bytes={self._file.size}-"), ("If-Range", self._validator)]
        self._pace.asked()
        request = httpcore.Request(
            "GET",
            httpcore.URL(scheme=hop.scheme, host=hop.host, port=hop.port, target=hop.target),
            headers=headers,
            extensions={
                "timeout": {"connect": self._patience.connect, "write": self._patience.silence}
            },
        )
        with _mapped(self._where):
            response = self._pool.handle_request(request)
        try:
            self._pace.answered()
            yield response
        finally:
            response.close()

    def _store(self, response: httpcore.Response) -> None:
        import httpcore

        self._require_success(response)
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            self._file.restart()
            self._validator = _strong_validator(response)
        encoding = _header(response, "content-encoding").lower()
        if encoding in _COMPRESSED:
            raise VideoOpenError(
                f"{self._where} comes compressed ({encoding}) although that was declined"
            )
        length = _header(response, "content-length")
        if length.isdecimal():
            self._file.expect(self._file.size + int(length))
        chunks = response.iter_stream()
        while True:
            try:
                chunk = next(chunks, None)
            except httpcore.TimeoutException as error:
                raise _Broken(f"{self._where} did not answer in time") from error
            except (httpcore.NetworkError, httpcore.ProtocolError) as error:
                raise _Broken(f"{self._where} broke off: {type(error).__name__}") from error
            if chunk is None:
                return
            self._file.write(chunk)

    def _require_success(self, response: httpcore.Response) -> None:
        status = response.status
        if status == HTTPStatus.OK:
            return
        if status == HTTPStatus.PARTIAL_CONTENT and self._file.size:
            found = _CONTENT_RANGE.fullmatch(_header(response, "content-range"))
            if found and int(found[1]) == self._file.size:
                return
            raise SourceUnavailable(f"{self._where} went on at a place that was not asked for")
        if status == HTTPStatus.NOT_FOUND:
            raise VideoNotFound(f"{self._where} was not found (404)")
        phrase = response.extensions.get("reason_phrase", b"").decode("ascii", "replace")
        reason = f"{self._where} was answered with {status} {phrase}".rstrip()
        if status >= 500 or status in _TRIED_AGAIN:
            raise SourceUnavailable(reason)
        raise VideoNotFound(reason + _HINTS.get(status, ""))


@contextmanager
def _mapped(where: str) -> Iterator[None]:
    """Errors up to the head of the answer."""
    import httpcore

    try:
        yield
    except httpcore.TimeoutException as error:
        raise SourceUnavailable(f"{where} did not answer in time") from error
    except httpcore.ConnectError as error:
        hint = ""
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            hint = "; SSL_CERT_FILE may name a bundle with the authority of your own servers"
        raise SourceUnavailable(f"{where} cannot be reached: {error}{hint}") from error
    except httpcore.LocalProtocolError:  # "from None": the message holds what was to be sent
        raise VideoNotFound(f"{where} is not a valid URL") from None
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise SourceUnavailable(f"{where} broke off: {type(error).__name__}") from error


def _header(response: httpcore.Response, name: str) -> str:
    values = [value for key, value in response.headers if key.lower() == name.encode()]
    return values[-1].decode("utf-8", "replace").strip() if values else ""


def _strong_validator(response: httpcore.Response) -> str | None:
    """By which a server can tell that a part belongs to the same bytes (RFC 9110, 8.8)."""
    if _header(response, "accept-ranges").lower() == "none":
        return None
    etag = _header(response, "etag")
    if _STRONG_ETAG.fullmatch(etag):
        return etag
    modified = _header(response, "last-modified")
    try:
        age = parsedate_to_datetime(_header(response, "date")) - parsedate_to_datetime(modified)
    except (TypeError, ValueError):
        return None
    return modified if age.total_seconds() >= 1 and modified.isascii() else None
