"""What workers count, time and log, and that dashboards and alerts ask for what there is."""

# ruff: noqa: F811  (fixtures)

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from tests.docs_pages import ROOT
from tests.drills.disk import SmallDisk
from tests.ingest_stage import Stage
from tests.reindex_runs import reindex_run
from tests.status_stage import now, put, services, worker  # noqa: F401

from vidsearch.errors import ConfigError
from vidsearch.index import create_videos_index
from vidsearch.logs import JsonFormatter
from vidsearch.metrics import current_work, enter_stage, measured, prometheus, timed
from vidsearch.registry import State
from vidsearch_tasks import Services, run_sweep
from vidsearch_tasks.exporter import metrics_registry
from vidsearch_tasks.reindexing import run_store


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    create_videos_index(stage.engine, stage.index, stage.encoder.identity)
    return stage


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


class Counts:
    """How much samples have grown."""

    def __init__(self) -> None:
        self._before = {
            (one.name, *sorted(one.labels.items())): one.value
            for family in REGISTRY.collect()
            for one in family.samples
        }

    def __call__(self, name: str, **labels: str) -> float:
        key = (name, *sorted(labels.items()))
        return sample(name, **labels) - self._before.get(key, 0.0)


def test_indexed_video_is_counted_with_its_stages_and_frames(stage: Stage, red: Path) -> None:
    grown = Counts()
    assert stage.add("a", red).status == "indexed"
    attempt = {"kind": "video", "outcome": "indexed", "cause": ""}
    assert grown("vidsearch_attempts_total", **attempt) == 1
    assert grown("vidsearch_frames_total") == 6
    for name in ("prepare", "fetch", "decode", "encode", "write"):
        assert grown("vidsearch_stage_seconds_count", stage=name) == 1, name
        assert grown("vidsearch_stage_seconds_sum", stage=name) > 0
    assert stage.again("a").status == "unchanged"
    assert grown("vidsearch_attempts_total", **{**attempt, "outcome": "unchanged"}) == 1


def test_failed_video_is_counted_by_the_class_of_its_error(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    grown = Counts()
    assert stage.add("a", tmp_path / "broken.mp4").status == "failed"
    failed = {"kind": "video", "outcome": "failed", "cause": "VideoOpenError"}
    assert grown("vidsearch_attempts_total", **failed) == 1


def test_attempt_that_raises_is_counted_as_interrupted(stage: Stage) -> None:
    grown = Counts()
    with pytest.raises(Exception, match="no video 'nobody' is registered"):
        stage.ingest("nobody")
    cause = {"kind": "video", "outcome": "interrupted", "cause": "VideoNotRegisteredError"}
    assert grown("vidsearch_attempts_total", **cause) == 1


def test_lost_lease_is_counted(stage: Stage, red: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encode = stage.encoder.encode_frames

    def deleted_meanwhile(frames: Any) -> Any:
        stage.registry.delete("a")
        return encode(frames)

    monkeypatch.setattr(stage.encoder, "encode_frames", deleted_meanwhile)
    grown = Counts()
    assert stage.add("a", red).status == "skipped"
    assert grown("vidsearch_leases_lost_total") == 1


def test_part_of_a_stage_is_timed_beside_it() -> None:
    class Worker:
        @measured("slice")
        def work(self, id: str) -> Any:
            enter_stage("encode")
            with timed("preprocess"):
                work = current_work()
                assert work is not None
                assert (work.kind, work.id) == ("slice", "s1")
            raise KeyError(id)

    grown = Counts()
    with pytest.raises(KeyError):
        Worker().work(id="s1")
    assert current_work() is None
    assert grown("vidsearch_stage_seconds_count", stage="preprocess") == 1
    assert grown("vidsearch_stage_seconds_count", stage="encode") == 1


def test_metric_that_cannot_be_written_ends_no_video(
    stage: Stage, red: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prometheus, "attempt_ended", full)
    assert stage.add("a", red).status == "indexed"
    assert "metrics are not counted: [Errno 28]" in caplog.text


def test_folder_of_metrics_that_cannot_be_looked_at_ends_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def denied(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    @measured("video")
    def attempt(worker: str, id: str) -> Any:
        raise KeyError(id)

    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    monkeypatch.setattr("vidsearch.metrics.recording.os.statvfs", denied)
    with pytest.raises(KeyError, match="a"):
        attempt("w", "a")
    assert "metrics are not counted: [Errno 13]" in caplog.text


def test_folder_of_metrics_that_cannot_be_made_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "file" / "metrics"))
    with pytest.raises(ConfigError, match=r"MULTIPROC_DIR=\S+/file/metrics is no folder"):
        metrics_registry(None)


def test_sweep_is_counted_by_what_it_did(services: Services, put: Any) -> None:
    put("lost", State.PROCESSING, owner="w#1", lease_until=1.0, attempts=9)
    grown = Counts()
    run_sweep(services=services)
    assert grown("vidsearch_sweep_seconds_count") == 1
    assert grown("vidsearch_swept_total", outcome="dead") == 1


# -- several processes, and none that needs it


def test_processes_of_a_worker_are_counted_together(tmp_path: Path) -> None:
    code = (
        "from vidsearch.metrics import count_frames, measured\n"
        "class Worker:\n"
        "    @measured('video')\n"
        "    def work(self, id):\n"
        "        count_frames(5)\n"
        "        raise SystemExit\n"
        "Worker().work('a')"
    )
    folder = tmp_path / "made" / "by the first"
    env = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": ":".join(sys.path)}
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code], env=env, check=True, timeout=120)
    show = (
        "from prometheus_client import generate_latest\n"
        "from vidsearch_tasks.exporter import metrics_registry\n"
        "print(generate_latest(metrics_registry(None)).decode())"
    )
    shown = subprocess.run(
        [sys.executable, "-c", show], env=env, check=True, capture_output=True, text=True
    ).stdout
    assert "vidsearch_frames_total 10.0\n" in shown
    assert 'cause="SystemExit"' in shown


