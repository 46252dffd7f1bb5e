"""Videos in a bucket: moto's S3 server, the real s3fs, and a server that says what S3 says."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.http_stub import Asked, Reply, http_stub

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    SourceForbiddenError,
    SourceNotFoundError,
    SourceUnavailableError,
    VideoOpenError,
    VideoTooLargeError,
    VidsearchError,
)
from vidsearch.media import fetch, open_source
from vidsearch.media.sources.temporary import BoundedFile

pytestmark = pytest.mark.integration

pytest.importorskip("s3fs")

_CONTENT = bytes(range(256)) * 70_000  # 18 MB: three chunks
_SERVE = """
import sys, threading
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""
_OBJECTS = {
    "talks/talk.mp4": _CONTENT,
    "talks/talk.srt": b"plain",
    "talks/talk.en.vtt": b"english",
    "talks/talk.de.srt": b"x" * (5 * 2**20 + 1),
    "talks/talk.d/talk.srt": b"below",
    "talks/talks.srt": b"of another",
    "talks/alone.mp4": b"alone",
    "root.mp4": b"root",
    "root.srt": b"of root",
    "odd/a b%20c#1?x=ü.mp4": b"odd",
}


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The URL of an S3 server, in a process of its own."""
    pytest.importorskip("moto.server")
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(60)
        process.stdout.close()


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[pytest.MonkeyPatch]:
    """Credentials and nothing else of the machine; no client of an earlier test."""
    import s3fs

    for name in list(os.environ):
        if name.startswith(("AWS_", "FSSPEC_")):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "not-there"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 1)
    s3fs.S3FileSystem.clear_instance_cache()
    yield monkeypatch
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def objects(moto: str) -> Iterator[Any]:
    """A client of the server's, which holds the objects above."""
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=moto,
        region_name="us-east-1",
        aws_access_key_id="k",
        aws_secret_access_key="s",
    )
    client.create_bucket(Bucket="media")
    for key, content in _OBJECTS.items():
        client.put_object(Bucket="media", Key=key, Body=content)
    yield client
    client.close()


@pytest.fixture
def bucket(surroundings: pytest.MonkeyPatch, moto: str, objects: Any) -> Any:
    surroundings.setenv("AWS_ENDPOINT_URL", moto)
    return objects


