"""Hosts that do not answer are left alone, but for a probe a minute."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

from vidsearch.errors import (
    BackendAccessDeniedError,
    SourceNotFoundError,
    SourcePausedError,
    SourceUnavailableError,
    TemporaryFolderError,
)
from vidsearch.ingest import SourceCircuit
from vidsearch.ingest.source_circuit import source_host
from vidsearch.registry import Notes, Operations
from vidsearch.testing.memory_engine import MemoryEngine

URI = "https://cdn.example.com:8443/a.mp4"


class Stage:
    def __init__(self, engine: MemoryEngine | None = None) -> None:
        self.now = 1_000_000.0
        self.operations = Operations(
            Notes(engine or MemoryEngine(), index="operations"), clock=lambda: self.now
        )
        self.asked = 0

    def ask(self, error: Exception | None = None, *, uri: str = URI) -> None:
        """As a worker asks for a video, and is answered with an error."""
        circuit = SourceCircuit(self.operations, clock=lambda: self.now)
        with circuit.watch(uri)():
            self.asked += 1
            if error:
                raise error

    def fail(self, times: int) -> None:
        for _ in range(times):
            with suppress(SourceUnavailableError):
                self.ask(SourceUnavailableError("timed out"))


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_host_that_failed_three_times_in_a_row_costs_a_probe_a_minute(stage: Stage) -> None:
    stage.fail(50)
    assert stage.asked == 3
    with pytest.raises(
        SourcePausedError, match=r"^cdn\.example\.com:8443 did not .*timed out"
    ) as e:
        stage.ask()
    assert 0 < e.value.seconds <= 60
    (pause,) = stage.operations.pauses()
    assert pause.key == "source:cdn.example.com:8443"
    for minute in range(1, 4):
        stage.now += 61
        stage.fail(50)
        assert stage.asked == 3 + minute


def test_host_that_answers_a_probe_is_asked_again_for_all(stage: Stage) -> None:
    stage.fail(3)
    stage.now += 61
    stage.ask()
    assert stage.operations.pauses() == []
    for _ in range(10):
        stage.ask()
    assert stage.asked == 14


def test_one_broken_video_among_good_ones_pauses_nothing(stage: Stage) -> None:
    for _ in range(10):
        stage.fail(2)
        stage.ask()
    assert stage.asked == 30


@pytest.mark.parametrize("error", [SourceNotFoundError("404"), TemporaryFolderError("full")])
def test_host_is_not_at_fault_for_a_missing_video_or_a_full_disk(
    stage: Stage, error: Exception
) -> None:
    stage.fail(2)
    for _ in range(5):
        with pytest.raises(type(error)):
            stage.ask(error)
    assert stage.asked == 7


def test_hosts_are_paused_one_by_one(stage: Stage) -> None:
    stage.fail(3)
    stage.ask(uri="https://cdn.example.com/a.mp4")
    stage.ask(uri="s3://cdn.example.com:8443x/a.mp4")
    with pytest.raises(SourcePausedError):
        stage.ask(uri="https://me:secret@CDN.example.com:8443/b.mp4")


def test_hosts_are_asked_where_nothing_can_be_noted() -> None:
    class Forbidden(MemoryEngine):
        def get(self, index: str, id: str, **options: Any) -> Any:
            raise BackendAccessDeniedError("403")

    stage = Stage(Forbidden())
    stage.fail(9)
    assert stage.asked == 9


@pytest.mark.parametrize(
    ("uri", "host"),
    [
        ("/mnt/a.mp4", None),
        ("file:///mnt/a.mp4", None),
        ("http://[::1", None),
        ("https://user:pw@Host/a.mp4", "host"),
        ("s3://bucket/a.mp4", "bucket"),
        ("asset:17", "asset"),
    ],
)
def test_host_of_a_uri(uri: str, host: str | None) -> None:
    assert source_host(uri) == host