def test_metrics_on_a_full_disk_end_no_process(tmp_path: Path) -> None:
    disk = SmallDisk(tmp_path / "disk")
    if disk.missing:
        pytest.skip(disk.missing)
    try:
        disk.fill()
        code = (
            "from vidsearch.metrics import measured\n"
            "class Worker:\n"
            "    @measured('video')\n"
            "    def work(self, id): raise SystemExit(5)\n"
            "Worker().work('a')"
        )
        folder = disk.folder / "metrics"
        env = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": ":".join(sys.path)}
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
        assert done.returncode == 5, "not killed by SIGBUS"
        assert "metrics are not counted: there is no room in" in done.stderr
    finally:
        disk.unmount()


def test_unused_metrics_load_nothing() -> None:
    code = (
        "import sys, vidsearch.ingest\n"
        "from vidsearch.metrics import measured\n"
        "class Worker:\n"
        "    @measured('video')\n"
        "    def work(self, id): raise SystemExit\n"
        "try: Worker().work('a')\n"
        "except SystemExit: pass\n"
        "print(sorted({'prometheus_client', 'opentelemetry'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": ":".join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stdout == "[]\n"


# -- the exporter, dashboards and alerts


@pytest.fixture
def exported(services: Services, put: Any, worker: Any) -> dict[str, Any]:
    """Samples by name, of an index with something of everything."""
    put("a", State.QUEUED, ago=90)
    put("b", State.INDEXED)
    worker(True)
    text = generate_latest(metrics_registry(services)).decode()
    return {
        one.name: {**one.labels, "": one.value}
        for family in text_string_to_metric_families(text)
        for one in family.samples
        if one.value or one.name not in {"vidsearch_videos"}
    }


def test_exporter_shows_registry_queue_and_workers(exported: dict[str, Any]) -> None:
    assert exported["vidsearch_up"][""] == 1
    assert exported["vidsearch_broker_up"][""] == 1
    assert exported["vidsearch_queue_messages"][""] == 3
    assert exported["vidsearch_workers"][""] == 1
    assert exported["vidsearch_videos"]["state"] in {"indexed", "queued"}
    assert 90 <= exported["vidsearch_oldest_waiting_seconds"][""] < 120


def test_exporter_counts_what_workers_are_needed_for(
    services: Services, put: Any, worker: Any, now: float
) -> None:
    put("waits", State.REGISTERED)
    put("queued", State.QUEUED)
    put("in work", State.PROCESSING, owner="w@h#1", lease_until=now + 60)
    put("later", State.QUEUED, due_at=now + 3600)
    put("done", State.INDEXED)
    text = generate_latest(metrics_registry(services)).decode()
    assert "\nvidsearch_unfinished 3.0\n" in text
    assert "\nvidsearch_waiting_for_retry 1.0\n" in text


@pytest.mark.parametrize(("way", "waiting"), [("embed", 2), ("copy", 0)])
@pytest.mark.parametrize("background", [True, False])
def test_exporter_counts_what_a_reindex_needs_workers_for(
    services: Services, put: Any, worker: Any, way: Any, waiting: int, background: bool
) -> None:
    for id in ("a", "b"):
        put(id, State.INDEXED)
    run_store(services).begin(
        lambda id, now: reindex_run(id, now, way=way, changes={}, background=background)
    )
    services.fills.add([services.registry.get(id) for id in ("a", "b")], services.open_index())
    text = generate_latest(metrics_registry(services)).decode()
    assert f"\nvidsearch_unfinished {waiting + background}.0\n" in text


def test_exporter_without_an_engine_says_that_it_is_down(
    services: Services,
    worker: Any,
) -> None:
    services.engine.delete_index("vidsearch-videos-registry-000001")
    text = generate_latest(metrics_registry(services)).decode()
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["vidsearch_up 0.0"]


def asked_for(file: Path) -> Iterator[str]:
    """Every expression in a dashboard or in rules."""
    found = yaml.safe_load(file.read_text("utf-8"))
    for panel in found.get("panels", []):
        yield from (target["expr"] for target in panel["targets"])
    for group in found.get("groups", []):
        yield from (rule["expr"] for rule in group["rules"])


@pytest.mark.parametrize(
    "file", ["deploy/grafana/vidsearch.json", "deploy/prometheus/vidsearch.rules.yml"]
)
def test_dashboards_and_alerts_ask_for_metrics_that_there_are(
    file: str,
    services: Services,
    worker: Any,
) -> None:
    families = [*REGISTRY.collect(), *metrics_registry(services).collect()]
    known = {name for one in families for name in _sample_names(one.name, one.type)}
    expressions = [*asked_for(ROOT / file)]
    assert len(expressions) > 9
    named = {name for one in expressions for name in re.findall(r"\bvidsearch_\w+", one)}
    assert named - known == set()
    for expression in expressions:
        assert expression.count("(") == expression.count(")"), expression


def _sample_names(family: str, kind: str) -> list[str]:
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}
    return [f"{family}{suffix}" for suffix in suffixes.get(kind, ("",))]


