"""URIs become files; whatever goes wrong is said without giving secrets away."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.http_stub import Reply, http_stub

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    SourceNotFoundError,
    SourceUnavailableError,
    SourceUnsupportedError,
    VideoOpenError,
    VidsearchError,
)
from vidsearch.media import fetch, open_decoder, public_uri
from vidsearch.media.sources.listed import require_listed
from vidsearch.media.sources.temporary import BoundedFile
from vidsearch.media.sources.timeouts import Timeouts
from vidsearch.media.sources.web import download

pytest.importorskip("httpcore")

_HERE = SourceSettings(private_hosts=("127.0.0.1",))

_CONTENT = bytes(range(256)) * 40_000  # 10 MB: more than one chunk


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path.startswith("/status/"):
            self._answer(int(path.split("/")[2]), b"no")
        elif path == "/moved":
            self._answer(302, b"", Location="/video.mp4")
        elif path == "/broken":
            self.send_response(200)
            self.send_header("Content-Length", "1000000")
            self.end_headers()
            self.wfile.write(b"begin")
            self.close_connection = True
        elif path == "/silent":
            self.server.release.wait(20)  # type: ignore[attr-defined]
            self.close_connection = True
        elif path == "/private":
            right = self.headers.get("Authorization") == "Basic dXNlcjpwYXNz"  # user:pass
            self._answer(200 if right else 401, b"for your eyes")
        else:
            self._answer(200, _CONTENT)

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the other side has heard enough
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has heard enough hangs up."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with _Server(("127.0.0.1", 0), _Handler) as running:
        running.release = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.release.set()  # type: ignore[attr-defined]
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A temporary folder of our own, empty again after every test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a video: 100% ü.mp4"
    path.write_bytes(b"content")
    return path


def test_a_local_file_is_used_where_it_is(file: Path) -> None:
    for uri in (str(file), file.as_uri(), f"file://localhost{file.as_uri()[7:]}"):
        with fetch(uri) as local:
            assert local.path == file
            assert local.size == 7
            assert local.uri == uri
    assert file.read_bytes() == b"content"


def test_a_file_uri_names_a_file_whose_name_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "caf\udce9.mp4"
    file.write_bytes(b"content")
    uri = file.as_uri()
    assert uri.endswith("/caf%E9.mp4")
    with fetch(uri) as local:
        assert local.path == file
    require_listed(uri, SourceSettings(roots=(tmp_path,)), from_client=True)
    file.unlink()
    with pytest.raises(SourceNotFoundError, match=r"no such file: .*/caf"), fetch(uri):
        pass


def test_a_file_uri_with_half_a_surrogate_pair_is_none() -> None:
    with pytest.raises(SourceNotFoundError, match="is not a valid URI"), fetch("file:///\ud800"):
        pass


def test_relative_path_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    with fetch(file.name) as local:
        assert local.path.read_bytes() == b"content"


def test_file_name_that_looks_like_a_scheme_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talk:part1.mp4").write_bytes(b"content")
    monkeypatch.chdir(tmp_path)
    with fetch("talk:part1.mp4") as local:
        assert local.size == 7


def test_download_is_removed_at_the_end_of_the_context(server: str, temporary: Path) -> None:
    with fetch(f"{server}/video.mp4?signature=abc", settings=_HERE) as local:
        assert local.path.name == "video.mp4"
        assert local.path.suffix == ".mp4"
        assert local.path.is_relative_to(temporary)
        assert local.size == len(_CONTENT)
        assert local.path.read_bytes() == _CONTENT
    assert not local.path.exists()


def test_download_is_removed_after_an_error(server: str, temporary: Path) -> None:
    def work() -> None:
        with fetch(f"{server}/video.mp4", settings=_HERE):
            assert list(temporary.iterdir())
            raise RuntimeError("work failed")

    with pytest.raises(RuntimeError, match="work failed"):
        work()


def test_redirects_are_followed_and_credentials_are_sent(server: str) -> None:
    with fetch(f"{server}/moved", settings=_HERE) as local:
        assert local.size == len(_CONTENT)
    for credentials in ("user:pass", "us%65r:p%61ss"):
        with fetch(
            server.replace("http://", f"http://{credentials}@") + "/private", settings=_HERE
        ) as local:
            assert local.path.read_bytes() == b"for your eyes"


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        # A signature may cover the very bytes of path and query, so they must not be tidied up.
        (
            "/a%2fb%7E.mp4?sig=ab%2Fcd%2B%3D&acl=%2f*~x",
            "/a%2fb%7E.mp4?sig=ab%2Fcd%2B%3D&acl=%2f*~x",
        ),
        ("/ü b.mp4?q=ä", "/%C3%BC%20b.mp4?q=%C3%A4"),
        ("/100%.mp4", "/100%25.mp4"),
        ("/a[1].mp4", "/a%5B1%5D.mp4"),
    ],
)
def test_request_has_the_expected_headers(given: str, asked: str) -> None:
    with (
        http_stub(lambda _: Reply(body="content")) as stub,
        fetch(f"{stub.url}{given}#part", settings=_HERE),
    ):
        pass
    assert [one.path for one in stub.asked] == [asked]


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("/status/404", SourceNotFoundError, "404"),
        ("/status/410", SourceNotFoundError, "410"),
        ("/status/403", SourceNotFoundError, "403"),
        ("/private", SourceNotFoundError, "401"),
        ("/status/429", SourceUnavailableError, "429"),
        ("/status/408", SourceUnavailableError, "408"),
        ("/status/500", SourceUnavailableError, "500"),
        ("/status/503", SourceUnavailableError, "503"),
        ("/broken", SourceUnavailableError, "broke off"),
    ],
)
def test_status_is_mapped_to_an_error(
    server: str, path: str, error: type[VidsearchError], message: str
) -> None:
    with pytest.raises(error, match=message) as caught, fetch(server + path, settings=_HERE):
        pass
    assert f"{server}{path}" in str(caught.value)


def test_silent_server_times_out(server: str, tmp_path: Path) -> None:
    uri = f"{server}/silent"
    with (
        BoundedFile(tmp_path / "video", limit=100, where=uri) as file,
        pytest.raises(SourceUnavailableError, match="in time"),
    ):
        download(uri, file, settings=_HERE, timeouts=Timeouts(silence=0.3))


def test_unreachable_server_is_an_outage() -> None:
    with socket.socket() as bound:  # and not listening
        bound.bind(("127.0.0.1", 0))
        with (
            pytest.raises(SourceUnavailableError, match="reached"),
            fetch(f"http://127.0.0.1:{bound.getsockname()[1]}/v.mp4", settings=_HERE),
        ):
            pass
    with (
        pytest.raises(SourceUnavailableError, match="reached"),
        fetch("http://nowhere.invalid/v.mp4"),
    ):
        pass


@pytest.mark.parametrize("path", ["/status/404", "/status/500", "/status/403", "/broken"])
def test_secrets_of_a_uri_are_in_no_message_or_traceback(server: str, path: str) -> None:
    uri = server.replace("http://", "http://me:hunter2@") + path + "?X-Signature=s3cret#frag"
    with pytest.raises(VidsearchError) as caught, fetch(uri, settings=_HERE):
        pass
    text = "".join(traceback.format_exception(caught.value))
    assert "hunter2" not in text
    assert "s3cret" not in text


def test_public_uri_has_no_credentials_or_query() -> None:
    assert public_uri("https://me:pw@host:8443/a/b.mp4?sig=1#t") == "https://host:8443/a/b.mp4"
    assert public_uri("https://token@host/b.mp4") == "https://host/b.mp4"
    assert public_uri("/videos/what?.mp4") == "/videos/what?.mp4"
    assert public_uri("file:///videos/a.mp4") == "file:///videos/a.mp4"


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:hunt/er2@host/v.mp4",
        "https://me:hunt#er2@host/v.mp4",
        "https:///me:hunter2@host/v.mp4",
        "https:/me:hunter2@host/v.mp4",
    ],
)
def test_public_uri_of_an_invalid_url_shows_only_the_scheme(uri: str) -> None:
    assert public_uri(uri) == "https:…"


def test_data_url_is_refused() -> None:
    uri = "data:video/mp4;base64," + "A" * 5000
    with pytest.raises(SourceUnsupportedError, match="no reader for the scheme 'data'"), fetch(uri):
        pass


@pytest.mark.parametrize("uri", ["/nowhere/at-all.mp4", "file:///nowhere/at-all.mp4", "gone.mp4"])
def test_missing_file_is_reported(uri: str) -> None:
    with pytest.raises(SourceNotFoundError, match="no such file"), fetch(uri):
        pass


def test_folder_and_path_below_a_file_are_refused(file: Path) -> None:
    with pytest.raises(VideoOpenError, match="folder"), fetch(str(file.parent)):
        pass
    with pytest.raises(SourceNotFoundError, match="no such file"), fetch(f"{file}/below.mp4"):
        pass


@pytest.mark.parametrize("locked", ["folder", "folder/a.mp4"])
def test_file_without_read_rights_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.mp4").write_bytes(b"content")
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # the folders above are not for everyone's eyes
    mode = Path(locked).stat().st_mode
    Path(locked).chmod(0)
    try:
        with _nobody(), pytest.raises(VideoOpenError) as caught, fetch("folder/a.mp4"):
            pass
    finally:
        Path(locked).chmod(mode)
    assert str(caught.value) == "folder/a.mp4 cannot be read: Permission denied"


@contextlib.contextmanager
def _nobody() -> Iterator[None]:
    """Root may read everything, so be someone else."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize(
    "uri",
    [
        "http://",
        "http:///clip.mp4",
        "http://[::1/clip.mp4?sig=s3cret",
        "http://127.0.0.1:99999/clip.mp4?sig=s3cret",
    ],
)
@pytest.mark.parametrize("per_host", [0, 2])
def test_invalid_url_is_refused(uri: str, per_host: int, tmp_path: Path) -> None:
    settings = SourceSettings(per_host=per_host, folder=tmp_path)
    with (
        pytest.raises(SourceNotFoundError, match="not a valid URL") as caught,
        fetch(uri, settings=settings),
    ):
        pass
    assert "s3cret" not in str(caught.value)


