"""Where the pictures are put: a folder or bucket, under keys that follow from their content."""

from __future__ import annotations

import hashlib
import re
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vidsearch.batches import in_batches
from vidsearch.errors import ConfigError, MissingExtraError, SourceUnavailableError
from vidsearch.media.sources.schemes import BUCKET_SCHEMES, bucket_extra
from vidsearch.media.sources.uris import public_uri
from vidsearch.media.thumbnails.pictures import PictureFormat

if TYPE_CHECKING:
    from vidsearch.config import ThumbnailSettings

__all__ = ["Picture", "ThumbnailStore"]

_APPEARS_COMPLETE = BUCKET_SCHEMES | {"memory"}
"""Schemes of stores in which a file is never seen half written."""
_CONTENT_TYPE = {"s3": "ContentType", "gs": "content_type"}
"""What the file systems that let one say it call the media type."""
_RECENT = 3600.0
"""Seconds for which a picture that is put again is not written again."""
_KEY = re.compile(r"(?:^|/)([0-9a-f]{2}/[0-9a-f]{64}\.(?:webp|jpeg))$")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture that is kept."""

    key: str
    """Where it lies below the URL, as the documents name it."""
    size: int
    """Bytes."""
    written: float | None
    """Seconds since the epoch; ``None`` where the store does not say."""


class ThumbnailStore:
    """Pictures in a folder or bucket that fsspec can write to.

    A picture's key is the SHA-256 of its bytes (``ab/abcdef….webp``), so that the same picture is
    kept once and may be cached for ever.
    """

    def __init__(
        self, url: str, *, format: PictureFormat = "webp", size: int = 320, **options: Any
    ) -> None:
        """Nothing is written yet.

        Args:
            url: ``/folder``, ``file:///folder``, ``s3://bucket/prefix`` or another of fsspec's.
            format: of the pictures.
            size: longer side in pixels.
            options: for the file system of fsspec, such as ``endpoint_url`` for ``s3``.

        Raises:
            ConfigError: a scheme that fsspec does not know, or a URL without a place in it.
            MissingExtraError: the package for the scheme is not installed.
            SourceUnavailableError: the place did not answer; some file systems ask at once.
        """
        from vidsearch.config import redact_url

        self.format: PictureFormat = format
        self.size = size
        # The second for a password with a slash in it, which the first takes for a host.
        self._shown = redact_url(public_uri(url))
        self._files, self._root = self._opened(url, options)

    @classmethod
    def of(cls, settings: ThumbnailSettings) -> ThumbnailStore | None:
        """The store that the section ``thumbnails`` names; ``None`` where it names none."""
        if settings.url is None:
            return None
        return cls(settings.url, format=settings.format, size=settings.size)

    @property
    def form(self) -> str:
        """What the pictures are like, for example ``"webp-320"``."""
        return f"{self.format}-{self.size}"

    def __repr__(self) -> str:
        return f"ThumbnailStore({self._shown!r}, {self.form})"

    def put(self, picture: bytes) -> str:
        """Keep a picture, and return its key below the URL.

        One that is there already is written again if it is older than an hour: its age is what
        protects it from ``vidsearch thumbnails prune`` until the document that names it is written.

        Raises:
            SourceUnavailableError: the place did not answer, or is full. Worth a retry.
            ConfigError: there is no such place, or it refuses to be written to.
        """
        digest = hashlib.sha256(picture).hexdigest()
        key = f"{digest[:2]}/{digest}.{self.format}"
        path = f"{self._root}/{key}"
        with self._mapped():
            if not self._is_recent(path):
                self._write(path, picture)
        return key

    def pictures(self) -> Iterator[Picture]:
        """What is kept, in no order; files of other names are passed over.

        Raises:
            SourceUnavailableError, ConfigError: as :meth:`put`.
        """
        with self._mapped():
            found: dict[str, Any] = self._files.find(self._root, detail=True)
        for path, info in found.items():
            if match := _KEY.search(path):
                yield Picture(match[1], info.get("size") or 0, _modified(info))

    def remove(self, keys: Iterable[str]) -> None:
        """Remove pictures; one that is gone already is none of the others' matter.

        Raises:
            SourceUnavailableError, ConfigError: as :meth:`put`; some may be removed.
        """
        for batch in in_batches(keys):
            with self._mapped():
                try:
                    self._files.rm([f"{self._root}/{key}" for key in batch])
                except FileNotFoundError:
                    for key in batch:
                        with suppress(FileNotFoundError):
                            self._files.rm_file(f"{self._root}/{key}")

    def _is_recent(self, path: str) -> bool:
        try:
            written = _modified(self._files.info(path))
        except (FileNotFoundError, PermissionError):
            # S3 refuses a question about what is not there, to those who may write but not list.
            return False
        return written is None or written > time.time() - _RECENT

    def _write(self, path: str, picture: bytes) -> None:
        schemes = _schemes(self._files)
        if not _APPEARS_COMPLETE.isdisjoint(schemes):
            names = [name for scheme, name in _CONTENT_TYPE.items() if scheme in schemes]
            self._files.pipe_file(path, picture, **dict.fromkeys(names, f"image/{self.format}"))
            return
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        unfinished = f"{path}.{uuid.uuid4().hex}.tmp"
        try:
            self._files.pipe_file(unfinished, picture)
            self._files.mv(unfinished, path)
        except BaseException:
            if self._files.exists(unfinished):
                self._files.rm_file(unfinished)
            raise

    def _opened(self, url: str, options: dict[str, Any]) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        scheme = url.partition("://")[0] if "://" in url else "file"
        try:
            if not url.strip():
                raise ValueError("empty")
            with self._mapped(but=(ImportError, ValueError, TypeError)):
                files, root = url_to_fs(url, **options)
        except ImportError as error:
            if extra := bucket_extra(scheme):
                needed_for = f"writing thumbnails to {scheme}://"
                raise MissingExtraError.of(extra, needed_for=needed_for) from error
            raise ConfigError(
                f"thumbnails.url {self._shown!r}: the package that fsspec needs for {scheme!r} is "
                f"not installed"
            ) from error
        except (ValueError, TypeError):
            raise ConfigError(
                f"thumbnails.url {self._shown!r} is no folder or bucket that fsspec knows; give a "
                f"path, s3://bucket/prefix, gs:// or az://"
            ) from None
        root = str(root).rstrip("/")
        if not root and scheme in BUCKET_SCHEMES:
            raise ConfigError(f"thumbnails.url {self._shown!r} names no bucket")
        return files, root

    @contextmanager
    def _mapped(self, *, but: tuple[type[Exception], ...] = ()) -> Iterator[None]:
        # Each of fsspec's file systems raises what its library does, so all of it is caught; and
        # "from None", as a message may hold the URL with its password.
        try:
            yield
        except but:
            raise
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigError(f"thumbnails.url {self._shown!r} does not exist") from None
        except PermissionError:
            raise ConfigError(
                f"thumbnails.url {self._shown!r} refuses to be written to; check its rights and "
                f"the credentials"
            ) from None
        except Exception as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise SourceUnavailableError(
                f"thumbnails.url {self._shown!r} cannot be written to: {reason}"
            ) from None


def _modified(info: Mapping[str, Any]) -> float | None:
    """When a file was written, which each of fsspec's file systems says in its own way."""
    for name in ("mtime", "LastModified", "last_modified", "updated", "created"):
        value = info.get(name)
        if isinstance(value, str):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
        if isinstance(value, datetime):
            return value.timestamp()
        if value is not None:
            return float(value)
    return None


def _schemes(files: Any) -> set[str]:
    return {files.protocol} if isinstance(files.protocol, str) else set(files.protocol)