def test_every_metric_is_in_the_docs(services: Services, worker: Any) -> None:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    families = [*REGISTRY.collect(), *metrics_registry(services).collect()]
    names = {one.name for one in families if one.name.startswith("vidsearch_")}
    assert {name for name in names if f"`{name}" not in page} == set()


# -- spans and logs


@pytest.fixture(scope="module")
def spans() -> InMemorySpanExporter:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    return exporter


def test_attempt_has_a_span_for_each_stage(
    stage: Stage, red: Path, spans: InMemorySpanExporter
) -> None:
    spans.clear()
    stage.add("a", red)
    *parts, whole = spans.get_finished_spans()
    assert (whole.name, whole.attributes) == (
        "vidsearch.video",
        {"vidsearch.video": "a", "vidsearch.outcome": "indexed"},
    )
    assert {"vidsearch.decode", "vidsearch.encode", "vidsearch.write"} <= {p.name for p in parts}
    for part in parts:
        assert part.parent is not None
        assert part.parent.span_id == whole.context.span_id
        assert part.start_time is not None
        assert part.end_time is not None
        assert part.attributes is not None
        took = part.attributes["vidsearch.seconds"]
        assert isinstance(took, float)
        assert took <= (part.end_time - part.start_time) / 1e9 + 1


def test_span_of_a_failed_video_names_the_error_without_a_traceback(
    stage: Stage, tmp_path: Path, spans: InMemorySpanExporter
) -> None:
    spans.clear()
    stage.add("a", tmp_path / "nothing.mp4")
    whole = spans.get_finished_spans()[-1]
    assert whole.status.description == "SourceNotFoundError"
    assert whole.events == ()


def test_log_line_is_json_with_the_id_of_the_video(
    stage: Stage, red: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lines: list[dict[str, Any]] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(JsonFormatter().format(record)))

    logger, handler = logging.getLogger("vidsearch.ingest"), Lines()
    logger.addHandler(handler)
    try:
        with caplog.at_level(logging.INFO, logger="vidsearch.ingest"):
            stage.add("a", red)
            try:
                raise ValueError("outside")
            except ValueError:
                logger.exception("no %s", "video")
    finally:
        logger.removeHandler(handler)
    first, last = lines
    assert (first["video"], first["level"]) == ("a", "INFO")
    assert first["logger"] == "vidsearch.ingest.indexer"
    assert first["message"].startswith("video 'a' indexed: ")
    assert first["time"].endswith("+00:00")
    assert "video" not in last
    assert last["message"] == "no video"
    assert last["error"].endswith("ValueError: outside")
