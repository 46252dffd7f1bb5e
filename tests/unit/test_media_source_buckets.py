"""Buckets whose packages are not here: what is said, and how their errors are taken."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    MissingExtraError,
    SourceNotFoundError,
    SourceUnavailableError,
    VideoTooLargeError,
    VidsearchError,
)
from vidsearch.media import fetch
from vidsearch.media.sources.buckets import copy_object
from vidsearch.media.sources.temporary import BoundedFile
from vidsearch.media.sources.timeouts import Timeouts
from vidsearch.media.sources.uris import BucketUri


@pytest.mark.parametrize(
    ("uri", "module", "extra"),
    [
        ("s3://bucket/a.mp4", "s3fs", "s3"),
        ("gs://bucket/a.mp4", "gcsfs", "gcs"),
        ("gcs://bucket/a.mp4", "gcsfs", "gcs"),
        ("az://container/a.mp4", "adlfs", "azure"),
        ("abfs://container/a.mp4", "adlfs", "azure"),
    ],
)
def test_missing_package_is_reported_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, uri: str, module: str, extra: str
) -> None:
    loaded = sys.modules["fsspec.registry"]._registry  # what an earlier test may have used
    for scheme in ("s3", "gs", "az"):
        monkeypatch.delitem(loaded, scheme, raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"'vidsearch\[{extra}\]'"), fetch(uri):
        pass


class _Files:
    """A file system of one object, or of one error."""

    error: Exception | None = None
    size: int | None = 5
    told: Iterator[dict[str, Any]] = iter(())
    """What :meth:`info` says besides, call by call."""
    content: Any = io.BytesIO

    def invalidate_cache(self) -> None: ...

    def info(self, path: str) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return {"type": "file", "size": self.size, **next(self.told, {})}

    def open(self, path: str, mode: str, **options: Any) -> Any:
        return self.content(b"video")

    def find(self, path: str, *, prefix: str) -> list[str]:
        return []


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> type[_Files]:
    kind = type("Files", (_Files,), {})
    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda scheme: kind)
    return kind


def _error(name: str, message: str = "no", **attributes: Any) -> Exception:
    """As a package would raise it that is not here."""
    error = type(name, (Exception,), {})(message)
    vars(error).update(attributes)
    assert isinstance(error, Exception)
    return error


@pytest.mark.parametrize("scheme", ["gs", "az"])
@pytest.mark.parametrize(
    ("error", "expected", "match"),
    [
        (FileNotFoundError("a.mp4"), SourceNotFoundError, "was not found"),
        (_error("ResourceNotFoundError", status_code=404), SourceNotFoundError, "was not found"),
        (PermissionError("no"), SourceUnavailableError, "credentials"),
        (_error("HttpError", code=403), SourceUnavailableError, "credentials"),
        (_error("ClientAuthenticationError"), SourceUnavailableError, "credentials"),
        (_error("DefaultCredentialsError"), SourceUnavailableError, "credentials"),
        (_error("HttpError", code=429), SourceUnavailableError, "cannot be read: HttpError"),
        (_error("HttpResponseError", status_code=503), SourceUnavailableError, "cannot be read"),
        (_error("ServiceRequestError"), SourceUnavailableError, "cannot be read"),
        (TimeoutError(), SourceUnavailableError, "cannot be read: TimeoutError"),
        (
            _error("Odd", "GET https://x.example/a?sig=s3cret&se=1 failed\nsig=s3cret"),
            SourceUnavailableError,
            r"Odd: GET https://x\.example/a\?… failed",
        ),
    ],
)
def test_errors_of_packages_are_mapped(
    files: type[_Files], scheme: str, error: Exception, expected: type[VidsearchError], match: str
) -> None:
    files.error = error
    with pytest.raises(expected, match=match) as caught, fetch(f"{scheme}://bucket/a.mp4"):
        pass
    assert "s3cret" not in str(caught.value)
    assert f"{scheme}://bucket/a.mp4" in str(caught.value)


def test_missing_account_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unset() -> None:
        raise ValueError("Must provide either a connection_string or account_name")

    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda scheme: unset)
    with (
        pytest.raises(SourceUnavailableError, match="AZURE_STORAGE_CONNECTION_STRING"),
        fetch("az://container/a.mp4"),
    ):
        pass


class _Endless(io.RawIOBase):
    """More and more bytes, or a drip of them."""

    def __init__(self, _: bytes, *, piece: bytes = b"x" * 1000, every: float = 0.0) -> None:
        self._piece = piece
        self._every = every

    def read(self, size: int = -1) -> bytes:
        time.sleep(self._every)
        return self._piece


@pytest.mark.parametrize("size", [None, 10])
def test_object_larger_than_its_size_is_refused(files: type[_Files], size: int | None) -> None:
    files.size, files.content = size, _Endless
    with (
        pytest.raises(VideoTooLargeError, match="has more, and"),
        fetch("gs://bucket/a.mp4", settings=SourceSettings(max_bytes=50_000)),
    ):
        pass


def test_object_shorter_than_its_size_is_an_outage(files: type[_Files]) -> None:
    files.size = 6
    with (
        pytest.raises(SourceUnavailableError, match="broke off: 5 of 6 bytes came"),
        fetch("gs://bucket/a.mp4"),
    ):
        pass


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"etag": "one", "generation": "1"}, {"etag": "one", "generation": "2"}),
        ({"etag": "one"}, {"etag": "two"}),
        ({"etag": "one"}, {"etag": "one", "size": 6}),
        ({}, {"size": 6}),
    ],
)
def test_object_replaced_while_it_is_read_is_an_outage(
    files: type[_Files], before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Its chunks may be of both: not every package asks for the version that it began with."""
    files.told = iter([before, after])
    with (
        pytest.raises(SourceUnavailableError, match=r"a\.mp4 changed while it was read"),
        fetch("gs://bucket/a.mp4"),
    ):
        pass


def test_object_that_stays_the_same_is_fetched(files: type[_Files]) -> None:
    files.told = iter([{"etag": "one", "size": 5}] * 2)
    with fetch("gs://bucket/a.mp4") as video:
        assert video.path.read_bytes() == b"video"
    assert next(files.told, None) is None, "it is asked again after the last chunk"


def test_slow_object_is_given_up(files: type[_Files], tmp_path: Path) -> None:
    files.size = 10_000
    files.content = staticmethod(lambda _: _Endless(b"", piece=b"x", every=0.02))
    with (
        BoundedFile(tmp_path / "video", limit=10_000, where="it") as file,
        pytest.raises(SourceUnavailableError, match="is too slow"),
    ):
        copy_object(
            BucketUri("gs", "bucket", "a.mp4"),
            file,
            settings=SourceSettings(),
            where="it",
            timeouts=Timeouts(interval=0.2, interval_bytes=1000),
        )


@pytest.mark.parametrize(
    "uri",
    [
        "az://container@account.dfs.core.windows.net/a.mp4",
        "gs://-bucket/a.mp4",
        "gs://buc ket/a.mp4",
        "gs://bucket?x/a.mp4",
        "gs:bucket/a.mp4",
    ],
)
def test_uri_that_names_no_object_is_refused(files: type[_Files], uri: str) -> None:
    with pytest.raises(SourceNotFoundError, match="not an object in a bucket"), fetch(uri):
        pass