def test_object_is_fetched_with_its_subtitles(
    bucket: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = SourceSettings(folder=tmp_path)
    for uri in ("s3://media/talks/talk.mp4", "s3a://media/talks/talk.mp4"):
        with fetch(uri, settings=settings) as video:
            assert video.path.is_relative_to(tmp_path)
            assert (video.path.suffix, video.size) == (".mp4", len(_CONTENT))
            assert video.path.read_bytes() == _CONTENT
            assert [one.path.name for one in video.sidecars] == ["talk.srt", "talk.en.vtt"]
            assert [one.path.read_bytes() for one in video.sidecars] == [b"plain", b"english"]
        assert list(tmp_path.iterdir()) == []
    assert "talk.de.srt has more, and" in caplog.text


def test_keys_with_special_characters_are_fetched(bucket: Any) -> None:
    with fetch("s3://media/talks/alone.mp4") as video:
        assert video.path.read_bytes() == b"alone"
        assert video.sidecars == ()
    with fetch("s3://media/root.mp4") as video:
        assert video.path.read_bytes() == b"root"
        assert [one.path.read_bytes() for one in video.sidecars] == [b"of root"]
    with fetch("s3://media/odd/a b%20c#1?x=ü.mp4") as video:
        assert video.path.read_bytes() == b"odd"


@pytest.mark.parametrize("key", ["talks/alone.mp4", "odd/a b%20c#1?x=ü.mp4"])
def test_player_reads_a_part_by_a_signed_url(bucket: Any, key: str) -> None:
    with open_source(f"s3://media/{key}") as source:
        url = source.to_play(seconds=600)
    assert isinstance(url, str)
    answer = httpx.get(url, headers={"range": "bytes=1-2"})
    assert (answer.status_code, answer.content) == (206, _OBJECTS[key][1:3])
    assert "hush" not in url


def test_endpoint_of_the_fsspec_configuration_is_used(
    surroundings: pytest.MonkeyPatch, moto: str, objects: Any
) -> None:
    import fsspec.config

    surroundings.setitem(fsspec.config.conf, "s3", {"endpoint_url": moto})
    with fetch("s3://media/talks/alone.mp4") as video:
        assert video.size == 5


@pytest.mark.parametrize(
    ("uri", "error", "match"),
    [
        ("s3://media/not-there.mp4", SourceNotFoundError, "media/not-there.mp4 was not found"),
        ("s3://not-there/talk.mp4", SourceNotFoundError, "not-there/talk.mp4 was not found"),
        ("s3://media/talks", VideoOpenError, "is a folder"),
        ("s3://media", SourceNotFoundError, "not an object in a bucket"),
        ("s3://media/", SourceNotFoundError, "not an object in a bucket"),
        ("s3:///talk.mp4", SourceNotFoundError, "not an object in a bucket"),
        ("s3://key:hush@media/talk.mp4", SourceNotFoundError, "not an object in a bucket"),
        # A chain of file systems, as fsspec would read it.
        ("s3://media::file:///etc/passwd", SourceNotFoundError, "not an object in a bucket"),
        ("s3://media/x::file:///etc/passwd", SourceNotFoundError, "was not found"),
        ("s3://media/../../etc/passwd", SourceNotFoundError, "was not found"),
    ],
)
def test_missing_object_or_bucket_is_reported(
    bucket: Any, uri: str, error: type[VidsearchError], match: str
) -> None:
    with pytest.raises(error, match=match) as caught, fetch(uri):
        pass
    assert "hush" not in str(caught.value)


def test_object_beyond_max_bytes_is_refused(bucket: Any) -> None:
    settings = SourceSettings(max_bytes=1000)
    with (
        pytest.raises(VideoTooLargeError, match=f"has {len(_CONTENT)} bytes"),
        fetch("s3://media/talks/talk.mp4", settings=settings),
    ):
        pass


def test_bucket_outside_the_allowlist_is_refused(bucket: Any) -> None:
    with (
        pytest.raises(
            SourceForbiddenError, match=r"sources\.hosts does not name the bucket 'media'"
        ),
        fetch("s3://media/root.mp4", settings=SourceSettings(hosts=("other", "*.media"))),
    ):
        pass
    with fetch("s3://media/root.mp4", settings=SourceSettings(hosts=("other", "media"))) as video:
        assert video.size == 4


def test_object_replaced_while_it_is_read_is_an_outage(
    bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_object(Bucket="media", Key="new.mp4", Body=_CONTENT)
    write = BoundedFile.write

    def replaced_first(file: BoundedFile, chunk: bytes) -> None:
        if not file.size:
            bucket.put_object(Bucket="media", Key="new.mp4", Body=_CONTENT[::-1])
        write(file, chunk)

    monkeypatch.setattr(BoundedFile, "write", replaced_first)
    with (
        pytest.raises(SourceUnavailableError, match=r"new\.mp4 cannot be read: FileExpired"),
        fetch("s3://media/new.mp4"),
    ):
        pass


@pytest.mark.parametrize(
    ("status", "error", "match"),
    [
        (403, SourceUnavailableError, "AWS_ACCESS_KEY_ID"),
        (404, SourceNotFoundError, "was not found"),
        (500, SourceUnavailableError, "cannot be read"),
        (503, SourceUnavailableError, "cannot be read"),
    ],
)
def test_status_of_the_service_is_mapped_to_an_error(
    surroundings: pytest.MonkeyPatch, status: int, error: type[VidsearchError], match: str
) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(status, body="", hang_up=True)

    with http_stub(answer) as stub:
        surroundings.setenv("AWS_ENDPOINT_URL", stub.url)
        with pytest.raises(error, match=match) as caught, fetch("s3://media/talk.mp4"):
            pass
        assert stub.asked
    assert "hush" not in str(caught.value)


def test_bucket_without_list_rights_is_read(
    surroundings: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The video is read all the same, without subtitles."""

    def answer(asked: Asked) -> Reply:
        if "list-type" in asked.path:
            body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
            return Reply(403, body=body, hang_up=True)
        if asked.method == "HEAD":
            headers = {"content-length": "5", "etag": '"one"'}
            return Reply(headers=headers, pieces=[])
        return Reply(206, body=b"video", headers={"etag": '"one"'})

    with http_stub(answer) as stub:
        surroundings.setenv("AWS_ENDPOINT_URL", stub.url)
        with fetch("s3://media/talk.mp4") as video:
            assert video.path.read_bytes() == b"video"
            assert video.sidecars == ()
    assert "subtitles beside s3://media/talk.mp4 may not be read" in caplog.text


def test_missing_credentials_and_endpoint_are_reported(surroundings: pytest.MonkeyPatch) -> None:
    surroundings.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    begun = time.monotonic()
    with (
        pytest.raises(SourceUnavailableError, match="cannot be read: EndpointConnectionError"),
        fetch("s3://media/talk.mp4"),
    ):
        pass
    surroundings.delenv("AWS_ACCESS_KEY_ID")
    surroundings.delenv("AWS_SECRET_ACCESS_KEY")
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    with (
        pytest.raises(SourceUnavailableError, match=r"NoCredentialsError.*AWS_ACCESS_KEY_ID"),
        fetch("s3://media/talk.mp4"),
    ):
        pass
    assert time.monotonic() - begun < 60
