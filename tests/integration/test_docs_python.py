"""The Python of the docs that searches, writes or reindexes runs on the real engines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.docs_runs import NODE, run_python
from tests.docs_stage import (
    an_index_of_an_application,
    index_of_videos,
    services_in_force,
    set_settings,
)
from tests.services import WHOLE_WAYS

from vidsearch import VideoSearch
from vidsearch.index import attach_index
from vidsearch.local import SearchNode
from vidsearch.reindex import Step
from vidsearch_tasks import Services, run_store

pytestmark = pytest.mark.integration
on_both = pytest.mark.parametrize("search_node", WHOLE_WAYS, indirect=True, scope="session")
on_elasticsearch = pytest.mark.parametrize(
    "search_node", ["es-9.5.3"], indirect=True, scope="session"
)


@pytest.fixture
def in_force(
    search_node: SearchNode, redis_url: str, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """Of this process, by the environment."""
    sections: dict[str, dict[str, Any]] = {
        "engine": {"url": search_node.url},
        "broker": {"url": redis_url, "queue": f"q-{index_name}"},
        "index": {"name": index_name, "replicas": 0},
        "model": {"encoder": "tests.docs_stage:encoder"},
    }
    set_settings(monkeypatch, sections)
    with services_in_force(monkeypatch) as services:
        yield services


@pytest.fixture
def videos(in_force: Services) -> Services:
    """The services, beside an index with videos."""
    index_of_videos(in_force)
    return in_force


@on_both
def test_searches(videos: Services) -> None:
    names: dict[str, Any] = {}
    run_python("docs/search.md", NODE, names)
    assert isinstance(names["videos"], VideoSearch)
    assert names["hit"].id
    names["videos"].close()


@on_elasticsearch
def test_engines_bulk_writes_and_clients(
    videos: Services, search_node: SearchNode, capsys: pytest.CaptureFixture[str]
) -> None:
    own = {
        '"videos"': repr(videos.settings.index.name),
        "https://search.example:9200": search_node.url,
    }
    names: dict[str, Any] = {}
    run_python("docs/engines.md", NODE, names, changed=own)
    info, _, written, *_ = capsys.readouterr().out.splitlines()
    assert info == f"elasticsearch {search_node.version} at {search_node.url}"
    assert written.startswith("1 0 1"), "written, retried, requests"
    names["engine"].close()


@on_both
def test_retrievers_of_frameworks(videos: Services, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    run_python("docs/frameworks.md", NODE, names)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 * 5 * 2, "title and description of five moments, three times"
    assert names["loaded"].to_dict() == names["pipeline"].to_dict()
    names["videos"].close()


@on_elasticsearch
@pytest.mark.parametrize("block", [1, 2])
def test_reindexes(videos: Services, block: int, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    run_python("docs/reindex.md", NODE, names, block)
    (run,) = run_store().all()
    assert run.id == names["run"].id
    assert run.step is (Step.PLANNED if block == 1 else Step.SWAPPED)
    assert capsys.readouterr().out == ("" if block == 1 else "swapped\n")


@on_elasticsearch
def test_reindexes_an_index_of_an_application(in_force: Services) -> None:
    services = in_force
    name, identity = services.settings.index.name, services.encoder.identity
    an_index_of_an_application(services.engine, f"{name}-own")
    services.engine.update_aliases([{"add": {"index": f"{name}-own", "alias": name}}])
    attach_index(services.engine, services.settings.index, identity, uri_field="media.url")
    run_python("docs/reindex.md", NODE, {}, 3)
    (run,) = run_store().all()
    assert (run.step, run.attached) == (Step.SWAPPED, True)
