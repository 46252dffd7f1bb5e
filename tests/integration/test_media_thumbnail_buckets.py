"""Thumbnails in a bucket, on a real server that speaks S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from vidsearch.config import ThumbnailSettings
from vidsearch.errors import ConfigError, SourceUnavailableError
from vidsearch.media import ThumbnailStore

pytestmark = pytest.mark.integration
pytest.importorskip("s3fs", reason="the extra `s3` is not installed")
moto_server = pytest.importorskip("moto.server", reason="moto[server] is not installed")

_BUCKET = "pictures"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of an S3 of its own, on a free port."""
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def endpoint(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same, named in the environment as an operator would."""
    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture
def files(endpoint: str) -> Any:
    """The bucket, seen by another client."""
    import s3fs

    files = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    if not files.exists(_BUCKET):
        files.mkdir(_BUCKET)
    return files


def test_thumbnail_is_uploaded_once(files: Any) -> None:
    store = ThumbnailStore.of(ThumbnailSettings(url=f"s3://{_BUCKET}/some/prefix/"))
    assert store is not None
    digest = hashlib.sha256(b"a picture").hexdigest()
    path = f"{_BUCKET}/some/prefix/{digest[:2]}/{digest}.webp"

    key = store.put(b"a picture")
    assert key == f"{digest[:2]}/{digest}.webp"
    assert files.cat_file(path) == b"a picture"
    assert files.info(path)["ContentType"] == "image/webp"

    files.pipe_file(path, b"written once")
    assert store.put(b"a picture") == key
    assert files.cat_file(path) == b"written once"

    files.rm_file(path)
    assert store.put(b"a picture") == key
    assert files.cat_file(path) == b"a picture"


def test_write_only_rights_suffice_for_thumbnails(
    files: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_: str) -> bool:
        raise PermissionError("Forbidden")

    store = ThumbnailStore(f"s3://{_BUCKET}")
    monkeypatch.setattr(store._store._files, "info", forbidden)
    key = store.put(b"a picture, written blindly")
    assert files.cat_file(f"{_BUCKET}/{key}") == b"a picture, written blindly"


def test_missing_bucket_is_reported(files: Any) -> None:
    with pytest.raises(ConfigError, match=r"s3://no-such-bucket/x' does not exist"):
        ThumbnailStore("s3://no-such-bucket/x").put(b"x")


def test_unreachable_server_is_reported(endpoint: str) -> None:
    store = ThumbnailStore(
        f"s3://{_BUCKET}/x",
        endpoint_url="http://127.0.0.1:1",
        config_kwargs={"retries": {"max_attempts": 0}},
    )
    store._store._files.retries = 1
    with pytest.raises(
        SourceUnavailableError, match=r"s3://pictures/x' cannot be written to"
    ) as caught:
        store.put(b"x")
    assert "secret" not in str(caught.value)
