"""How the command line serves an app."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send
from tests.command_line import runner
from tests.serving import serving

from vidsearch.cli import slow_clients
from vidsearch.cli.serving import serve
from vidsearch.config import WebSettings


async def _say(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


def test_further_connections_than_are_allowed_get_503_and_probes_do_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: given.update(options, app=app))
    monkeypatch.setattr(slow_clients, "_KEPT_BRIEFLY", 60.0)
    settings = WebSettings(max_connections=2, timeout=60)
    serve(_say, settings, host="127.0.0.1", port=1, extra="web")
    with serving(**{**given, "port": 0, "lifespan": "off"}) as url:
        opened = [http.client.HTTPConnection(urlsplit(url).netloc, timeout=60) for _ in range(4)]
        try:
            answers = []
            asked = [*zip(opened, ["/", "/", "/healthz", "/readyz"], strict=True), (opened[0], "/")]
            for connection, path in asked:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                answers.append((answer.status, answer.headers["retry-after"] is not None))
        finally:
            for connection in opened:
                connection.close()
    assert answers == [(204, False), (204, False), (204, False), (503, True), (204, False)]


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
