"""Downloads: bounded in bytes and time, resumed after a break, over TLS that is verified."""

from __future__ import annotations

import gzip
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.certificates import self_signed
from tests.http_stub import Asked, Reply, endless, http_stub

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    SourceForbiddenError,
    SourceNotFoundError,
    SourceUnavailableError,
    VideoOpenError,
    VideoTooLargeError,
)
from vidsearch.media import fetch, open_source
from vidsearch.media.sources.temporary import BoundedFile
from vidsearch.media.sources.timeouts import DEFAULT_TIMEOUTS, Timeouts
from vidsearch.media.sources.web import download

pytest.importorskip("httpcore")

_HERE = SourceSettings(private_hosts=("127.0.0.1",), max_bytes=100_000)
_SHORT = Timeouts(silence=0.5, interval=0.3, interval_bytes=1000, total=3.0, pause=0.01)
_DRIPS = Timeouts(interval=0.3, interval_bytes=1000)
_PATIENT = Timeouts(pause=0.01)
"""Where no time is to be over, however late this machine's own server answers."""
_CONTENT = bytes(range(256)) * 300


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[BoundedFile]:
    with BoundedFile(tmp_path / "video", limit=_HERE.max_bytes, where="the video") as file:
        yield file


def test_content_length_beyond_the_limit_is_refused_at_once() -> None:
    with (
        http_stub(lambda _: Reply(pieces=[], headers={"content-length": "100001"})) as stub,
        pytest.raises(
            VideoTooLargeError, match=r"has 100001 bytes, and sources\.max_bytes allows 100000"
        ),
        fetch(f"{stub.url}/v.mp4", settings=_HERE),
    ):
        pass


@pytest.mark.parametrize("headers", [{}, {"transfer-encoding": "chunked"}])
def test_endless_body_is_refused_at_the_limit(headers: dict[str, str], tmp_path: Path) -> None:
    piece = b"x" * 5000
    if headers:
        piece = b"1388\r\n" + piece + b"\r\n"
    settings = _HERE.model_copy(update={"folder": tmp_path})
    with (
        http_stub(lambda _: Reply(pieces=endless(piece), headers=headers)) as stub,
        pytest.raises(VideoTooLargeError, match=r"has more, and sources\.max_bytes allows 100000"),
        fetch(f"{stub.url}/v.mp4", settings=settings),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_wrong_content_length_truncates_or_is_an_outage() -> None:
    less = {"content-length": "10"}
    with (
        http_stub(lambda _: Reply(body=_CONTENT, headers=less, hang_up=True)) as stub,
        fetch(f"{stub.url}/v.mp4", settings=_HERE) as video,
    ):
        assert video.path.read_bytes() == _CONTENT[:10]
    more = {"content-length": "90000"}
    with (
        http_stub(lambda _: Reply(body=_CONTENT, headers=more, hang_up=True)) as stub,
        pytest.raises(SourceUnavailableError, match="broke off"),
        fetch(f"{stub.url}/v.mp4", settings=_HERE),
    ):
        pass
    assert len(stub.asked) == 1, "nothing says that a second answer would be the same video"


@pytest.mark.parametrize("encoding", ["gzip", "X-GZIP", "identity, br", "zstd"])
def test_compressed_body_is_refused(encoding: str) -> None:
    bomb = gzip.compress(b"\0" * 10_000_000)
    headers = {"content-encoding": encoding}
    with (
        http_stub(lambda _: Reply(body=bomb, headers=headers)) as stub,
        pytest.raises(VideoOpenError, match=r"comes compressed \(.*\) although that was declined"),
        fetch(f"{stub.url}/v.mp4", settings=_HERE),
    ):
        pass
    assert stub.asked[0].headers["Accept-Encoding"] == "identity"


def test_compressed_file_is_kept_as_it_is() -> None:
    packed = gzip.compress(b"\0" * 10_000_000)
    with (
        http_stub(lambda _: Reply(body=packed)) as stub,
        fetch(f"{stub.url}/v.mp4", settings=_HERE) as video,
    ):
        assert video.path.read_bytes() == packed


def test_full_disk_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with (
        http_stub(lambda _: Reply(body=b"eleven bytes")) as stub,
        pytest.raises(SourceUnavailableError, match="it has 12 bytes, and 10 are free"),
        fetch(f"{stub.url}/v.mp4", settings=_HERE),
    ):
        pass


def test_slow_download_is_given_up(copy: BoundedFile) -> None:
    with http_stub(lambda _: Reply(pieces=endless(b"x", every=0.02))) as stub:
        begun = time.monotonic()
        with pytest.raises(SourceUnavailableError, match=r"is too slow: \d+ bytes in \d+\.\d s"):
            download(stub.url, copy, settings=_HERE, timeouts=_DRIPS)
    assert time.monotonic() - begun < 15
    assert DEFAULT_TIMEOUTS.silence + DEFAULT_TIMEOUTS.interval <= 120, (
        "what a drip costs a worker outside of tests"
    )


@pytest.mark.parametrize(
    ("piece", "every", "after"),
    [
        (b"x", 0.02, b"HTTP/1.1 200 OK\r\nX-Long: "),
        (b"HTTP/1.1 100 Continue\r\n\r\n", 0.02, b""),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100, 0.0, b""),
        (b"HTTP/1.1 102 Processing\r\n\r\n", 0.4, b""),
    ],
)
def test_endless_header_times_out(
    copy: BoundedFile, piece: bytes, every: float, after: bytes
) -> None:
    pieces = endless(piece, every=every, after=after)
    with http_stub(lambda _: Reply(raw=True, pieces=pieces)) as stub:
        begun = time.monotonic()
        with pytest.raises(SourceUnavailableError, match="did not answer in time"):
            download(stub.url, copy, settings=_HERE, timeouts=_SHORT)
    assert time.monotonic() - begun < 15


