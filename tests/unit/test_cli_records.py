"""Waiting for videos: what is found afterwards, and what an interrupted person is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from vidsearch.cli.records import wait_for
from vidsearch.config import Settings
from vidsearch.errors import BackendUnavailableError
from vidsearch.index import create_videos_index
from vidsearch.registry import Registry, State, VideoRecord
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import Services


class Interrupted(Registry):
    def among(self, ids: Sequence[str]) -> list[object]:  # type: ignore[override]
        raise KeyboardInterrupt


class Away(Registry):
    """An engine that answers again at the fourth look."""

    looks = 0

    def among(self, ids: Iterable[str]) -> Iterator[VideoRecord]:
        self.looks += 1
        if self.looks < 4:
            raise BackendUnavailableError("http://engine:9200 does not answer")
        return super().among(ids)


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


def test_wait_outlasts_an_engine_that_is_away_and_says_so_once(
    services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("vidsearch.cli.records._LONGEST_PAUSE", 0.0)
    vars(services)["registry"] = registry = Away(
        services.engine, index=services.settings.index.registry
    )
    registry.register("a", uri="/a.mp4")
    registry.complete(registry.claim("a", owner="w"), fingerprint="f")
    (record,) = wait_for(services, ["a"], timeout=None)
    assert (record.state, registry.looks) == (State.INDEXED, 4)
    said = capsys.readouterr().err
    assert said.count("Still waiting, as the workers do: http://engine:9200 does not answer") == 1


def test_wait_ends_at_its_time_where_the_engine_stays_away(services: Services) -> None:
    vars(services)["registry"] = registry = Away(
        services.engine, index=services.settings.index.registry
    )
    with pytest.raises(BackendUnavailableError):
        wait_for(services, ["a"], timeout=-1)
    assert registry.looks == 1


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
