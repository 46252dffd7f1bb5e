"""Videos over http and https: every hop checked, bounded, resumed when the connection breaks.

No proxy, cookie, netrc or credential is taken from the environment. Certificates are checked
against the system's (``SSL_CERT_FILE`` names others, as for all of OpenSSL).
"""

from __future__ import annotations

import base64
import logging
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from vidsearch import backoff
from vidsearch.config import SourceSettings
from vidsearch.errors import (
    MissingExtraError,
    SourceForbiddenError,
    SourceNotFoundError,
    SourceUnavailableError,
)
from vidsearch.media.sources.allowlist import Allowlist
from vidsearch.media.sources.answers import (
    Part,
    header,
    is_of_other_bytes,
    mapped,
    part_of,
    require_plain,
    require_success,
    strong_etag,
    strong_validator,
    whole_size,
)
from vidsearch.media.sources.headers import Headers, headers_of_host
from vidsearch.media.sources.schemes import require_scheme
from vidsearch.media.sources.temporary import BoundedFile
from vidsearch.media.sources.timeouts import DEFAULT_TIMEOUTS, Timeouts, TransferClock
from vidsearch.media.sources.uris import WebUri, public_uri, scheme_of

if TYPE_CHECKING:
    import httpcore

__all__ = ["download", "public_url", "web_validator"]

_log = logging.getLogger(__name__)

_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 10
_LONGEST_PAUSE = 30.0


class _TransferError(Exception):
    """The connection broke in the middle of a video."""


