"""The Python of the docs that needs no node runs, and does what its text says."""

from __future__ import annotations

import logging
import shutil
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from celery import Celery
from tests.django_site import Site
from tests.docs_runs import MEMORY, run_python

from vidsearch.config import Settings, load_settings
from vidsearch.testing.in_process import videos_in_process
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import configured, video_status


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder; the services of the process are put back afterwards."""
    monkeypatch.chdir(tmp_path)
    for name in ("_current", "_configured_in"):
        monkeypatch.setattr(configured, name, getattr(configured, name))
    return tmp_path


def test_tests_of_an_application_on_the_page_on_brokers(
    colour_clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = MemoryEngine()
    monkeypatch.setattr("vidsearch.engines.connect", lambda settings, **options: engine)
    app = Celery("yours", broker="memory://", set_as_current=False)
    names: dict[str, Any] = {"app": app, "settings": Settings(ingest={"isolate": False})}
    clip = str(colour_clips / "red.mp4")
    run_python("docs/broker.md", MEMORY, names, changed={"/videos/a.mp4": clip})
    assert str(names["record"].state) == "indexed"
    assert str(names["register_video"]("b", uri=clip).state) == "indexed"
    assert engine.count(names["settings"].index.name) == 1, "in the index of the second block alone"


def test_an_encoder_of_ones_own_and_its_tests() -> None:
    names: dict[str, Any] = {}
    run_python("docs/encoders.md", MEMORY, names)
    made = names["MyEncoder"](Settings().model, Settings().ingest)
    assert made.identity.sampling.endswith("@1fps")
    contract = {name for name in dir(names["TestMyEncoder"]) if name.startswith("test_")}
    assert contract, "pytest collects them from this class"


def test_figures_from_vectors_in_files(capsys: pytest.CaptureFixture[str]) -> None:
    drawn = np.random.default_rng(0).standard_normal((12, 16)).astype(np.float32)
    np.save("t.npy", drawn / np.linalg.norm(drawn, axis=1, keepdims=True))
    shutil.copy("t.npy", "v.npy")
    run_python("docs/evaluation.md", MEMORY, {})
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows] == [
        ["text-to-video", "exact"],
        ["text-to-video", "binary+rerank100"],
        ["video-to-text", "exact"],
        ["video-to-text", "binary+rerank100"],
    ]
    assert {float(row[2]) for row in rows} == {1.0}


def test_a_resolver_and_a_list_of_videos(
    colour_clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {"token": lambda: "Bearer abc"}
    rows = ["videoid,contentUrl,name,page_dir"]
    rows += [f"{name},{colour_clips / name}.mp4,all {name},x" for name in ("red", "blue")]
    Path("webvid.csv").write_text(
        "\n".join([*rows, "far,https://user:abc@media.example/far.mp4,far,x"])
    )
    with videos_in_process():
        run_python("docs/media.md", MEMORY, names)
        assert [str(video_status(id).state) for id in ("red", "blue")] == ["indexed", "indexed"]
    assert names["signed"]("media://a.mp4") == (
        "https://media.example.com/a.mp4",
        {"Authorization": "Bearer abc"},
    )
    (said,) = capsys.readouterr().out.splitlines()
    assert said.startswith("far ")


def test_logs_as_json_and_events_of_an_app_of_ones_own() -> None:
    from celery.signals import after_setup_logger

    from vidsearch.logs import JsonFormatter

    app = Celery("yours", broker="memory://", set_as_current=False)
    names: dict[str, Any] = {"app": app}
    run_python("docs/operations.md", MEMORY, names)
    after_setup_logger.disconnect(names["write_json"])
    logger = logging.Logger("of celery")
    logger.addHandler(handler := logging.NullHandler())
    names["write_json"](logger=logger)
    assert isinstance(handler.formatter, JsonFormatter)
    assert app.conf.worker_send_task_events
    assert app.conf.task_send_sent_event


# -- Django

PAGE = "docs/frameworks.md"


def test_settings_of_the_django_project_are_taken(site: Site) -> None:
    from django.test import override_settings

    from vidsearch.contrib.django.settings import load_django_settings

    names: dict[str, Any] = {}
    run_python(PAGE, MEMORY, names, 1)
    with override_settings(VIDSEARCH=names["VIDSEARCH"]):
        settings = load_django_settings()
    assert (settings.index.name, settings.sources.roots) == ("films", (Path("/srv/media"),))
    assert "vidsearch.contrib.django" in names["INSTALLED_APPS"]
    options = names["CELERY_BROKER_TRANSPORT_OPTIONS"]
    assert options["visibility_timeout"] > settings.ingest.time_limit + 60


def test_the_celery_app_of_the_django_project_has_the_tasks() -> None:
    from celery import current_app

    before = current_app._get_current_object()
    names: dict[str, Any] = {}
    try:
        run_python(PAGE, MEMORY, names, 2)
        names["app"].loader.import_default_modules()
        assert "vidsearch.ingest_video" in names["app"].tasks
    finally:
        before.set_current()


def test_the_model_and_its_admin_are_right(site: Site) -> None:
    from django.contrib import admin
    from django.test.utils import isolate_apps

    names: dict[str, Any] = {"__name__": "films.models"}
    with isolate_apps("films"):
        run_python(PAGE, MEMORY, names, 3, 5)
        try:
            assert names["Film"].check() == []
            assert names["FilmAdmin"](names["Film"], admin.site).check() == []
        finally:
            admin.site.unregister(names["Film"])


@pytest.fixture
def with_year() -> Iterator[None]:
    """The engine in memory filters by fields of the mapping only."""
    mapping = {"properties": {"year": {"type": "integer"}}}
    settings = load_settings(ingest={"isolate": False}, index={"mapping": mapping})
    with videos_in_process(settings):
        yield


def test_a_search_gives_rows(
    site: Site, with_year: None, capsys: pytest.CaptureFixture[str]
) -> None:
    site.Film.objects.bulk_create([site.film("red", year=2024), site.film("blue", year=1999)])
    run_python(PAGE, MEMORY, {"Film": site.Film}, 4)
    film, missing = capsys.readouterr().out.splitlines()
    assert film.startswith("all red ")
    assert missing == "()"


def test_the_test_of_an_application_passes(site: Site) -> None:
    (site.files / "films").mkdir()
    shutil.copy(site.files / "red.mp4", site.files / "films" / "sunset.mp4")
    # As of a module, whose databases Django's class of tests asks for.
    names: dict[str, Any] = {"Film": site.Film, "__name__": "films.tests"}
    run_python(PAGE, MEMORY, names, 6)
    done = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(names["FilmSearch"]).run(done)
    assert (done.testsRun, done.errors, done.failures) == (1, [], [])
