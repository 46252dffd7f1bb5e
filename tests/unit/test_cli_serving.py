"""How the command line serves an app."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.testclient import TestClient
from tests.command_line import runner
from tests.serving import serving

from vidsearch.cli import slow_clients
from vidsearch.cli.serving import serve
from vidsearch.config import load_settings
from vidsearch.config_web import _OWN_PATHS
from vidsearch.errors import ConfigError
from vidsearch.web import create_app
from vidsearch.web.mcp_server import http_app


@contextmanager
def _served(monkeypatch: pytest.MonkeyPatch, **web: Any) -> Iterator[str]:
    """The URL of the page, of an engine that is away, served as the command line serves it."""
    given: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: given.update(options, app=app))
    settings = load_settings(engine={"url": "http://127.0.0.1:9", "kind": "elasticsearch"}, web=web)
    app = create_app(settings)
    serve(app, settings.web, host="127.0.0.1", port=1, extra="web")
    with serving(**{**given, "port": 0, "lifespan": "off"}) as url:
        yield url
    asyncio.run(app.state.context.close())


def test_further_connections_than_are_allowed_get_503_and_probes_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(slow_clients, "_KEPT_BRIEFLY", 60.0)
    with _served(monkeypatch, max_connections=2, timeout=60) as url:
        opened = [http.client.HTTPConnection(urlsplit(url).netloc, timeout=60) for _ in range(5)]
        try:
            answers, bodies = [], []
            paths = ["/", "/", "/healthz", "/login", "/api/search?text=a"]
            for connection, path in [*zip(opened, paths, strict=True), (opened[0], "/metrics")]:
                connection.request("GET", path, headers={"accept": "text/html"})
                answer = connection.getresponse()
                bodies.append(answer.read().decode())
                assert answer.headers["content-security-policy"]
                answers.append((answer.status, answer.headers["retry-after"] is not None))
        finally:
            for connection in opened:
                connection.close()
    is_refused = [(503, True)] * 2
    assert answers == [(200, False), (200, False), (200, False), *is_refused, (200, False)]
    assert "The server has too many connections" in bodies[3]
    assert json.loads(bodies[4])["status"] == 503
    assert 'vidsearch_web_requests_total{endpoint="none",status="503"} 2.0' in bodies[5]


def test_below_the_path_of_a_proxy_all_is_served_whether_the_proxy_takes_it_off_or_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = "a-token-of-some-length"
    with (
        _served(monkeypatch, root_path="/films", token=token) as url,
        httpx.Client(base_url=url, headers={"accept": "text/html"}, trust_env=False) as client,
    ):
        for path in ("/films/admin?a=b", "/admin?a=b"):
            to_login = client.get(path).headers["location"]
            assert to_login == "/films/login?next=%2Ffilms%2Fadmin%3Fa%3Db"
            assert 'action="/films/login"' in client.get(to_login).text
        for path in ("/films/login", "/login"):
            sent = {"token": token, "next": "/films/?q=a"}
            # As a proxy says that a person came by https.
            answer = client.post(path, data=sent, headers={"x-forwarded-proto": "https"})
            assert answer.headers["location"] == "/films/?q=a"
            assert {"Path=/films", "Secure"} < set(answer.headers["set-cookie"].split("; "))
        client.headers["authorization"] = f"Bearer {token}"
        client.cookies.clear()
        for path in ("/films", "/films/", "/"):
            answer = client.get(path)
            assert answer.status_code == 200
            local = re.findall(r'(?:href|src|action)="(/[^"]*)"', answer.text)
            assert local
            assert [link for link in local if not link.startswith("/films/")] == []
        described = client.get("/films/api/openapi.json").json()
        assert described["servers"] == [{"url": "/films"}]
        found = ("/films/static/style.css", "/static/style.css", "/films/healthz", "/healthz")
        assert {client.get(path).status_code for path in found} == {200}
        assert {client.get(path).status_code for path in ("/filmsx", "/films/films/")} == {404}


@pytest.mark.parametrize("path", ["films", "/films/", "/a//b", "/a/..", "/a b", "/video", "/api/x"])
def test_a_path_that_could_be_taken_for_another_is_no_path_of_a_proxy(path: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.root_path"):
        load_settings(web={"root_path": path})


def test_every_path_that_is_served_is_known_to_the_setting() -> None:
    settings = load_settings(engine={"url": "http://127.0.0.1:9", "kind": "elasticsearch"})
    served = [*create_app(settings).routes, *http_app(settings).routes]
    paths = {cast(Any, route).path.strip("/").split("/")[0] for route in served} - {""}
    assert paths <= _OWN_PATHS


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("web --host 0.0.0.0 --port 80", "search page at http://0.0.0.0:80/, API at "),
        ("mcp --http --host 0.0.0.0 --port 80", "MCP server at http://0.0.0.0:80/mcp\n"),
    ],
    ids=["web", "mcp"],
)
def test_commands_serve_their_app_where_they_say(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, said: str
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: given.update(options, app=app))
    done = runner(capsys)(*command.split())
    assert (done.code, done.out) == (0, ""), done.err
    assert done.err.startswith(said)
    assert "Warning: web.token is unset" in done.err
    assert (given["host"], given["port"]) == ("0.0.0.0", 80)
    client = TestClient(given["app"], base_url="http://localhost")
    assert client.get("/healthz").status_code == 200
