"""What stands before every request of the web app: hosts, origins, tokens, limits, headers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from vidsearch.config import WebSettings
from vidsearch.web.security import (
    Guard,
    is_allowed_host,
    is_token,
    local_target,
    root_url,
    sign_in,
    sign_out,
)

TOKEN = "0123456789abcdef"
LOCKED = WebSettings(token=SecretStr(TOKEN))


async def _say(request: Request) -> Response:
    return PlainTextResponse(f"{len(await request.body())} bytes")


async def _fail(request: Request) -> Response:
    raise RuntimeError("cannot read /srv/secret at engine.internal:9200")


def _guarded(settings: WebSettings) -> Starlette:
    paths = ("/", "/api/search", "/healthz", "/readyz", "/login", "/static/x", "/metrics")
    methods = ["GET", "POST"]
    routes = [Route(path, _say, methods=methods) for path in paths]
    return Starlette(
        routes=[*routes, Route("/fail", _fail)], middleware=[Middleware(Guard, settings)]
    )


def _ask(
    settings: WebSettings,
    path: str,
    *,
    method: str = "GET",
    base: str = "http://localhost:8800",
    headers: Mapping[str, str] | None = None,
    content: Any = None,
) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(_guarded(settings))
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, headers=headers, content=content)

    return asyncio.run(ask())


def test_bodies_of_all_requests_at_once_are_limited() -> None:
    held, goes_on = asyncio.Event(), asyncio.Event()

    async def hold(request: Request) -> Response:
        await request.body()
        if request.method == "PUT":
            held.set()
            await goes_on.wait()
        return PlainTextResponse("")

    async def ask() -> None:
        settings = WebSettings(max_upload_bytes=1024, max_searches=1)
        routes = [Route("/", hold, methods=["PUT", "POST"])]
        app = Starlette(routes=routes, middleware=[Middleware(Guard, settings)])
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            first = asyncio.create_task(client.put("/", content=b"x" * 1000))
            await held.wait()
            assert (await client.post("/", content=b"x" * 24)).status_code == 200
            refused = await client.post("/", content=b"x" * 25)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            goes_on.set()
            assert (await first).status_code == 200
            assert (await client.post("/", content=b"x" * 1024)).status_code == 200
            assert (await client.post("/", content=b"x" * 1025)).status_code == 413

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("host", "allowed", "is_allowed"),
    [
        ("localhost", ["localhost"], True),
        ("LOCALHOST:8800", ["localhost"], True),
        ("[::1]:8800", ["[::1]"], True),
        ("videos.example.com", ["*.example.com"], True),
        ("example.com", ["*.example.com"], False),
        ("badexample.com", ["*.example.com"], False),
        ("anything", ["*"], True),
        ("evil.com", ["localhost"], False),
        ("localhost.evil.com", ["localhost"], False),
        ("localhost@evil.com", ["localhost", "evil.com"], False),
        ("evil.com/localhost", ["*"], False),
        ("[::1", ["*"], False),
        ("", ["*"], False),
    ],
)
def test_host_header_is_compared_with_the_allowed_names(
    host: str, allowed: list[str], is_allowed: bool
) -> None:
    assert is_allowed_host(host, allowed) is is_allowed


def test_request_by_another_name_is_refused_but_for_probes() -> None:
    answer = _ask(WebSettings(), "/api/search", base="http://rebound.example")
    assert answer.status_code == 421
    assert answer.headers["content-type"] == "application/problem+json"
    for probe in ("/healthz", "/readyz"):
        assert _ask(LOCKED, probe, base="http://10.0.0.7:8800").status_code == 200


def test_token_is_needed_where_one_is_set() -> None:
    refused = _ask(LOCKED, "/api/search")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert _ask(LOCKED, "/metrics").status_code == 401
    for given, status in (
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 401),
        ("Bearer ", 401),
        (f"Basic {TOKEN}", 401),
        (TOKEN, 401),
    ):
        answer = _ask(LOCKED, "/api/search", headers={"authorization": given})
        assert answer.status_code == status, given
    assert _ask(WebSettings(), "/api/search").status_code == 200


def test_cookie_of_a_sign_in_lets_in_and_does_not_hold_the_token() -> None:
    response = Response()
    sign_in(response, LOCKED, root="", secure=True)
    set_cookie = response.headers["set-cookie"]
    assert TOKEN not in set_cookie
    for attribute in ("HttpOnly", "Path=/;", "SameSite=lax", "Secure"):
        assert attribute in set_cookie
    cookie = set_cookie.partition(";")[0]
    # Those of other servers of the same host come along, whatever they look like.
    for sent in (cookie, f'a[b]={{"c": "d e"}}; {cookie}', f"{cookie}; a@b=1; flag"):
        assert _ask(LOCKED, "/", headers={"cookie": sent}).status_code == 200, sent
    other = WebSettings(token=SecretStr(TOKEN[::-1]))
    assert _ask(other, "/", headers={"cookie": cookie}).status_code == 401
    assert _ask(LOCKED, "/", headers={"cookie": f"{cookie}0"}).status_code == 401
    gone = Response()
    sign_out(gone, root="")
    assert "Max-Age=0" in gone.headers["set-cookie"]


def test_text_that_is_no_unicode_is_no_token() -> None:
    assert is_token(TOKEN, LOCKED)
    assert not is_token(TOKEN[:-1] + "\ud800", LOCKED)
    assert not is_token(TOKEN, WebSettings())


def test_person_without_a_cookie_is_sent_to_sign_in_and_back() -> None:
    answer = _ask(LOCKED, "/?text=a+boat&k=5", headers={"accept": "text/html,*/*"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/login?next=%2F%3Ftext%3Da%2Bboat%26k%3D5"
    for path in ("/login", "/static/x"):
        assert _ask(LOCKED, path).status_code == 200
    assert _ask(LOCKED, "/api/search", headers={"accept": "text/html"}).status_code == 401


@pytest.mark.parametrize(
    ("target", "followed"),
    [
        ("/?text=a%20boat", "/?text=a%20boat"),
        ("/?where=../a", "/?where=../a"),
        ("/a/../b", "/"),
        ("//evil.com", "/"),
        ("/\\evil.com", "/"),
        ("https://evil.com", "/"),
        ("/x\n", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_sign_in_leads_to_paths_of_this_server_only(target: str | None, followed: str) -> None:
    assert local_target(target, root="") == followed


@pytest.mark.parametrize(
    ("target", "followed"),
    [
        ("/films/video/a%20b?t=1", "/films/video/a%20b?t=1"),
        ("/films/", "/films/"),
        ("/admin", "/films/"),
        ("/filmstrip/", "/films/"),
        ("/films/../admin", "/films/"),
        ("/films/%2e%2E/admin", "/films/"),
        ("//evil.example", "/films/"),
        ("//evil.example/films/", "/films/"),
        ("/\\evil.example/films/", "/films/"),
        ("https://evil.example/films/", "/films/"),
        ("", "/films/"),
        (None, "/films/"),
    ],
)
def test_sign_in_below_a_path_leads_to_the_paths_of_the_app_only(
    target: str | None, followed: str
) -> None:
    assert local_target(target, root="/films") == followed


@pytest.mark.parametrize(
    ("root_path", "root"),
    [
        ("", ""),
        ("/films/", "/films"),
        ("/a@b", "/a@b"),
        ("/видео", "/%D0%B2%D0%B8%D0%B4%D0%B5%D0%BE"),
        ("/t/a; Domain=x.example", "/t/a%3B%20Domain=x.example"),
        ("/50%?#", "/50%25%3F%23"),
    ],
)
def test_path_that_the_app_is_mounted_at_is_as_browsers_send_it(root_path: str, root: str) -> None:
    assert root_url({"type": "http", "root_path": root_path}) == root


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "https://evil.com"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin", "origin": "http://localhost:8800"}, 200),
        ({"origin": "http://localhost:8800"}, 200),
        ({"origin": "http://LOCALHOST:8800"}, 200),
        ({"origin": "http://localhost:8801"}, 403),
        ({"origin": "http://localhost"}, 403),
        ({"origin": "http://localhost:x"}, 403),
        # As proxies pass it on.
        ({"host": "localhost", "origin": "http://localhost:8080"}, 200),
        ({"host": "localhost", "origin": "https://localhost"}, 200),
        ({"host": "localhost", "origin": "http://localhost.evil.com:8080"}, 403),
        ({"host": "localhost", "origin": "null"}, 403),
        ({"host": "localhost:80", "origin": "http://localhost"}, 200),
        ({"host": "localhost:443", "origin": "https://localhost"}, 200),
        ({"host": "localhost:80", "origin": "https://localhost"}, 200),
        ({"host": "localhost:80", "origin": "http://evil.com"}, 403),
        ({"host": "[::1]", "origin": "http://[::1]:8080"}, 200),
        ({}, 200),
    ],
)
def test_page_of_another_site_cannot_post(headers: dict[str, str], status: int) -> None:
    answer = _ask(WebSettings(), "/api/search", method="POST", headers=headers, content=b"{}")
    assert answer.status_code == status
    assert _ask(WebSettings(), "/api/search", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "status"),
    [("gzip", 415), ("identity, br", 415), ("Identity", 200), ("", 200)],
)
def test_compressed_body_is_refused(encoding: str, status: int) -> None:
    headers = {"content-encoding": encoding}
    answer = _ask(WebSettings(), "/api/search", method="POST", headers=headers, content=b"{}")
    assert answer.status_code == status
    if status == 415:
        assert answer.headers["accept-encoding"] == "identity"
        assert answer.json()["detail"] == "the body must not be compressed"


async def _chunks(total: int) -> AsyncIterator[bytes]:
    for _ in range(total // 256):
        yield b"x" * 256


def test_body_above_the_limit_is_refused_with_and_without_its_length() -> None:
    settings = WebSettings(max_upload_bytes=1024)
    for content, status in (
        (b"x" * 1024, 200),
        (b"x" * 1025, 413),
        (_chunks(1024), 200),
        (_chunks(2048), 413),
    ):
        answer = _ask(settings, "/api/search", method="POST", content=content)
        assert answer.status_code == status


def test_body_that_signs_in_is_small_as_nobody_needs_a_token_to_send_it() -> None:
    for content, status in (
        (b"x" * 32 * 1024, 200),
        (b"x" * (32 * 1024 + 1), 413),
        (_chunks(32 * 1024), 200),
        (_chunks(33 * 1024), 413),
    ):
        answer = _ask(LOCKED, "/login", method="POST", content=content)
        assert answer.status_code == status
        if status == 413:
            told = "the body has more than 32768 bytes (signing in takes no more)"
            assert answer.json()["detail"] == told
    few = WebSettings(max_upload_bytes=1024)
    answer = _ask(few, "/login", method="POST", content=b"x" * 1025)
    assert "(web.max_upload_bytes)" in answer.json()["detail"]


def test_slow_body_of_a_request_that_is_being_answered_is_taken_for_a_client_that_went() -> None:
    heard: list[Message] = []

    async def download(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        heard.append(await receive())

    async def nothing() -> Message:
        await asyncio.Event().wait()
        raise AssertionError("that nobody has set")

    async def keep(message: Message) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"localhost")]}
    asyncio.run(Guard(download, WebSettings(timeout=0.1))(scope, nothing, keep))
    assert heard == [{"type": "http.disconnect"}]


def test_every_answer_has_the_headers_also_where_the_app_fails() -> None:
    settings = WebSettings(media_origins=("https://media.example.com",))
    for path in ("/", "/fail", "/nothing"):
        headers = _ask(settings, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "media-src 'self' blob: https://media.example.com;" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"


def test_exception_of_the_app_tells_nothing_of_the_server() -> None:
    answer = _ask(WebSettings(), "/fail")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text
    assert "9200" not in answer.text
