"""A folder or bucket that files are kept in, through fsspec."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vidsearch.batches import in_batches
from vidsearch.config import redact_url
from vidsearch.errors import ConfigError, MissingExtraError, SourceUnavailableError
from vidsearch.media.sources.schemes import BUCKET_SCHEMES, bucket_extra
from vidsearch.media.sources.uris import public_uri

__all__ = ["FileStore", "StoredFile"]

_APPEARS_COMPLETE = BUCKET_SCHEMES | {"memory"}
"""Schemes of stores in which a file is never seen half written."""
_CONTENT_TYPE = {"s3": "ContentType", "gs": "content_type"}
"""What the file systems that let one say it call the media type."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file that is kept."""

    key: str
    """Where it lies below the URL."""
    size: int
    """Bytes."""
    written: float | None
    """Seconds since the epoch; ``None`` where the store does not say."""

    def is_older(self, than: float) -> bool:
        """Whether it was certainly written before a time, in seconds since the epoch."""
        return self.written is not None and self.written < than


class FileStore:
    """Files under keys (``ab/abcdef.webp``) below a URL. A reader never sees half a file.

    Every method maps what the file systems of fsspec raise:

    Raises:
        SourceUnavailableError: the place did not answer, or is full. Worth a retry.
        ConfigError: there is no such place, or its rights do not allow it.
    """

    def __init__(self, url: str, *, setting: str, **options: Any) -> None:
        """Nothing is written yet.

        Args:
            url: ``/folder``, ``file:///folder``, ``s3://bucket/prefix`` or another of fsspec's.
            setting: that holds the URL, for messages.
            options: for the file system of fsspec, such as ``endpoint_url`` for ``s3``.

        Raises:
            ConfigError: a scheme that fsspec does not know, or a URL without a place in it.
            MissingExtraError: the package for the scheme is not installed.
            SourceUnavailableError: the place did not answer; some file systems ask at once.
        """
        # The second for a password with a slash in it, which the first takes for a host.
        self.shown = redact_url(public_uri(url))
        self._where = f"{setting} {self.shown!r}"
        self._files, self._root = self._opened(url, options)

    def read(self, key: str) -> bytes | None:
        """The file, or ``None`` where there is none."""
        with self._mapped("read"):
            try:
                data: bytes = self._files.cat_file(f"{self._root}/{key}")
            except (FileNotFoundError, IsADirectoryError):
                return None
            return data

    def read_many(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Some files, by their keys; those of which there is none are left out."""
        found = {key: self.read(key) for key in keys}
        return {key: data for key, data in found.items() if data is not None}

    def write(self, key: str, data: bytes, *, media_type: str | None = None) -> None:
        """Keep a file under a key, in place of one that is there."""
        with self._mapped():
            self._write(f"{self._root}/{key}", data, media_type)

    def written_at(self, key: str) -> float | None:
        """When a file was written, in seconds since the epoch; infinity where the store keeps it
        without a time, ``None`` where it is not there or that may not be asked."""
        with self._mapped():
            try:
                written = _modified(self._files.info(f"{self._root}/{key}"))
            except (FileNotFoundError, PermissionError):
                # S3 refuses a question about what is not there, to those who may not list.
                return None
        return float("inf") if written is None else written

    def files(self) -> Iterator[StoredFile]:
        """What is kept, in no order."""
        with self._mapped("read"):
            found: dict[str, Any] = self._files.find(self._root, detail=True)
        for path, info in found.items():
            key = path[len(self._root) :].lstrip("/")
            yield StoredFile(key, info.get("size") or 0, _modified(info))

    def remove(self, keys: Iterable[str]) -> None:
        """Remove files; one that is gone already is none of the others' matter."""
        for batch in in_batches(keys):
            with self._mapped():
                try:
                    self._files.rm([f"{self._root}/{key}" for key in batch])
                except FileNotFoundError:
                    for key in batch:
                        with suppress(FileNotFoundError):
                            self._files.rm_file(f"{self._root}/{key}")

    def _write(self, path: str, data: bytes, media_type: str | None) -> None:
        schemes = _schemes(self._files)
        if not _APPEARS_COMPLETE.isdisjoint(schemes):
            names = [name for scheme, name in _CONTENT_TYPE.items() if scheme in schemes]
            options = dict.fromkeys(names, media_type) if media_type else {}
            self._files.pipe_file(path, data, **options)
            return
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        unfinished = f"{path}.{uuid.uuid4().hex}.tmp"
        try:
            self._files.pipe_file(unfinished, data)
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
                needed_for = f"writing to {scheme}://"
                raise MissingExtraError.of(extra, needed_for=needed_for) from error
            raise ConfigError(
                f"{self._where}: the package that fsspec needs for {scheme!r} is not installed"
            ) from error
        except (ValueError, TypeError):
            raise ConfigError(
                f"{self._where} is no folder or bucket that fsspec knows; give a path, "
                f"s3://bucket/prefix, gs:// or az://"
            ) from None
        root = str(root).rstrip("/")
        if not root and scheme in BUCKET_SCHEMES:
            raise ConfigError(f"{self._where} names no bucket")
        return files, root

    @contextmanager
    def _mapped(
        self, done: str = "written to", *, but: tuple[type[Exception], ...] = ()
    ) -> Iterator[None]:
        # Each of fsspec's file systems raises what its library does, so all of it is caught; and
        # "from None", as a message may hold the URL with its password.
        try:
            yield
        except but:
            raise
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigError(f"{self._where} does not exist") from None
        except PermissionError:
            raise ConfigError(
                f"{self._where} refuses to be {done}; check its rights and the credentials"
            ) from None
        except Exception as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise SourceUnavailableError(f"{self._where} cannot be {done}: {reason}") from None


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
