"""Waiting for videos: what an interrupted person is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from vidsearch.cli.records import wait_for
from vidsearch.registry import Registry
from vidsearch.testing.memory_engine import MemoryEngine


class Interrupted(Registry):
    def among(self, ids: Sequence[str]) -> list[object]:  # type: ignore[override]
        raise KeyboardInterrupt


@pytest.fixture
def registry() -> Registry:
    return Interrupted(MemoryEngine(), index="videos-registry", lease_seconds=60, max_attempts=3)


def test_interrupted_wait_says_that_the_workers_go_on(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        wait_for(registry, ["a"], timeout=None)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(
        "Stopped waiting; the workers go on. `vidsearch status` shows how far they are.\n"
    )


def test_wait_for_no_videos_returns_at_once(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wait_for(registry, [], timeout=None) == []
    assert capsys.readouterr().err == ""
