"""``examples/django`` as its users run it: with manage.py, a worker, a real node and Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.django_site import EXAMPLE
from tests.integration.worker import Worker

from vidsearch.demo import demo_clips
from vidsearch.local import SearchNode

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]


@pytest.fixture
def env(
    elasticsearch_9: SearchNode, redis_url: str, index_name: str, tmp_path: Path
) -> dict[str, str]:
    """Of the project's processes."""
    path = os.pathsep.join(filter(None, [str(EXAMPLE), os.environ.get("PYTHONPATH")]))
    return {
        "PYTHONPATH": path,
        "DJANGO_SETTINGS_MODULE": "filmsite.settings",
        "FILMSITE_DATA": str(tmp_path / "site"),
        "VIDSEARCH_ENGINE__URL": elasticsearch_9.url,
        "VIDSEARCH_ENGINE__KIND": elasticsearch_9.kind,
        "VIDSEARCH_BROKER__URL": redis_url,
        "VIDSEARCH_BROKER__QUEUE": f"q-{index_name}",
        "VIDSEARCH_INDEX__NAME": index_name,
        "VIDSEARCH_MODEL__NAME": "demo",
    }


def python(env: dict[str, str], *arguments: str) -> str:
    """What a process prints on stdout; it must end well."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_saved_films_are_found_by_what_they_show(env: dict[str, str], tmp_path: Path) -> None:
    manage = str(EXAMPLE / "manage.py")
    clips = demo_clips(tmp_path / "clips", seed=11, number=4)[:3]
    (tmp_path / "site").mkdir()
    python(env, manage, "migrate", "--verbosity", "0")
    python(env, manage, "vidsearch", "index", "create")
    queues = ("-Q", f"celery,{env['VIDSEARCH_BROKER__QUEUE']}")
    session = Path(__file__).with_name("django_session.py")
    films = [f"{clip.title}={clip.path}={clip.scenes[0].caption}" for clip in clips]
    with Worker(tmp_path / "worker", env, app="filmsite", options=queues) as worker:
        told = python(env, str(session), *films)
        assert "vidsearch.ingest_video" in worker.text()
        assert clips[0].title not in worker.text(), "messages hold primary keys only"
    seen: dict[str, Any] = json.loads(told.splitlines()[-1])
    titles = [clip.title for clip in clips]
    assert seen["inside the transaction"] == []
    assert seen["states"] == ["indexed"] * 3
    assert [found[0] for found in seen["found by what is seen"]] == titles
    assert seen["view"] == [200, titles[0], ["start", "end", "cosine", "thumbnail"]]
    assert seen["wrong request"] == 422
    assert seen["admin"] == {"states": 3, "status": 200}
    assert seen["file of the same name"]
    assert seen["states after the upload"] == ["indexed"] * 3
    first, second = seen["cosines of the same file"]
    assert first == pytest.approx(second, abs=1e-6)
    assert seen["after delete"] == [sorted(titles[1:]), []]


def test_tests_of_the_example_pass_without_node_and_worker(tmp_path: Path) -> None:
    env = {**os.environ, "FILMSITE_DATA": str(tmp_path)}
    command = [sys.executable, str(EXAMPLE / "manage.py"), "test", "films"]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 2 tests" in done.stderr
