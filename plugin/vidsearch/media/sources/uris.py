"""Taking a video's URI apart, and showing it without its secrets."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit, urlunsplit

from vidsearch.credentials import holds_credentials, without_invisible
from vidsearch.errors import SourceNotFoundError, SourceUnsupportedError
from vidsearch.file_names import path_in

__all__ = ["BucketUri", "WebUri", "file_path", "normal_host", "public_uri", "scheme_of"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?")
_LONGEST_HOST = 253
_BUCKET = re.compile(r"[A-Za-z0-9$][A-Za-z0-9._-]{0,254}")
# What may stand in a request line as it is. All else is percent-encoded, and nothing is decoded: a
# signature may cover the very bytes of path and query.
_TO_ENCODE = re.compile(r"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~:/?@!$&'()*+,;=%-]")
_PORTS = {"http": 80, "https": 443}


def scheme_of(uri: str) -> str | None:
    """The scheme in lower case, or ``None`` for a bare path."""
    match = _SCHEME.match(uri)
    return match[1].lower() if match else None


def public_uri(uri: str) -> str:
    """The URI without credentials, query and fragment: for messages, logs and error records."""
    seen = without_invisible(uri)
    match = _SCHEME.match(seen)
    if not match:
        return "//…" if holds_credentials(uri) else uri
    try:
        parts = urlsplit(seen)
        _ = parts.port  # the beginning of a password that holds a slash looks like one
        if parts.scheme in _PORTS and not parts.netloc:
            raise ValueError("a slash too few or too many")
    except ValueError:  # what cannot be taken apart cannot be cleaned
        return f"{match[0]}…"
    shown = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return f"{match[0]}…" if holds_credentials(shown) else shown


def file_path(uri: str, *, where: str | None = None) -> str:
    """The path that a ``file:`` URI names; ``where`` is the URI as messages show it.

    Raises:
        SourceNotFoundError: it is none.
        SourceUnsupportedError: it names another host.
    """
    try:
        path = path_in(uri)
    except ValueError:  # as of a bracket in the place of a host, or of half a surrogate pair
        raise SourceNotFoundError(f"{where or public_uri(uri)} is not a valid URI") from None
    if path is None:
        host = urlsplit(uri).netloc.rpartition("@")[2]
        raise SourceUnsupportedError(
            f"{where or public_uri(uri)!r} names the host {host!r}, and only files of this "
            "machine are read; write file:///path"
        )
    return path


def normal_host(host: str) -> str:
    """One spelling per host: lower case, IDNA, no trailing dot; the short form of IPv6.

    Raises:
        ValueError: no host can be called so.
    """
    if ":" in host:
        if "%" in host:
            raise ValueError("an IPv6 zone says nothing to another machine")
        return ipaddress.IPv6Address(host).compressed
    if len(host) > _LONGEST_HOST:
        raise ValueError("too long")
    name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    if not _HOST.fullmatch(name):
        raise ValueError("not a host name")
    return name


@dataclass(frozen=True, slots=True)
class WebUri:
    """An http or https URL. What is checked here is what is connected to: it is parsed once."""

    scheme: str
    host: str
    """As :func:`normal_host` spells it, without brackets."""
    port: int
    target: str = field(repr=False)
    """Path and query as they are sent, ASCII."""
    credentials: bytes | None = field(default=None, repr=False)
    """``user:password``, percent-decoded."""

    @classmethod
    def parse(cls, uri: str, *, where: str | None = None) -> WebUri:
        """Take a URL apart; ``where`` is the URI as messages show it.

        Raises:
            SourceNotFoundError: it is none.
        """
        try:
            return cls._parse(uri)
        except ValueError:  # "from None": the library's message may hold a secret of the URL
            raise SourceNotFoundError(f"{where or public_uri(uri)} is not a valid URL") from None

    @classmethod
    def _parse(cls, uri: str) -> WebUri:
        # urlsplit drops some control characters, and browsers take a backslash for a slash: what
        # two parsers read differently is refused.
        if _CONTROL.search(uri):
            raise ValueError("control characters")
        parts = urlsplit(uri)
        if "\\" in parts.netloc or not parts.hostname:
            raise ValueError("no host")
        if parts.port == 0:
            raise ValueError("no port")
        user, at, _ = parts.netloc.rpartition("@")
        name, _, password = user.partition(":")
        rest = uri.partition("#")[0].partition("://")[2][len(parts.netloc) :]
        target = rest if rest.startswith("/") else f"/{rest}"
        return cls(
            scheme=parts.scheme,
            host=normal_host(parts.hostname),
            port=parts.port or _PORTS[parts.scheme],
            target=_TO_ENCODE.sub(lambda found: quote(found[0], safe=""), target),
            credentials=unquote_to_bytes(name) + b":" + unquote_to_bytes(password) if at else None,
        )

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: whoever may know the credentials."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def join(self, location: str) -> str:
        """The URI that a redirect to ``location`` leads to.

        Raises:
            SourceNotFoundError: it is none.
        """
        if _ABSOLUTE.match(location):
            return location
        try:
            return urljoin(f"{self.scheme}://{self.authority}{self.target}", location)
        except ValueError:  # as of a bracket in the place of a host
            raise SourceNotFoundError(f"{public_uri(location)} is not a valid URL") from None


@dataclass(frozen=True, slots=True)
class BucketUri:
    """An object in a bucket or container. The key is taken literally, as every cloud's CLI does."""

    scheme: str
    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str, *, scheme: str, where: str | None = None) -> BucketUri:
        """Take it apart; ``scheme`` is the one of fsspec, ``where`` the URI as messages show it.

        Raises:
            SourceNotFoundError: no bucket or no key.
        """
        bucket, _, key = uri.partition("://")[2].partition("/")
        if not _BUCKET.fullmatch(bucket) or not key:
            raise SourceNotFoundError(
                f"{where or public_uri(uri)} is not an object in a bucket; write "
                f"{scheme}://bucket/key (account and credentials come from the worker's "
                "surroundings)"
            )
        return cls(scheme, bucket, key)

    @property
    def path(self) -> str:
        """As fsspec takes it."""
        return f"{self.bucket}/{self.key}"
