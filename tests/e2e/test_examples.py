"""Docs show the files of ``examples/``, and they run: on a real node, Redis and worker."""

from __future__ import annotations

import asyncio
import math
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.integration.worker import Worker, until

from vidsearch.config import Settings
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch_tasks import Services, configured

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = {path.name: path.read_text() for path in (ROOT / "examples").glob("*.py")}
_URI = "https://media.example/clip-42.mp4"


def test_docs_show_the_examples_unchanged() -> None:
    apps = {"fastapi_app.py", "flask_app.py"}
    page = (ROOT / "docs/frameworks.md").read_text()
    assert {name for name in apps if f"](../examples/{name})" not in page} == set()
    pages = (ROOT / name for name in ("README.md", "docs/howto-backend.md"))
    shown_in = "".join(page.read_text() for page in pages)
    blocks = re.findall(r"```python\n(.*?)```", shown_in, re.DOTALL)
    shown = [text for name, text in EXAMPLES.items() if name not in apps]
    bodies = [text.split('"""\n\n', 1)[1] for text in shown]
    assert sorted(blocks) == sorted(bodies)


@dataclass(frozen=True)
class Application:
    """An application with settings in its environment and a clip for ``clip-42``."""

    env: dict[str, str]
    clip: Path
    services: Services

    def python(self, *args: str) -> str:
        """What a run prints; it must print nothing on stderr."""
        done = subprocess.run(
            [sys.executable, *args],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout


@pytest.fixture
def application(
    elasticsearch_9: SearchNode, redis_url: str, index_name: str, red: Path
) -> Iterator[Application]:
    """With an empty index."""
    settings = Settings(
        engine={"url": elasticsearch_9.url},
        broker={"url": redis_url, "queue": f"q-{index_name}"},
        index={"name": index_name},
        model={"name": "demo"},
    )
    env = {
        "VIDSEARCH_ENGINE__URL": elasticsearch_9.url,
        "VIDSEARCH_BROKER__URL": redis_url,
        "VIDSEARCH_BROKER__QUEUE": settings.broker.queue,
        "VIDSEARCH_INDEX__NAME": index_name,
        "VIDSEARCH_MODEL__NAME": "demo",
    }
    with Services(settings) as services:
        create_videos_index(services.engine, settings.index, services.encoder.identity)
        yield Application(env, red, services)


@pytest.fixture
def worker(application: Application, tmp_path: Path) -> Iterator[Worker]:
    """Of the example's Celery app."""
    path = [str(ROOT / "examples"), os.environ.get("PYTHONPATH", "")]
    env = {**application.env, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    queues = ("-Q", f"celery,{application.env['VIDSEARCH_BROKER__QUEUE']}")
    with Worker(tmp_path / "worker", env, app="celery_app", options=queues) as worker:
        yield worker


@dataclass(frozen=True)
class Web:
    """The FastAPI example, in this process."""

    app: Any

    def answers(self, *paths: str) -> list[tuple[int, Any]]:
        """Status and JSON of each, of one life of the app."""

        async def ask() -> list[tuple[int, Any]]:
            transport = httpx.ASGITransport(self.app)
            async with (
                self.app.router.lifespan_context(self.app),
                httpx.AsyncClient(transport=transport, base_url="http://here") as client,
            ):
                found = [await client.get(path) for path in paths]
            return [(answer.status_code, answer.json()) for answer in found]

        return asyncio.run(ask())

    def posts(self, path: str, body: dict[str, str]) -> tuple[int, Any]:
        """Status and JSON of a request; the app is not started, as no search is asked for."""

        async def ask() -> tuple[int, Any]:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                answer = await client.post(path, json=body)
            return answer.status_code, answer.json()

        return asyncio.run(ask())


def _flask_app_searches_and_registers(client: Any, clip: Path) -> None:
    (video,) = client.get("/search?q=harbour&tag=harbour").json
    assert (video["id"], video["title"]) == ("clip-42", "Harbour at dawn")
    assert video["moments"][0].keys() == {"start", "end", "cosine", "thumbnail"}
    assert client.get("/search?q=harbour&tag=moon").json == []
    wrong = client.get("/search?q=%20")
    assert (wrong.status_code, "text is empty" in wrong.json["detail"]) == (422, True)
    for too_much in ("a" * 1001, "a" + 21 * "&tag=harbour"):
        assert client.get(f"/search?q={too_much}").status_code == 400
    assert client.get("/videos/clip-41").status_code == 404
    assert client.get("/videos/...").status_code == 404
    assert client.post("/videos/clip-41", json=[]).status_code == 422
    untitled = {"uri": str(clip), "title": {"of": "a film"}}
    assert client.post("/videos/clip-42", json=untitled).status_code == 422
    state = {"id": "clip-42", "state": "indexed", "error": None}
    assert client.get("/videos/clip-42").json == state
    again = client.post("/videos/clip-42", json={"uri": str(clip), "title": "Harbour at dawn"})
    assert (again.status_code, again.json) == (202, {"id": "clip-42", "state": "indexed"})
    for wrong_video in ({"uri": "", "title": ""}, {}):
        assert client.post("/videos/clip-42", json=wrong_video).status_code == 422


def test_examples_enqueue_and_search_on_real_services(
    application: Application, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enqueue = tmp_path / "enqueue.py"
    assert EXAMPLES["enqueue_from_app.py"].count(_URI) == 1
    enqueue.write_text(EXAMPLES["enqueue_from_app.py"].replace(_URI, str(application.clip)))
    assert application.python(str(enqueue)) in {"queued\n", "processing\n"}
    services = application.services
    until(
        lambda: services.registry.get("clip-42").state is State.INDEXED,
        what="clip-42 is indexed",
        worker=worker,
    )
    services.engine.refresh(services.settings.index.name)
    hit, *moments = application.python(str(ROOT / "examples/search_from_app.py")).splitlines()
    assert hit.startswith("clip-42 Harbour at dawn ")
    assert "'keyword': 1" in hit, "harbour is a word of its title"
    assert moments
    assert all(re.fullmatch(r"  \d+-\d+ s, cosine -?\d\.\d\d", moment) for moment in moments)

    for name, value in application.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(configured, "_current", services)
    flask = runpy.run_path(str(ROOT / "examples/flask_app.py"))
    _flask_app_searches_and_registers(flask["app"].test_client(), application.clip)
    flask["videos"].close()
    web = Web(runpy.run_path(str(ROOT / "examples/fastapi_app.py"))["app"])
    found, *too_much, none, wrong, schema, vector, bodies, known, unknown, dots = web.answers(
        "/search?q=harbour",
        f"/search?q={'a' * 1001}",
        f"/search?q=a{21 * '&tag=harbour'}",
        f"/search?q=a&tag={'a' * 1001}",
        "/search?q=harbour&tag=moon&tag=mars",
        "/search?q=%20",
        "/openapi.json",
        "/embed?q=harbour",
        "/body?q=harbour",
        "/videos/clip-42",
        "/videos/clip-41",
        "/videos/...",
    )
    assert [status for status, _ in too_much] == [422, 422, 422]
    assert known == (200, {"id": "clip-42", "state": "indexed", "error": None})
    assert unknown == (404, {"detail": "no video 'clip-41' is registered"})
    assert dots == (404, {"detail": "no video '...' is registered"})
    assert web.posts("/videos/clip-42", {"uri": "", "title": "Harbour"})[0] == 422
    registered = {"uri": str(application.clip), "title": "Harbour at dusk"}
    assert web.posts("/videos/clip-42", registered) == (202, known[1])
    assert found[0] == 200
    (video,) = found[1]
    assert (video["id"], video["title"]) == ("clip-42", "Harbour at dawn")
    assert video["moments"][0].keys() == {"start", "end", "cosine", "thumbnail"}
    assert none == (200, [])
    assert wrong == (422, {"detail": "the search text is empty: say what the video should show"})
    assert (vector[0], len(vector[1])) == (200, 512)
    assert math.isclose(math.hypot(*vector[1]), 1, abs_tol=1e-6)
    assert (bodies[0], bodies[1].keys()) == (200, {"vector", "keyword"})
    assert schema[1]["components"]["schemas"]["Moment"]["properties"].keys() >= {"start", "end"}
    monkeypatch.setenv("VIDSEARCH_ENGINE__URL", "http://127.0.0.1:1")
    away = (503, {"detail": "the search is away, try again soon"})
    for kind in ("auto", "elasticsearch"):
        monkeypatch.setenv("VIDSEARCH_ENGINE__KIND", kind)
        assert web.answers("/search?q=harbour") == [away]


def test_enqueue_example_without_a_broker_prints_that_the_video_is_registered(
    application: Application,
) -> None:
    env = {**application.env, "VIDSEARCH_BROKER__URL": "redis://127.0.0.1:1/0"}
    away = replace(application, env=env)
    said = away.python(str(ROOT / "examples/enqueue_from_app.py"))
    assert said.startswith("video 'clip-42' is registered but not queued, the sweep will queue it")