def download(
    uri: str,
    file: BoundedFile,
    *,
    settings: SourceSettings,
    headers: Headers | None = None,
    where: str | None = None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> None:
    """Stream a video into a file.

    Args:
        uri: of the video.
        file: takes it.
        settings: what may be read, and the headers of hosts.
        headers: win over those of the settings.
        where: the URI as messages show it.
        timeouts: of the transfer.

    Raises:
        SourceNotFoundError: not a URL, or the server does not have it or denies it (4xx).
        VideoOpenError: it comes compressed although that was declined.
        VideoTooLargeError: more bytes than the settings allow.
        SourceForbiddenError: it lies, or leads, where the settings let nothing be read from.
        SourceUnavailableError: unreachable, too slow, broke off, or 5xx. Worth a retry.
        MissingExtraError: httpcore is not installed.
        ConfigError: a header of the settings cannot be sent.
    """
    with _connected(
        uri, settings=settings, headers=headers, where=where, timeouts=timeouts
    ) as connection:
        _Download(connection, file).run()


def web_validator(
    uri: str, *, settings: SourceSettings, headers: Headers | None = None, where: str | None = None
) -> str | None:
    """The strong ETag of a video and its size; ``None`` where the server gives none.

    The same request as :func:`download`, for one byte, as a signed URL may be for that method only.

    Raises:
        VideoError, SourceUnavailableError, MissingExtraError, ConfigError: as :func:`download`.
    """
    with (
        _connected(uri, settings=settings, headers=headers, where=where) as connection,
        connection.answer({"range": "bytes=0-0"}) as response,
    ):
        if response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None  # it has no byte: it is empty, as whoever fetches it finds out
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            require_success(response, offset=0, where=connection.where)
        etag, size = strong_etag(response), whole_size(response)
    return None if etag is None or size is None else f"{etag} {size}"


def public_url(
    uri: str, *, settings: SourceSettings, headers: Headers | None = None, where: str | None = None
) -> str:
    """The URL of a video that anybody may be told. The server is not asked.

    Raises:
        SourceNotFoundError: not a URL.
        SourceForbiddenError: its host is not listed; or user, password or headers go with it.
        ConfigError: a header of the settings cannot be sent.
    """
    url, shown = WebUri.parse(uri, where=where), where or public_uri(uri)
    Allowlist(settings).require_listed(url.host, port=url.port, where=shown)
    kept = headers_of_host(settings, url.host, url.port, scheme=url.scheme)
    if url.credentials is not None or headers or kept:
        raise SourceForbiddenError(
            f"{shown} takes credentials that no browser may be told: let the setting "
            "sources.resolver return a signed URL"
        )
    return f"{url.scheme}://{url.authority}{url.target}"


@contextmanager
def _connected(
    uri: str,
    *,
    settings: SourceSettings,
    headers: Headers | None,
    where: str | None,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
) -> Iterator[_Connection]:
    try:
        import httpcore

        from vidsearch.media.sources.transport import GuardedBackend
    except ImportError as error:
        raise MissingExtraError.of("worker", needed_for="reading videos over http") from error

    first = WebUri.parse(uri, where=where)
    resolved = where is not None and where != public_uri(uri)
    where = where or public_uri(uri)
    clock = TransferClock(where, timeouts)
    allowlist = Allowlist(settings)
    with httpcore.ConnectionPool(
        ssl_context=ssl.create_default_context(),
        max_keepalive_connections=0,
        network_backend=GuardedBackend(allowlist, clock, where=where),
    ) as pool:
        yield _Connection(
            first=first,
            headers={
                **headers_of_host(settings, first.host, first.port, scheme=first.scheme),
                **(headers or {}),
            },
            where=where,
            resolved=resolved,
            pool=pool,
            settings=settings,
            allowlist=allowlist,
            clock=clock,
            timeouts=timeouts,
        )


@dataclass(kw_only=True)
class _Connection:
    """How one video is asked for; each hop is checked like the first."""

    first: WebUri
    headers: Headers
    where: str
    resolved: bool
    """Whether ``where`` is not what is read, so that messages keep that to themselves."""
    pool: httpcore.ConnectionPool
    settings: SourceSettings
    allowlist: Allowlist
    clock: TransferClock
    timeouts: Timeouts

    @contextmanager
    def answer(self, wanted: Mapping[str, str]) -> Iterator[httpcore.Response]:
        """The answer that is not a redirect; ``wanted`` are headers that say which part."""
        hop = self.first
        for _ in range(_MOST_REDIRECTS + 1):
            self.allowlist.require_listed(hop.host, port=hop.port, where=self.where)
            with self._asked(hop, wanted) as response:
                if response.status not in _REDIRECTS:
                    yield response
                    return
                location = header(response, "location")
            if not location:
                raise SourceNotFoundError(f"{self.where} is moved ({response.status}) to nowhere")
            hop = self._next(hop, location)
        raise SourceNotFoundError(f"{self.where} was redirected more than {_MOST_REDIRECTS} times")

    def _next(self, hop: WebUri, location: str) -> WebUri:
        try:
            target = hop.join(location)
        except SourceNotFoundError:
            raise self._leads_nowhere() from None
        scheme = scheme_of(target)
        there = "a place" if self.resolved else public_uri(target)[:200]
        leads = f"{self.where} may not be read: it redirects to {there}"
        if scheme not in {"http", "https"}:
            raise SourceForbiddenError(f"{leads}, which is not http or https")
        if hop.scheme == "https" and scheme == "http":
            raise SourceForbiddenError(f"{leads}, from https to http, where anybody may change it")
        require_scheme(scheme, self.settings, where=self.where)
        try:
            return WebUri.parse(target)
        except SourceNotFoundError:
            raise self._leads_nowhere() from None

    def _leads_nowhere(self) -> SourceNotFoundError:
        return SourceNotFoundError(f"{self.where} redirects to what is not a valid URL")

    @contextmanager
    def _asked(self, hop: WebUri, wanted: Mapping[str, str]) -> Iterator[httpcore.Response]:
        import httpcore

        headers: dict[str, str | bytes] = {
            "host": hop.authority,
            "user-agent": "vidsearch",
            "accept": "*/*",
            "accept-encoding": "identity",
        }
        # The first host's secrets go to the first host; a redirect may bring its own credentials.
        credentials, at_first = hop.credentials, hop.origin == self.first.origin
        if credentials is None and at_first:
            credentials = self.first.credentials
        if credentials is not None:
            headers["authorization"] = b"Basic " + base64.b64encode(credentials)
        if at_first:
            secrets = {name: value.get_secret_value() for name, value in self.headers.items()}
            headers |= {name: value.encode("latin-1") for name, value in secrets.items()}
        headers |= wanted
        self.clock.asked()
        request = httpcore.Request(
            "GET",
            httpcore.URL(scheme=hop.scheme, host=hop.host, port=hop.port, target=hop.target),
            headers=[(name.title(), value) for name, value in headers.items()],
            extensions={
                "timeout": {"connect": self.timeouts.connect, "write": self.timeouts.silence}
            },
        )
        with mapped(self.where):
            response = self.pool.handle_request(request)
        try:
            self.clock.answered()
            yield response
        finally:
            response.close()


@dataclass
class _Download:
    """One video on its way, and what is needed to go on after a break."""

    connection: _Connection
    file: BoundedFile
    validator: str | None = None
    total: int | None = None
    """Bytes of the whole video, where the server says it."""

    def run(self) -> None:
        timeouts = self.connection.timeouts
        breaks = 0
        while True:
            begin = self.file.size
            try:
                if self._ask():
                    return
                if self.file.size - begin >= timeouts.part_bytes:
                    continue  # a server that gives a long video in parts
                raise _TransferError(
                    f"{self.connection.where} broke off: {self.file.size} of "
                    f"{self.total or 'more'} bytes came"
                )
            except _TransferError as broken:
                breaks += 1
                if self.validator is None or breaks > timeouts.resumes:
                    raise SourceUnavailableError(str(broken)) from broken.__cause__
                _log.info("%s; going on at byte %d", broken, self.file.size)
            pause = backoff.delay(breaks, first=timeouts.pause, longest=_LONGEST_PAUSE)
            time.sleep(pause)

    def _ask(self) -> bool:
        """Ask for the video or its rest and store what comes: whether it is whole now."""
        offset, where = self.file.size, self.connection.where
        rest = {}
        if offset and self.validator:
            rest = {"range": f"bytes={offset}-", "if-range": self.validator}
        with self.connection.answer(rest) as response:
            part = part_of(response)
            if offset and response.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return self._ends_here(part)
            require_success(response, offset=offset, where=where)
            require_plain(response, where=where)
            if response.status != HTTPStatus.PARTIAL_CONTENT or part is None:
                self.file.restart()
                self.validator, self.total = strong_validator(response), whole_size(response)
                self._store(response, end=self.total)
                return True
            self._require_same(response, part)
            self._store(response, end=part.end)
            return self.file.size == self.total

    def _ends_here(self, part: Part | None) -> bool:
        """What a server that has no more bytes says of the end: only the mark of it was lost."""
        known = self.file.size if self.total is None else self.total
        if part is None or not part.total == self.file.size == known:
            raise self._changed()
        return True

    def _require_same(self, response: httpcore.Response, part: Part) -> None:
        """Begin anew where the rest is not of the same video, as one that was replaced."""
        known = part.total if self.total is None else self.total
        if (
            (self.validator and is_of_other_bytes(response, self.validator))
            or (part.total is not None and part.total != known)
            or (known is not None and part.end > known)
        ):
            raise self._changed()
        self.total = known

    def _changed(self) -> _TransferError:
        self.file.restart()
        self.total = None
        return _TransferError(f"{self.connection.where} changed while it was read")

    def _store(self, response: httpcore.Response, *, end: int | None) -> None:
        """Write what comes; ``end`` is the number of the byte after the last one."""
        import httpcore

        where = self.connection.where
        if end is not None:
            self.file.expect(max(end, self.total or 0))
        chunks = response.iter_stream()
        while True:
            try:
                chunk = next(chunks, None)
            except httpcore.TimeoutException as error:
                raise _TransferError(f"{where} did not answer in time") from error
            except (httpcore.NetworkError, httpcore.ProtocolError) as error:
                raise _TransferError(f"{where} broke off: {type(error).__name__}") from error
            if chunk is None:
                return
            if end is not None and self.file.size + len(chunk) > end:
                raise self._changed()
            self.file.write(chunk)
