"""URI → a file on this machine."""

from __future__ import annotations

import asyncio
import errno
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from vidsearch.errors import (
    ConfigError,
    MissingExtra,
    SourceUnavailable,
    VideoNotFound,
    VideoOpenError,
)

__all__ = ["LocalFile", "fetch", "public_uri"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_CONNECT_SECONDS = 15.0
_SILENCE_SECONDS = 60.0
_RETRIED_STATUS = {408, 425, 429}
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~:/?#@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_SUPPORTED = "a path, file://, http:// or https://"


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A video that can be opened by path."""

    path: Path
    uri: str = field(repr=False)
    """As given; may hold a signature or credentials, so show :func:`public_uri` of it."""
    size: int
    """Bytes."""


def public_uri(uri: str) -> str:
    """The URI without credentials, query and fragment: for messages, logs and error records."""
    match = _SCHEME.match(uri)
    if not match:
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:  # what cannot be taken apart cannot be cleaned
        return f"{match[0]}…"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


@contextmanager
def fetch(uri: str) -> Iterator[LocalFile]:
    """Make a video readable by path for as long as the context lasts.

    A local file is used where it is. A remote one is streamed into a temporary folder, which is
    removed when the context ends, whatever happened.

    Raises:
        VideoNotFound: no such file, or the server says that there is none for us (4xx).
        VideoOpenError: a folder, or a file that may not be read.
        SourceUnavailable: refused, timed out, broke off, or 5xx. Worth a retry.
        ConfigError: empty, or a scheme that is not supported.
        MissingExtra: the scheme needs a package that is not installed.
    """
    if not uri.strip():
        raise ConfigError(f"the video's URI is empty; give {_SUPPORTED}")
    match = _SCHEME.match(uri)
    scheme = match[1].lower() if match else "file"
    if scheme == "file":
        path = _file_uri_path(uri) if match else Path(uri)
        yield LocalFile(path=path, uri=uri, size=_size(path))
    elif scheme in {"http", "https"}:
        with tempfile.TemporaryDirectory(prefix="vidsearch-") as folder:
            path = Path(folder, "video" + PurePosixPath(public_uri(uri)).suffix[:16])
            _download(uri, path)
            yield LocalFile(path=path, uri=uri, size=path.stat().st_size)
    elif "://" not in uri and Path(uri).exists():  # a plain file name with a colon in it
        yield LocalFile(path=Path(uri), uri=uri, size=_size(Path(uri)))
    else:
        raise ConfigError(
            f"{public_uri(uri)!r}: no reader for the scheme {scheme!r}; give {_SUPPORTED}"
        )


def _file_uri_path(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in {"", "localhost"}:
        where = public_uri(uri)
        host = parts.netloc.rpartition("@")[2]
        raise ConfigError(f"{where!r} names the host {host!r}; write file:///path")
    return Path(unquote(parts.path))


def _size(path: Path) -> int:
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            path.open("rb").close()
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise VideoNotFound(f"no such file: {path}") from error
    except PermissionError as error:
        raise VideoOpenError(f"{path} cannot be read: {error.strerror}") from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise VideoNotFound(f"no such file (name too long): {str(path)[:80]}…") from error
        raise SourceUnavailable(f"{path} cannot be read: {error.strerror}") from error
    if stat.S_ISDIR(status.st_mode):
        raise VideoOpenError(f"{path} is a folder, not a video")
    if not stat.S_ISREG(status.st_mode):
        raise VideoOpenError(f"{path} is not a regular file")
    return status.st_size


def _download(uri: str, path: Path) -> None:
    try:
        import aiohttp
        from fsspec.implementations.http import HTTPFileSystem
    except ImportError as error:
        raise MissingExtra.of("worker", needed_for="reading videos over http") from error

    where = public_uri(uri)
    # No limit on the whole transfer (videos are long), but on silence.
    timeout = aiohttp.ClientTimeout(
        total=None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS
    )
    # A URL that needs no encoding is sent as it is: a signature may cover its very bytes, and the
    # library would turn the `%2F` of a query into a slash.
    encoded = bool(_ENCODED.fullmatch(uri))
    files = HTTPFileSystem(client_kwargs={"timeout": timeout}, encoded=encoded)
    # "from None": the library's messages hold the whole URL, with its signature or password.
    try:
        files.get_file(uri, str(path))
    except FileNotFoundError:
        raise VideoNotFound(f"{where} was not found (404)") from None
    except aiohttp.ClientResponseError as error:
        reason = f"{where} was answered with {error.status} {error.message}".rstrip()
        if error.status >= 500 or error.status in _RETRIED_STATUS:
            raise SourceUnavailable(reason) from None
        raise VideoNotFound(reason) from None
    except (aiohttp.InvalidURL, ValueError):
        raise VideoNotFound(f"{where} is not a valid URL") from None
    except (TimeoutError, asyncio.TimeoutError, aiohttp.ServerTimeoutError):
        raise SourceUnavailable(f"{where} did not answer in time") from None
    except aiohttp.ClientConnectorError as error:
        raise SourceUnavailable(f"{where} cannot be reached: {error.os_error}") from None
    except aiohttp.ClientError as error:
        raise SourceUnavailable(f"{where} broke off: {type(error).__name__}") from None
    except OSError as error:  # on this side: the disk is full
        raise SourceUnavailable(f"{where} cannot be stored: {error.strerror}") from error
