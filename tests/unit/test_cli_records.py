"""Waiting for videos: what is found afterwards, and what an interrupted person is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from vidsearch.cli.records import wait_for
from vidsearch.config import Settings
from vidsearch.index import create_videos_index
from vidsearch.registry import Registry
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import Services


class Interrupted(Registry):
    def among(self, ids: Sequence[str]) -> list[object]:  # type: ignore[override]
        raise KeyboardInterrupt


@pytest.fixture
def services() -> Services:
    services = Services(Settings())
    vars(services)["engine"] = engine = MemoryEngine()
    create_videos_index(engine, services.settings.index, FakeEncoder().identity)
    return services


def test_interrupted_wait_says_that_the_workers_go_on(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    vars(services)["registry"] = Interrupted(services.engine, index="videos-registry")
    with pytest.raises(KeyboardInterrupt):
        wait_for(services, ["a"], timeout=None)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.endswith(
        "Stopped waiting; the workers go on. `vidsearch status` shows how far they are.\n"
    )


def test_wait_for_no_videos_returns_at_once(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wait_for(services, [], timeout=None) == []
    assert capsys.readouterr().err == ""


def test_videos_that_were_waited_for_are_found(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    refreshed: list[Any] = []
    monkeypatch.setattr(services.engine, "refresh", refreshed.append)
    for id in ("a", "b"):
        services.registry.register(id, uri=f"/{id}.mp4")
    services.registry.complete(services.registry.claim("a", owner="w"), fingerprint="f")
    services.registry.delete("b")
    for ids, index_is_last in ((["b"], False), (["a", "b"], True)):
        assert [record.id for record in wait_for(services, ids, timeout=1)] == ids
        assert (refreshed[-1] == services.settings.index.name) == index_is_last