def test_impossible_file_names_are_refused() -> None:
    for uri in ("nul\0l.mp4", "x" * 5000):
        with pytest.raises(SourceNotFoundError, match="no such file"), fetch(uri):
            pass


def test_named_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(VideoOpenError, match="regular"), fetch(str(tmp_path / "pipe.mp4")):
        pass
    with pytest.raises(VideoOpenError, match="regular"):
        open_decoder().probe(tmp_path / "pipe.mp4")


def test_full_disk_is_an_outage(server: str) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("/dev/full is a thing of Linux")
    uri = f"{server}/video.mp4"
    with (
        pytest.raises(SourceUnavailableError, match="stored: No space left"),
        BoundedFile(Path("/dev/full"), limit=1 << 30, where=uri) as file,
    ):
        download(uri, file, settings=_HERE)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("ftp://host/key.mp4?token=abc", "scheme 'ftp'.*https://"),
        ("rtsp://me:pw@camera/1", "scheme 'rtsp'"),
        ("file://otherhost/a.mp4", "'otherhost'"),
        ("file://me:pw@otherhost/a.mp4?token=abc", "'otherhost'"),
    ],
)
def test_unsupported_uri_is_refused(uri: str, message: str) -> None:
    with pytest.raises(SourceUnsupportedError, match=message) as caught, fetch(uri):
        pass
    assert "pw" not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("https://host/talks/My talk (1).mp4", "My_talk_1.mp4"),
        ("s3://bucket/東京.mkv", "video.mkv"),
        ("https://host/", "host"),
        ("https://host/..%2f..%2fetc", "2f"),
        ("https://host/.lock", "lock"),
        ("https://host/" + "a" * 300 + ".mp4", "a" * 80 + ".mp4"),
    ],
)
def test_a_copy_has_the_name_that_messages_show(where: str, name: str) -> None:
    from vidsearch.media.sources.fetching import _copy_name

    assert _copy_name(where) == name
