"""Whose fault a search is that fails: the client's (422), or the server's (503, and in its log)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.page_stage import Page, open_page

from vidsearch.engines.errors import RequestRejectedError

PAGE = ["/?q=red&mode=vector", "/?q=red&mode=vector&sort=shot", "/?q=red&mode=vector&f.tags=sea"]
API = [
    f"/api/search?text=red&mode=vector{more}"
    for more in ("", "&facets=tags", "&sort=shot", "&source=title", "&highlight=title")
]


@pytest.fixture
def own() -> Iterator[Page]:
    with open_page() as opened:
        yield opened


def _statuses(page: Page, paths: list[str]) -> dict[str, int]:
    return {path: page.get(path).status_code for path in paths}


def test_an_index_whose_vectors_are_lost_is_the_servers_fault(
    own: Page, caplog: pytest.LogCaptureFixture
) -> None:
    for id in "rgbw":
        stored = own.engine.get("videos", id)
        assert stored is not None
        video = {name: value for name, value in stored.source["video"].items() if name != "vector"}
        own.engine.put("videos", id, {**stored.source, "video": {**video, "segments": []}})
    paths = [*PAGE, *API]
    assert _statuses(own, paths) == dict.fromkeys(paths, 503)
    assert caplog.text.count("have lost their vectors") == len(paths)


def test_an_alias_of_two_indices_is_the_servers_fault(
    own: Page, caplog: pytest.LogCaptureFixture
) -> None:
    engine = own.engine
    body = {"mappings": engine.mapping("videos-000001"), "aliases": {"videos": {}}}
    engine.create_index("videos-000002", body)
    for id in "rgbw":  # by which a search sees that the alias is not what it was
        stored = engine.get("videos-000001", id)
        assert stored is not None
        engine.put("videos-000002", id, stored.source)
        engine.delete("videos-000001", id)
    paths = [*PAGE, *API]
    assert _statuses(own, paths) == dict.fromkeys(paths, 503)
    assert caplog.text.count("stands for 2 indices") == len(paths)


def test_what_the_engine_refuses_is_the_fault_of_who_chose_it(
    own: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(index: str, bodies: Any) -> Any:
        raise RequestRejectedError("http://engine.internal:9200 rejected the request (400)")

    monkeypatch.setattr(own.engine, "msearch", refuse)
    by_server, by_client = [PAGE[0], API[0]], [*PAGE[1:], *API[1:]]
    assert _statuses(own, by_server) == dict.fromkeys(by_server, 503)
    assert _statuses(own, by_client) == dict.fromkeys(by_client, 422)
    assert "internal" not in own.get(API[1]).text
