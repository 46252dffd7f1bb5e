"""Secrets that a registry must not hold: added just before a video is read."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.http_stub import Asked, Reply, Stub, http_stub

from vidsearch.config import SourceSettings, load_settings
from vidsearch.errors import (
    ConfigError,
    RegistryError,
    SourceForbiddenError,
    SourceNotFoundError,
    SourceUnavailableError,
    SourceUnsupportedError,
)
from vidsearch.media import fetch, public_uri
from vidsearch.media.sources import check_sources
from vidsearch.media.sources.headers import headers_of_host
from vidsearch.media.sources.uris import WebUri
from vidsearch.registry import NewVideo, Registry
from vidsearch.registry.index import create_registry_index
from vidsearch.testing.memory_engine import MemoryEngine

pytest.importorskip("httpcore")

TOKEN = "Bearer t0ken-hush"
_LOCAL = {"private_hosts": ("127.0.0.1", "localhost")}


def _answer(asked: Asked) -> Reply:
    if asked.path.startswith("/to?"):
        return Reply(302, headers={"Location": asked.path.partition("?")[2]})
    if asked.headers.get("Authorization") != TOKEN:
        return Reply(401, "no")
    return Reply(body=b"video")


@pytest.fixture
def stub() -> Iterator[Stub]:
    with http_stub(_answer) as running:
        yield running


@pytest.fixture
def resolver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Writes a module of the user with a resolver, and gives its name for the setting."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(body: str) -> str:
        name = f"resolver_of_{tmp_path.name.replace('-', '_')}"
        (tmp_path / f"{name}.py").write_text(f"def resolve(uri):\n    {body}\n")
        return f"{name}:resolve"

    return write


def _read(uri: str, settings: SourceSettings) -> None:
    with fetch(uri, settings=settings):
        pass


def _settings(**more: Any) -> SourceSettings:
    return SourceSettings(**{**_LOCAL, **more})


def test_header_of_a_host_is_sent_to_it_alone(stub: Stub) -> None:
    host = stub.url.removeprefix("http://")
    settings = _settings(headers={host: {"Authorization": TOKEN, "X-Team": "video"}})
    with fetch(f"{stub.url}/a.mp4", settings=settings) as file:
        assert file.size == 5
    assert stub.asked[-1].headers["X-Team"] == "video"
    with pytest.raises(SourceNotFoundError, match="401"):
        _read(stub.url.replace("127.0.0.1", "localhost") + "/a.mp4", settings)
    assert "X-Team" not in stub.asked[-1].headers


@pytest.mark.parametrize(
    ("entry", "sent"),
    [
        ("h.com", {"https://h.com/a"}),
        ("h.com:443", {"https://h.com/a"}),
        ("*.com", {"https://h.com/a"}),
        ("h.com:80", {"http://h.com/a"}),
        ("h.com:8080", {"http://h.com:8080/a", "https://h.com:8080/a"}),
        ("*.com:8080", {"http://h.com:8080/a", "https://h.com:8080/a"}),
        ("other.com", set()),
    ],
)
def test_entry_without_a_port_is_for_https_alone(entry: str, sent: set[str]) -> None:
    settings = SourceSettings.model_validate({"headers": {entry: {"X": "hush"}}})
    uris = ["https://h.com/a", "http://h.com/a", "http://h.com:8080/a", "https://h.com:8080/a"]
    parsed = {uri: WebUri.parse(uri) for uri in [*uris, "http://h.com:443/a"]}
    assert sent == {
        uri
        for uri, one in parsed.items()
        if headers_of_host(settings, one.host, one.port, scheme=one.scheme)
    }


def test_entry_without_a_port_is_not_sent_over_plain_http(stub: Stub) -> None:
    settings = _settings(headers={"127.0.0.1": {"Authorization": TOKEN}})
    with pytest.raises(SourceNotFoundError, match="401"):
        _read(f"{stub.url}/a.mp4", settings)
    assert "Authorization" not in stub.asked[-1].headers


def test_headers_are_not_carried_to_where_a_redirect_leads(stub: Stub) -> None:
    with http_stub(lambda _: Reply(body=b"other")) as other:
        port = stub.url.rpartition(":")[2]
        settings = _settings(headers={f"127.0.0.1:{port}": {"Authorization": TOKEN}})
        there = other.url.replace("127.0.0.1", "localhost")
        for location in (f"{there}/v.mp4", f"{other.url}/v.mp4"):  # another host, another port
            with fetch(f"{stub.url}/to?{location}", settings=settings):
                pass
            assert "Authorization" not in other.asked[-1].headers
    assert [one.headers.get("Authorization") for one in stub.asked] == [TOKEN, TOKEN]
    with fetch(f"{stub.url}/to?/v.mp4", settings=settings):  # the same place again
        pass
    assert stub.asked[-1].headers["Authorization"] == TOKEN


def test_resolver_gives_the_url_and_headers_and_messages_show_the_uri_as_given(
    stub: Stub, resolver: Callable[[str], str]
) -> None:
    name = resolver(
        f"return uri.replace('media://', '{stub.url}/k3y/'), {{'authorization': '{TOKEN}'}}"
    )
    settings = _settings(
        resolver=name, headers={stub.url.removeprefix("http://"): {"Authorization": "other"}}
    )
    with fetch("media://a.mp4", settings=settings) as file:
        assert file.size == 5
        assert file.path.name == "a.mp4"
        assert file.uri == "media://a.mp4"
    assert stub.paths() == ["GET /k3y/a.mp4"]
    name = resolver(f"return '{stub.url}/k3y/a.mp4?sig=hush'")
    sys.modules.pop(name.partition(":")[0])
    with pytest.raises(SourceNotFoundError) as caught:
        _read("media://a.mp4", _settings(resolver=name))
    assert str(caught.value).startswith("media://a.mp4 was answered with 401")
    assert "k3y" not in str(caught.value)


def test_resolver_may_name_a_file_within_what_the_settings_allow(
    tmp_path: Path, resolver: Callable[[str], str]
) -> None:
    video = tmp_path / "a.mp4"
    video.write_bytes(b"video")
    name = resolver(f"return {str(video)!r}")
    with fetch("asset:1", settings=SourceSettings(resolver=name)) as file:
        assert file.path == video
    with pytest.raises(SourceForbiddenError):
        _read("asset:1", SourceSettings(resolver=name, roots=(tmp_path / "other",)))


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ("raise KeyError('hush')", SourceUnavailableError, "resolve' raised KeyError"),
        ("return None", ConfigError, "it returned a NoneType"),
        ("return uri, 'hush'", ConfigError, "it returned a tuple"),
        ("return uri, {'X': 'hush\\n'}", ConfigError, "value of 'X' must be a text in Latin-1"),
        ("return uri, {'Host': 'hush'}", ConfigError, "the header 'Host' is set by vidsearch"),
    ],
)
def test_resolver_that_fails_is_named_without_its_secrets(
    resolver: Callable[[str], str], body: str, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        _read("https://me:hush@h/a.mp4", SourceSettings(resolver=resolver(body)))
    assert "sources.resolver" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("read", "error", "said"),
    [
        ("https://h:99999/hush?sig=hush", SourceNotFoundError, "asset:1 is not a valid URL"),
        ("https:/u:hush@h/hush", SourceNotFoundError, "asset:1 is not a valid URL"),
        ("s3://hush", SourceNotFoundError, "asset:1 is not an object in a bucket"),
        ("file://h/hush", SourceUnsupportedError, "'asset:1' names the host 'h'"),
        ("rtsp://u:hush@h/hush", SourceUnsupportedError, "'asset:1': no reader for the scheme"),
        ("/nowhere/hush.mp4", SourceNotFoundError, "no such file: asset:1"),
        ("file:///nowhere/hush.mp4", SourceNotFoundError, "no such file: asset:1"),
        ("nul\0hush", SourceNotFoundError, "no such file: asset:1"),
        ("{stub}/hush?sig=hush", SourceNotFoundError, "asset:1 was answered with 401"),
        ("{stub}/to?ftp://h/hush", SourceForbiddenError, "asset:1 may not be read: it redirects"),
        ("http://hush.invalid/hush", SourceUnavailableError, "asset:1 cannot be reached"),
    ],
)
def test_what_the_resolver_gave_is_in_no_message_or_traceback(
    stub: Stub, resolver: Callable[[str], str], read: str, error: type[Exception], said: str
) -> None:
    name = resolver(f"return {read.format(stub=stub.url)!r}")
    with pytest.raises(error) as caught:
        _read("asset:1", _settings(resolver=name))
    assert str(caught.value).startswith(said)
    text = "".join(traceback.format_exception(caught.value))
    assert "hush" not in text.replace("hush.invalid", "")


def test_file_that_changes_is_named_as_given(
    tmp_path: Path, resolver: Callable[[str], str]
) -> None:
    video = tmp_path / "hush.mp4"
    video.write_bytes(b"video")
    name = resolver(f"return {str(video)!r}")
    with (
        pytest.raises(SourceUnavailableError, match=r"^asset:1 changed while it was read"),
        fetch("asset:1", settings=SourceSettings(resolver=name)),
    ):
        video.write_bytes(b"another video")
    with pytest.raises(SourceForbiddenError, match=r"^asset:1 may not be read: it lies"):
        _read("asset:1", SourceSettings(resolver=name, roots=(tmp_path / "other",)))


def test_error_of_vidsearch_passes_through_the_resolver(resolver: Callable[[str], str]) -> None:
    name = resolver("import vidsearch; raise vidsearch.errors.SourceNotFoundError('sold')")
    with pytest.raises(SourceNotFoundError, match=r"^sold$"):
        _read("asset:1", SourceSettings(resolver=name))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"resolver": "no_such_module:resolve"}, "there is no module 'no_such_module'"),
        ({"resolver": "json:nothing"}, "'json' has no 'nothing'"),
        ({"headers": {"a b": {"X": "hush"}}}, "sources.headers: 'a b' is no host"),
        ({"headers": {"h": {"X Y": "hush"}}}, "'X Y' cannot be the name of a header"),
        ({"headers": {"h": {"Range": "hush"}}}, "'Range' is set by vidsearch"),
        ({"headers": {"h": {"X": "a\r\nB: hush"}}}, "the value of 'X' must be a text"),
    ],
)
def test_wrong_setting_is_refused_before_any_video(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        check_sources(SourceSettings(**settings))
    assert "hush" not in str(caught.value)


def test_headers_are_read_from_the_environment_and_never_shown(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    variable, host = "VIDSEARCH_SOURCES__HEADERS", stub.url.removeprefix("http://")
    monkeypatch.setenv(variable, f'{{"{host}": {{"Authorization": "{TOKEN}"}}}}')
    settings = load_settings(sources=_LOCAL)
    with fetch(f"{stub.url}/a.mp4", settings=settings.sources) as file:
        assert "hush" not in repr(file)
    assert stub.asked[-1].headers["Authorization"] == TOKEN
    for shown in (repr(settings), str(settings.sources), settings.model_dump_json(), caplog.text):
        assert "hush" not in shown
    monkeypatch.setenv(variable, "Authorization: hush")
    with pytest.raises(ConfigError, match=f"{variable} must be a JSON object") as caught:
        load_settings()
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "https://me:hush@h/a.mp4",
        "https://t0ken@h/a.mp4",
        "s3://k:hush@b/a.mp4",
        "http://me:hu/sh@h/a",
        "https:/me:hush@h/a.mp4",
        "https:me:hush@h/a.mp4",
        "https:///me:hush@h/a.mp4",
        "https:/t0ken@h/a.mp4",
        "https:\\\\me:hush@h/a.mp4",
        "https:/\t/me:hush@h/a.mp4",
        "//me:hush@h/a.mp4",
        "media:/me:hush@h/a.mp4",
        "\ufeffhttps://me:hush@h/a.mp4",
        " https://me:hush@h/a.mp4",
        "https://me:123/hush@h/a.mp4",
        "https://me:123/4/hush@h:8443/a.mp4",
    ],
)
def test_uri_with_credentials_is_not_registered_unless_the_setting_allows_it(uri: str) -> None:
    engine, settings = MemoryEngine(), load_settings().index
    create_registry_index(engine, settings)
    registry = Registry(engine, index=settings.registry)
    with pytest.raises(
        RegistryError, match=r"video 'a' holds credentials, .*sources\.headers"
    ) as caught:
        registry.register("a", uri=uri)
    assert "hush" not in str(caught.value)
    assert "t0ken" not in str(caught.value)
    (refused,) = registry.register_many([NewVideo("a", uri)])
    assert isinstance(refused.error, RegistryError)
    assert registry.find("a") is None
    assert "hush" not in public_uri(uri)
    assert "t0ken" not in public_uri(uri)
    allowing = Registry(engine, index=settings.registry, allow_credentials=True)
    assert allowing.register("a", uri=uri).uri == uri


def test_what_is_no_video_is_refused_by_its_type_alone() -> None:
    engine, settings = MemoryEngine(), load_settings().index
    create_registry_index(engine, settings)
    registry = Registry(engine, index=settings.registry)
    videos: Any = ["https://me:hush@h/a.mp4"]
    (refused,) = registry.register_many(videos)
    assert str(refused.error).endswith("not a str")
    assert "hush" not in f"{refused.error!r}"


@pytest.mark.parametrize(
    "uri",
    [
        "https://h/@me/a.mp4",
        "https://h:8443/a@b.mp4",
        "https://h:8443/@me/a.mp4",
        "https://h/x@y/a:b@c.mp4",
        "talk:10:30@home.mp4",
        "//srv/a@b.mp4",
        "file:///a:b@c.mp4",
        "urn:a:b@c",
        "https://[::1]:8443/a.mp4",
        "https://h/a.mp4?to=me:pw@x",
        "/srv/a@b:c.mp4",
        "file:///a@b.mp4",
        "s3://bucket/a:b@c.mp4",
    ],
)
def test_uri_with_an_at_sign_elsewhere_is_registered(uri: str) -> None:
    engine, settings = MemoryEngine(), load_settings().index
    create_registry_index(engine, settings)
    assert Registry(engine, index=settings.registry).register("a", uri=uri).uri == uri