def test_huge_header_is_an_outage(copy: BoundedFile) -> None:
    head = endless(b"x" * 1000, after=b"HTTP/1.1 200 OK\r\nX-Long: ")
    with (
        http_stub(lambda _: Reply(raw=True, pieces=head)) as stub,
        pytest.raises(SourceUnavailableError, match="broke off"),
    ):
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)


def test_answer_that_is_not_http_is_an_outage(copy: BoundedFile) -> None:
    with (
        http_stub(lambda _: Reply(raw=True, pieces=[b"-ERR unknown command\r\n"])) as stub,
        pytest.raises(SourceUnavailableError, match="broke off"),
    ):
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)


def test_download_beyond_the_total_timeout_is_given_up(copy: BoundedFile) -> None:
    quick_enough = endless(b"x" * 100, every=0.01)
    timeouts = Timeouts(interval=20, interval_bytes=100, total=0.6)
    with (
        http_stub(lambda _: Reply(pieces=quick_enough)) as stub,
        pytest.raises(SourceUnavailableError, match=r"given up: not complete after 0\.6 s"),
    ):
        download(stub.url, copy, settings=_HERE, timeouts=timeouts)


def test_silence_during_a_download_times_out(copy: BoundedFile) -> None:
    pieces = endless(b"x", every=60, after=b"begin")
    with http_stub(lambda _: Reply(pieces=pieces)) as stub:
        begun = time.monotonic()
        with pytest.raises(SourceUnavailableError, match="did not answer in time"):
            download(stub.url, copy, settings=_HERE, timeouts=_SHORT)
    assert time.monotonic() - begun < 15


def test_empty_remote_file_is_fetched_and_has_no_validator() -> None:
    def answer(asked: Asked) -> Reply:
        if "Range" in asked.headers:  # no byte of it can be given
            return Reply(416, body=b"", headers={"content-range": "bytes */0", "etag": '"one"'})
        return Reply(body=b"", headers={"etag": '"one"'})

    with http_stub(answer) as stub, open_source(f"{stub.url}/v.mp4", settings=_HERE) as source:
        assert source.validator() is None
        assert source.file().size == 0


@pytest.mark.parametrize(
    ("status", "error", "match"),
    [
        (401, SourceNotFoundError, "401 Unauthorized; it needs credentials"),
        (403, SourceNotFoundError, "403 Forbidden; the link may have run out"),
        (404, SourceNotFoundError, "not found"),
        (204, SourceNotFoundError, "204"),
        (206, SourceNotFoundError, "206"),
        (304, SourceNotFoundError, "304"),
        (202, SourceUnavailableError, "202"),
        (425, SourceUnavailableError, "425"),
        (429, SourceUnavailableError, "429"),
        (507, SourceUnavailableError, "507"),
    ],
)
def test_status_is_mapped_to_an_error(status: int, error: type[Exception], match: str) -> None:
    with (
        http_stub(lambda _: Reply(status, pieces=[])) as stub,
        pytest.raises(error, match=match),
        fetch(f"{stub.url}/v.mp4?token=s3cret", settings=_HERE),
    ):
        pass


# TLS


def test_server_with_a_trusted_certificate_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = self_signed(tmp_path, "localhost", "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    ours = SourceSettings(private_hosts=("127.0.0.1", "localhost"))
    with http_stub(lambda _: Reply(body=b"video"), certificate=files) as stub:
        for url in (stub.url, stub.url.replace("127.0.0.1", "localhost")):
            with fetch(f"{url}/v.mp4", settings=ours) as video:
                assert video.path.read_bytes() == b"video"
    assert stub.asked[1].headers["Host"].startswith("localhost:"), "the name, not the address"


def test_self_signed_certificate_is_refused(tmp_path: Path) -> None:
    files = self_signed(tmp_path, "127.0.0.1")
    with (
        http_stub(lambda _: Reply(body=b"video"), certificate=files) as stub,
        pytest.raises(SourceUnavailableError, match=r"CERTIFICATE_VERIFY_FAILED.*SSL_CERT_FILE"),
        fetch(f"{stub.url}/v.mp4", settings=_HERE),
    ):
        pass
    assert stub.asked == []


def test_certificate_of_another_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = self_signed(tmp_path, "other.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    with (
        http_stub(lambda _: Reply(body=b"video"), certificate=files) as stub,
        pytest.raises(SourceUnavailableError, match=r"not valid for '127\.0\.0\.1'"),
        fetch(f"{stub.url}/v.mp4", settings=_HERE),
    ):
        pass
    assert stub.asked == []


def test_redirect_from_https_to_http_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = self_signed(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(files[0]))
    with http_stub(lambda _: Reply(body=b"video")) as plain:
        away = Reply(302, headers={"location": f"{plain.url}/v.mp4?sig=s3cret"})
        with (
            http_stub(lambda _: away, certificate=files) as stub,
            pytest.raises(SourceForbiddenError, match="from https to http") as caught,
            fetch(f"{stub.url}/v.mp4", settings=_HERE),
        ):
            pass
    assert "s3cret" not in str(caught.value)
    assert plain.asked == []


def test_missing_tls_handshake_times_out(copy: BoundedFile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        begun = time.monotonic()
        with pytest.raises(SourceUnavailableError, match="did not answer in time"):
            download(
                f"https://127.0.0.1:{silent.getsockname()[1]}/v.mp4",
                copy,
                settings=_HERE,
                timeouts=Timeouts(connect=0.4),
            )
    assert time.monotonic() - begun < DEFAULT_TIMEOUTS.connect
