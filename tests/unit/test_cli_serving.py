"""How the command line serves an app."""

from __future__ import annotations

import http.client
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.types import Receive, Scope, Send
from tests.serving import serving

from vidsearch.cli.serving import serve
from vidsearch.config import WebSettings


async def _say(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


def test_more_connections_than_are_allowed_get_503(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("uvicorn.run", lambda app, **options: given.update(options))
    serve(_say, WebSettings(max_connections=2), host="127.0.0.1", port=1, extra="web")
    with serving(_say, **{**given, "port": 0, "lifespan": "off"}) as url:
        opened = [http.client.HTTPConnection(urlsplit(url).netloc, timeout=60) for _ in range(3)]
        try:
            statuses = []
            for connection in opened:
                connection.request("GET", "/")
                answer = connection.getresponse()
                answer.read()
                statuses.append(answer.status)
        finally:
            for connection in opened:
                connection.close()
    assert statuses == [204, 204, 503]
