"""The web app without a node: read-only, problems, and what it says while the engine is away."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from vidsearch.config import Settings, load_settings
from vidsearch.errors import BackendUnavailableError, ConfigError
from vidsearch.web import create_app
from vidsearch.web.api.status import PublicStatus
from vidsearch_tasks import Services

AWAY = Settings(engine={"url": "http://127.0.0.1:9", "kind": "elasticsearch"})


def _ask(settings: Settings, method: str, path: str, **options: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answer = await client.request(method, path, **options)
        await app.state.context.close()
        return answer

    return asyncio.run(ask())


def test_server_registers_nothing_unless_it_is_allowed() -> None:
    body = {"id": "a", "uri": "https://videos.example.com/a.mp4"}
    answer = _ask(AWAY, "POST", "/api/videos", json=body)
    assert answer.status_code == 403
    assert "web.allow_writes" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("uri", "hosts", "setting"),
    [
        ("s3://private/a.mp4", (), "sources.hosts name its bucket"),
        ("s3://private.example.com/a.mp4", ("*.example.com",), "sources.hosts name its bucket"),
        ("https://other.example/a.mp4", ("*.example.com",), "sources.hosts its host"),
        ("/etc/passwd", (), "sources.roots a folder"),
    ],
)
def test_uri_that_a_client_may_not_register_is_refused_with_the_setting(
    uri: str, hosts: tuple[str, ...], setting: str
) -> None:
    token = "0123456789abcdef"
    settings = Settings(
        engine=AWAY.engine, web={"allow_writes": True, "token": token}, sources={"hosts": hosts}
    )
    options = {"json": {"id": "a", "uri": uri}, "headers": {"authorization": f"Bearer {token}"}}
    answer = _ask(settings, "POST", "/api/videos", **options)
    assert answer.status_code == 422
    assert answer.json()["argument"] == "uri"
    assert setting in answer.json()["detail"]
    assert "example.com" not in answer.json()["detail"], "what is allowed is not told"


def test_time_of_a_search_has_an_end() -> None:
    with pytest.raises(ConfigError, match=r"web\.timeout"):
        load_settings(web={"timeout": "inf"})


def test_writes_need_a_token_by_the_settings() -> None:
    with pytest.raises(ConfigError, match=r"web\.token"):
        load_settings(web={"allow_writes": True})
    with pytest.raises(ConfigError, match="16 characters"):
        load_settings(web={"token": "short"})
    with pytest.raises(ConfigError, match="no host such as"):
        load_settings(web={"allowed_hosts": ["https://videos.example.com"]})


@pytest.mark.parametrize(
    "name", ["secret*", "*", "secret.*", "", " ", " secret", "a.", ".a", "a..b"]
)
def test_name_that_would_hide_no_field_is_refused_by_the_settings(name: str) -> None:
    with pytest.raises(ConfigError, match=r"web\.hidden_fields: .* would hide nothing"):
        load_settings(web={"hidden_fields": ["crew", name]})


def test_fields_objects_and_names_with_blanks_in_them_can_be_hidden() -> None:
    names = ("secret", "crew.wages", "shooting place")
    assert load_settings(web={"hidden_fields": names}).web.hidden_fields == names


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/search", '{{"text": "x", "filter": {deep}}}'),
        ("/api/videos", '{{"id": "a", "uri": "/a", "fields": {deep}}}'),
    ],
)
def test_body_of_a_thousand_lists_inside_each_other_is_refused(path: str, body: str) -> None:
    writable = load_settings(web={"allow_writes": True, "token": "0123456789abcdef"})
    deep = f'{{"a": {"[" * 1000 + "]" * 1000}}}'
    answer = _ask(
        writable,
        "POST",
        path,
        content=body.format(deep=deep),
        headers={"content-type": "application/json", "authorization": "Bearer 0123456789abcdef"},
    )
    assert answer.status_code == 422
    assert "inside each other" in answer.json()["detail"]


@pytest.mark.parametrize("charset", ["undefined", "utf-7", "punycode", "idna", "latin-1", ""])
def test_form_in_another_charset_than_utf_8_is_refused(charset: str) -> None:
    answer = _ask(
        AWAY,
        "POST",
        "/api/search",
        content=b'--b\r\ncontent-disposition: form-data; name="+2AA-"\r\n\r\nx\r\n--b--\r\n',
        headers={"content-type": f"multipart/form-data; boundary=b; charset={charset}"},
    )
    assert answer.status_code == 400
    assert "UTF-8" in answer.json()["detail"]


def test_names_that_no_argument_has_are_refused_at_the_first() -> None:
    writable = load_settings(web={"allow_writes": True, "token": "0123456789abcdef"})
    for path in ("/api/search", "/api/videos"):
        # With an error for each, this would take gigabytes.
        answer = _ask(
            writable,
            "POST",
            path,
            json={"x" * 100_000: 1, "text": "x", **{f"a{at}": 1 for at in range(300_000)}},
            headers={"authorization": "Bearer 0123456789abcdef"},
        )
        assert answer.status_code == 422
        assert len(answer.text) < 1000
        assert "argument" not in answer.json()


def test_engine_that_is_away_is_503_with_a_time_to_retry_and_without_its_url() -> None:
    answer = _ask(AWAY, "GET", "/api/search?text=boat&mode=keyword")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["type"] == "urn:vidsearch:error:BackendUnavailableError"
    assert "127.0.0.1" not in answer.text


def test_services_are_built_once_and_not_in_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []

    class Watched(Services):
        def __init__(self, settings: Settings) -> None:
            threads.append(threading.get_ident())
            super().__init__(settings)

    async def ask() -> list[int]:
        app = create_app(AWAY)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers = await asyncio.gather(*(client.get("/video/a") for _ in range(4)))
        await app.state.context.close()
        return [answer.status_code for answer in answers]

    monkeypatch.setattr("vidsearch_tasks.Services", Watched)
    assert asyncio.run(ask()) == [503] * 4
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


def test_unknown_path_and_method_are_problems() -> None:
    for method, path, status in (("GET", "/nothing", 404), ("DELETE", "/api/search", 405)):
        answer = _ask(AWAY, method, path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"


def test_requests_are_counted_by_the_path_of_their_route() -> None:
    async def ask() -> str:
        app = create_app(AWAY)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            for path in ("/healthz", "/api/videos/a", "/api/videos/b", "/static/none", "/nothing"):
                await client.get(path)
            counted = (await client.get("/metrics")).text
        await app.state.context.close()
        return counted

    counted = asyncio.run(ask())
    for endpoint, status, number in (
        ("/healthz", 200, 1),
        ("/api/videos/{id}", 503, 2),
        ("/static/{path}", 404, 1),
        ("none", 404, 1),
    ):
        line = f'vidsearch_web_requests_total{{endpoint="{endpoint}",status="{status}"}} {number}.0'
        assert line in counted


def test_requests_are_counted_without_the_folder_of_the_workers(tmp_path: Path) -> None:
    code = (
        "from starlette.testclient import TestClient\n"
        "from vidsearch.config import load_settings\n"
        "from vidsearch.web import create_app\n"
        "client = TestClient(create_app(load_settings()), base_url='http://localhost')\n"
        "client.get('/healthz')\n"
        "client.get('/nothing')\n"
        "print(client.get('/metrics').text)"
    )
    folder = tmp_path / "metrics"
    env = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": ":".join(sys.path)}
    shown = subprocess.run(
        [sys.executable, "-c", code],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    assert 'vidsearch_web_requests_total{endpoint="/healthz",status="200"} 1.0\n' in shown
    for bucket in ("10.0", "30.0", "+Inf"):
        line = f'vidsearch_web_request_seconds_bucket{{endpoint="/healthz",le="{bucket}"}} 1.0\n'
        assert line in shown
    assert 'vidsearch_web_request_seconds_count{endpoint="none"} 1.0\n' in shown
    assert "vidsearch_web_ready 0.0\n" in shown
    assert not folder.exists(), "what lies there is shown as counted by workers"


@pytest.mark.parametrize("error", [None, BackendUnavailableError("away")])
def test_status_is_asked_for_once_in_a_while_whether_it_is_known_or_not(
    error: Exception | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def answer(*, services: Services) -> Any:
        asked.append("once")
        if error is not None:
            raise error

    known = PublicStatus(True, 0, {}, 0, 0, None, None, 0.0, None, {})
    monkeypatch.setattr("vidsearch_tasks.ingestion_status", answer)
    monkeypatch.setattr(PublicStatus, "of", lambda status: known)
    monkeypatch.setattr("vidsearch.web.latest._AGE", float("inf"))

    async def ask() -> list[int]:
        app = create_app(AWAY)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            answers = await asyncio.gather(*(client.get("/api/status") for _ in range(3)))
            answers.append(await client.get("/api/status"))
            if error is not None:
                answers.append(await client.get("/admin"))
        await app.state.context.close()
        return [each.status_code for each in answers]

    assert set(asyncio.run(ask())) == {503 if error else 200}
    assert asked == ["once"]


@pytest.mark.parametrize("path", ["/api/videos/a", "/api/status"])
def test_registry_that_does_not_answer_in_time_is_503(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = threading.Event()

    def hang(*_: Any, **__: Any) -> Any:
        goes_on.wait(60)
        raise BackendUnavailableError("away")

    monkeypatch.setattr("vidsearch.web.context.WebContext.record", hang)
    monkeypatch.setattr("vidsearch_tasks.ingestion_status", hang)
    try:
        answer = _ask(load_settings(web={"timeout": 0.05}), "GET", path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "5"
        assert "took longer than 0.05 seconds" in answer.json()["detail"]
    finally:
        goes_on.set()


def test_app_that_only_searches_loads_neither_torch_nor_celery() -> None:
    code = (
        "import sys, vidsearch.web.mcp_server\n"
        "from vidsearch.config import load_settings\n"
        "from vidsearch.web import create_app\n"
        "create_app(load_settings())\n"
        "heavy = {'torch', 'transformers', 'cv2', 'av', 'celery', 'PIL', 'opensearchpy'}\n"
        "print(heavy & {name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout == "set()\n"
