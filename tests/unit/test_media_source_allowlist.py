"""Where videos may come from: schemes, hosts and addresses, on every hop of a redirect."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from tests.http_stub import Asked, Reply, Stub, http_stub

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    ConfigError,
    SourceForbiddenError,
    SourceNotFoundError,
    SourceUnsupportedError,
)
from vidsearch.media import fetch
from vidsearch.media.sources.allowlist import Allowlist, is_public

pytest.importorskip("httpcore")

_USUAL = SourceSettings()
_HERE = SourceSettings(private_hosts=("127.0.0.1",))


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[list[str]]]:
    """Names of our own: for each the answers that the resolver gives, one after another."""
    answers: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> list[Any]:
        if host not in answers:
            return real(host, port, *args, **kwargs)
        found = answers[host].pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return answers


@pytest.fixture
def stub() -> Iterator[Stub]:
    """Any path holds a video, but ``/to?…`` redirects to the rest of the query."""

    def answer(asked: Asked) -> Reply:
        path, _, location = asked.path.partition("?")
        return (
            Reply(302, headers={"location": unquote(location)})
            if path == "/to"
            else Reply(body=b"video")
        )

    with http_stub(answer) as running:
        yield running


def refused(uri: str, *, settings: SourceSettings = _USUAL) -> str:
    with pytest.raises(SourceForbiddenError) as caught, fetch(uri, settings=settings):
        pass
    return str(caught.value)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
        *("224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "203.0.113.5"),
        *("::", "::1", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:127.0.0.1"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::10.0.0.1", "64:ff9b:1::1"),
        *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "100::1"),
    ],
)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [
        *("8.8.8.8", "93.184.216.34", "172.32.0.1", "100.128.0.1", "169.253.1.1"),
        *("2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::1", "64:ff9b::8.8.8.8"),
    ],
)
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "LOCALHOST", "localhost.", "[::1]", "0.0.0.0", "[::]"),
        *("2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1", "0177.0.0.1"),
        *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[2002:7f00:1::]", "[64:ff9b::7f00:1]"),
        *("169.254.169.254", "2852039166", "[fd00:ec2::254]", "10.0.0.1", "100.64.0.1"),
        *("１２７.０.０.１", "127。0。0。1", "①②⑦.⓪.⓪.①"),
        *("public.example@127.0.0.1", "public.example:80@localhost"),
    ],
)
def test_every_spelling_of_a_private_address_is_refused(stub: Stub, host: str) -> None:
    port = stub.url.rpartition(":")[2]
    message = refused(f"http://{host}:{port}/video.mp4")
    assert "private, loopback or link-local" in message
    assert "sources.private_hosts" in message
    assert stub.asked == []


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ("http://public.example\\@127.0.0.1/v.mp4", "not a valid URL"),
        ("http://127.0.0.1\\.public.example/v.mp4", "not a valid URL"),
        ("http:\\\\127.0.0.1/v.mp4", "not a valid URL"),
        ("http:/127.0.0.1/v.mp4", "not a valid URL"),
        ("http://127.0.0.1%2epublic.example/v.mp4", "not a valid URL"),
        ("http://127.0.0.1\t.public.example/v.mp4", "not a valid URL"),
        ("http://public.example/v.mp4\r\nHost: inner", "not a valid URL"),
        ("http://[fe80::1%25eth0]/v.mp4", "not a valid URL"),
        ("http://public.example:0/v.mp4", "not a valid URL"),
        ("http://a..b/v.mp4", "not a valid URL"),
        ("http://[CDN_HOST]/v.mp4", "not a valid URL"),
        ("http://[::1/v.mp4", "not a valid URL"),
        ("http://" + "a" * 64 + ".example/v.mp4", "not a valid URL"),
        ("http://" + "a." * 200 + "example/v.mp4", "not a valid URL"),
    ],
)
def test_ambiguous_urls_are_refused(given: str, match: str) -> None:
    for settings in (_HERE, _HERE.model_copy(update={"per_host": 1})):
        with pytest.raises(SourceNotFoundError, match=match), fetch(given, settings=settings):
            pass


@pytest.mark.parametrize("location", ["//[h/v.mp4", "http://[CDN_HOST]/v.mp4"])
def test_redirect_to_a_host_that_cannot_be_read_is_refused(stub: Stub, location: str) -> None:
    with (
        pytest.raises(SourceNotFoundError, match="redirects to what is not a valid URL"),
        fetch(f"{stub.url}/to?{quote(location)}", settings=_HERE),
    ):
        pass


def test_name_with_a_private_address_is_refused(
    names: dict[str, list[list[str]]], stub: Stub
) -> None:
    port = stub.url.rpartition(":")[2]
    names["inner.example"] = [["127.0.0.1"]]
    message = refused(f"http://inner.example:{port}/video.mp4")
    assert "'inner.example' is at a private" in message
    assert "127.0.0.1" not in message, "a message must not map the inner network"
    assert stub.asked == []


def test_name_with_a_private_among_public_addresses_is_refused(
    names: dict[str, list[list[str]]],
) -> None:
    names["mixed.example"] = [["93.184.216.34", "127.0.0.1"]]
    assert "'mixed.example'" in refused("http://mixed.example/video.mp4")


def test_dns_rebinding_connects_to_the_checked_address(
    names: dict[str, list[list[str]]], stub: Stub
) -> None:
    """DNS rebinding: what was checked is what is connected to, whatever the next answer is."""
    port = int(stub.url.rpartition(":")[2])
    names["rebind.example"] = [["127.0.0.1"], ["127.0.0.2"]]
    with _trap("127.0.0.2", port) as trapped:
        with fetch(f"http://rebind.example:{port}/video.mp4", settings=_HERE) as video:
            assert video.path.read_bytes() == b"video"
        assert names["rebind.example"] == [["127.0.0.2"]], "it was resolved once"
        assert not trapped()
        # The second answer is checked like the first where another connection needs one.
        assert "'rebind.example'" in refused(
            f"http://rebind.example:{port}/video.mp4", settings=_HERE
        )
        assert not trapped()


@contextlib.contextmanager
def _trap(address: str, port: int) -> Iterator[Callable[[], bool]]:
    """A place that nobody may connect to."""
    with socket.create_server((address, port)) as trap:
        trap.setblocking(False)

        def trapped() -> bool:
            try:
                trap.accept()[0].close()
            except BlockingIOError:
                return False
            return True

        yield trapped


def test_the_next_address_is_tried(names: dict[str, list[list[str]]], stub: Stub) -> None:
    port = stub.url.rpartition(":")[2]
    names["two.example"] = [["127.0.0.3", "127.0.0.1"]]
    ours = SourceSettings(private_hosts=("two.example",))
    with fetch(f"http://two.example:{port}/video.mp4", settings=ours) as video:
        assert video.size == 5


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("http://127.0.0.2/latest", "private"),
        ("http://169.254.169.254/latest/meta-data/", "private"),
        ("//169.254.169.254/latest/meta-data/", "private"),
        ("http://[::1]:9200/", "private"),
        ("http://0x7f000002/", "private"),
        ("file:///etc/passwd", "redirects to file:///etc/passwd, which is not http"),
        ("FILE:///etc/passwd", "which is not http"),
        ("ftp://public.example/a.mp4", "which is not http"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "which is not http"),
        ("s3://bucket/key.mp4", "which is not http"),
        ("data:video/mp4;base64,AAAA", "which is not http"),
    ],
)
def test_redirect_to_a_forbidden_place_is_refused(stub: Stub, location: str, words: str) -> None:
    message = refused(f"{stub.url}/to?{location}", settings=_HERE)
    assert words in message
    assert message.startswith(f"{stub.url}/to may not be read")
    assert len(stub.asked) == 1


def test_endless_or_broken_redirects_are_refused(stub: Stub) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(301, headers={"location": f"/{len(looping.asked)}"})

    with (
        http_stub(answer) as looping,
        pytest.raises(SourceNotFoundError, match="redirected more than 10 times"),
        fetch(f"{looping.url}/a.mp4", settings=_HERE),
    ):
        pass
    assert len(looping.asked) == 11
    for location, match in (("", "nowhere"), ("http://[::1", "not a valid URL")):
        with (
            pytest.raises(SourceNotFoundError, match=match),
            fetch(f"{stub.url}/to?{location}", settings=_HERE),
        ):
            pass


def test_allowlist_of_hosts_applies_to_every_redirect(
    names: dict[str, list[list[str]]], stub: Stub
) -> None:
    port = stub.url.rpartition(":")[2]
    names["cdn.example.com"] = [["127.0.0.1"]] * 3
    names["evil.example"] = [["127.0.0.1"]] * 3
    listed = SourceSettings(hosts=("*.Example.COM.",), private_hosts=("127.0.0.1",))
    with fetch(f"http://CDN.example.com.:{port}/video.mp4", settings=listed) as video:
        assert video.size == 5
    message = refused(f"http://evil.example:{port}/video.mp4", settings=listed)
    assert "'evil.example' is not in sources.hosts" in message
    evil = f"http://evil.example:{port}/v.mp4"
    message = refused(f"http://cdn.example.com:{port}/to?{evil}", settings=listed)
    assert "'evil.example' is not in sources.hosts" in message
    assert len(stub.asked) == 2
    for given in ("http://cdn.example.com@evil.example/", "http://cdn.example.com:x@evil.example/"):
        assert "'evil.example' is not in sources.hosts" in refused(given, settings=listed)


@pytest.mark.parametrize(
    ("entry", "host", "port", "listed"),
    [
        ("example.com", "example.com", 443, True),
        ("example.com", "www.example.com", 443, False),
        ("example.com", "badexample.com", 443, False),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "badexample.com", 443, False),
        ("*.example.com", "example.com.evil.example", 443, False),
        ("example.com:8443", "example.com", 8443, True),
        ("example.com:8443", "example.com", 443, False),
        ("bücher.example", "xn--bcher-kva.example", 443, True),
        ("[2606:4700::1]", "2606:4700::1", 443, True),
        ("[2606:4700:0:0::1]:8080", "2606:4700::1", 443, False),
    ],
)
def test_what_an_entry_of_the_hosts_covers(entry: str, host: str, port: int, listed: bool) -> None:
    expected = contextlib.nullcontext() if listed else pytest.raises(SourceForbiddenError)
    with expected:
        Allowlist(SourceSettings(hosts=(entry,))).require_listed(host, port=port, where="it")


@pytest.mark.parametrize(
    ("entry", "named"),
    [
        ("media.example.com", True),
        ("*.example.com", False),
        ("example.com", False),
        ("media.example.com:443", False),
    ],
)
def test_bucket_is_named_by_its_own_name_only(entry: str, named: bool) -> None:
    allowlist = Allowlist(SourceSettings(hosts=(entry,)))
    message = "does not name the bucket 'media.example.com'"
    with contextlib.nullcontext() if named else pytest.raises(SourceForbiddenError, match=message):
        allowlist.require_bucket("media.example.com", where="it")


@pytest.mark.parametrize("entry", ["", "http://host", "a b", "10.0.0.0/33", "*", "host:x", "[::1"])
def test_invalid_host_in_the_settings_is_refused(entry: str) -> None:
    for setting in ("hosts", "private_hosts"):
        with pytest.raises(ConfigError, match=f"sources.{setting}"):
            Allowlist(SourceSettings(**{setting: (entry,)}))


@pytest.mark.parametrize("own", ["127.0.0.1", "127.0.0.0/8", "localhost", "*.intern.example"])
def test_listed_private_hosts_are_read(
    names: dict[str, list[list[str]]], stub: Stub, own: str
) -> None:
    names["nas.intern.example"] = [["127.0.0.1"]]
    host = {"localhost": "localhost", "*.intern.example": "nas.intern.example"}.get(
        own, "127.0.0.1"
    )
    url = f"http://{host}:{stub.url.rpartition(':')[2]}/video.mp4"
    with fetch(url, settings=SourceSettings(private_hosts=(own,))) as video:
        assert video.size == 5


def test_scheme_outside_the_allowlist_is_refused(tmp_path: Path, stub: Stub) -> None:
    (tmp_path / "a.mp4").write_bytes(b"video")
    only_http = SourceSettings(schemes=("http",), private_hosts=("127.0.0.1",))
    with fetch(f"{stub.url}/a.mp4", settings=only_http) as video:
        assert video.size == 5
    for given in (str(tmp_path / "a.mp4"), (tmp_path / "a.mp4").as_uri()):
        message = refused(given, settings=only_http)
        assert "'file' is not in sources.schemes; add it" in message
    assert "'https'" in refused("https://public.example/a.mp4", settings=only_http)
    assert "'s3'" in refused("s3a://bucket/a.mp4", settings=only_http)
    https = SourceSettings(schemes=("HTTPS", "file"))
    assert "'http'" in refused(f"{stub.url}/a.mp4", settings=https)
    with pytest.raises(SourceUnsupportedError, match="no reader for the scheme 'rtsp'"):
        refused("rtsp://camera/1", settings=SourceSettings(schemes=("rtsp",)))


def test_credentials_are_sent_to_their_host_only(
    names: dict[str, list[list[str]]], stub: Stub
) -> None:
    names["other.example"] = [["127.0.0.1"]] * 2
    host, port = stub.url.removeprefix("http://").split(":")
    with http_stub(lambda _: Reply(body=b"video")) as other:
        for location in (
            f"http://other.example:{port}/v.mp4",  # another host
            f"{other.url}/v.mp4",  # another port
        ):
            with fetch(f"http://me:pw@{host}:{port}/to?{location}", settings=_HERE):
                pass
        assert "Authorization" not in other.asked[-1].headers
    assert [one.headers.get("Authorization") for one in stub.asked] == [
        "Basic bWU6cHc=",
        None,
        "Basic bWU6cHc=",
    ]
    with fetch(f"http://me:pw@{host}:{port}/to?/v.mp4", settings=_HERE):
        pass
    assert [one.headers["Authorization"] for one in stub.asked[3:]] == ["Basic bWU6cHc="] * 2


def test_proxies_and_netrc_of_the_environment_are_not_used(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password pw\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with fetch(f"{stub.url}/video.mp4", settings=_HERE) as video:
        assert video.size == 5
    assert "Authorization" not in stub.asked[0].headers
