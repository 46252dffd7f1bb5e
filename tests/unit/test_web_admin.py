"""The admin tab as a browser gets it, on an index in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from tests.page_stage import TOKEN, Page, open_page
from tests.reindex_runs import reindex_run
from tests.waiting import until

from vidsearch.errors import BackendUnavailableError
from vidsearch.registry import ErrorRecord, Pause, State, VideoRecord
from vidsearch.reindex import Step
from vidsearch.web.pages.folders import without_folders
from vidsearch_tasks import (
    BrokerState,
    IngestionStatus,
    Services,
    ingestion_status,
    overview,
    retry_videos,
)


@pytest.fixture
def own() -> Iterator[Page]:
    with open_page() as opened:
        yield opened


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> None:
    state = BrokerState("redis://h", "vidsearch", 3, ())
    monkeypatch.setattr(overview, "broker_state", lambda *_, **__: state)


def _fail(page: Page, id: str, message: str) -> None:
    error = ErrorRecord("VideoOpenError", "decode", message)
    page.put_record(id, "/srv/private/x.mp4", state=State.FAILED, indexed_at=None, error=error)


@pytest.mark.usefixtures("broker")
def test_admin_shows_states_and_causes_without_folders(own: Page) -> None:
    own.put_record("r", "/srv/private/r.mp4")
    _fail(own, "x", "/srv/private/x.mp4 is not a video <b>")
    html = own.get("/admin").text
    tiles = dict(re.findall(r"<dt>(\w+)</dt><dd>([\d,]+)</dd>", html))
    assert (tiles["indexed"], tiles["failed"], tiles["dead"]) == ("1", "1", "0")
    assert "…/x.mp4 is not a video &lt;b&gt;" in html
    assert "/srv/private" not in html
    assert "This server only reads" in html
    assert "/admin/retry" not in html


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("/srv/private/x.mp4 is no video", "…/x.mp4 is no video"),
        ("no such file: 'file:///srv/private/x.mp4'", "no such file: '…/x.mp4'"),
        ("file://localhost/srv/x.mp4, at=/srv/a/x.mp4", "…/x.mp4, at=…/x.mp4"),
        ("/srv/my own videos/part 2/x.mp4 has 3/4 of it", "…/x.mp4 has 3/4 of it"),
        ("/srv/a;b,c/x.mp4: (/srv/d/y z.mp4)", "…/x.mp4: (…/y z.mp4)"),
        ("https://host/a/x.mp4 s3://b/c/x.mp4 </b>", "https://host/a/x.mp4 s3://b/c/x.mp4 </b>"),
        ("/" + "a/" * 5000 + " ", "…/a/ "),
        ("/" + "a b/" * 5000 + " ", "…/a b/ "),
        ("a/" * 5000 + "x", "a/" * 5000 + "x"),
        ("/," * 50_000 + " C:/:" * 50_000, "/," * 50_000 + " C:/:" * 50_000),
        ("/srv/it's/a [b]/x.mp4 '/srv/my (own) videos/y.mp4'", "…/x.mp4 '…/y.mp4'"),
        ("videos/2024/ab.mp4 is no video", "…/ab.mp4 is no video"),
        (
            "no such file: '../in/a.mp4', either/or video/mp4",
            "no such file: '…/a.mp4', either/or video/mp4",
        ),
        ("C:\\my videos\\a.mp4 (D:/b/c.mp4)", "…/a.mp4 (…/c.mp4)"),
        (repr("C:\\videos\\a.mp4") + r" \\server\share\b.mp4", "'…/a.mp4' …/b.mp4"),
    ],
    ids=(
        *("path", "uri", "others", "spaces", "signs", "urls", "long", "long with spaces"),
        *("long without a file", "long of signs", "brackets", "relative"),
        *("above", "drive", "network"),
    ),
)
def test_a_message_keeps_the_name_of_a_file_without_its_folders(message: str, shown: str) -> None:
    assert without_folders(message) == shown


@pytest.mark.usefixtures("broker")
def test_admin_warns_of_an_index_without_vectors(
    own: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def status(*, services: Services) -> IngestionStatus:
        return replace(ingestion_status(services=services), warning="films took its place")

    monkeypatch.setattr("vidsearch_tasks.ingestion_status", status)
    assert "films took its place" in own.get("/admin").text


@pytest.mark.usefixtures("broker")
def test_admin_shows_pauses_and_reindex_runs(own: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    error = ErrorRecord("SourceUnavailableError", "fetch", "/srv/private/x.mp4 <timed out>")
    paused = Pause("source:videos.example.com", 1.0, 2.0, 7, "w", error)
    run = reindex_run(
        changes={"quantization": "int8_hnsw", "model": True},
        by="me",
        step=Step.COPYING,
        total=2000,
        done=1000,
        error=error,
    )

    def status(*, services: Services) -> IngestionStatus:
        return replace(ingestion_status(services=services), pauses=[paused])

    monkeypatch.setattr("vidsearch_tasks.ingestion_status", status)
    monkeypatch.setattr("vidsearch_tasks.run_store", lambda _: SimpleNamespace(all=lambda: [run]))
    html = own.get("/admin").text
    rows = [re.findall(r"<td[^>]*>(?:<p>)?(.*?)(?:</p>)?</td>", row) for row in html.split("<tr>")]
    why = "SourceUnavailableError (fetch): …/x.mp4 &lt;timed out&gt;"
    (pause,) = [row for row in rows if row and row[0] == "source:videos.example.com"]
    assert (pause[1], pause[4]) == ("7", why)
    assert pause[2].endswith(" ago")
    (shown,) = [row for row in rows if row and row[0] == "3"]
    assert shown[1:] == [
        "copying",
        "videos-000001",
        "videos-000002",
        "quantization int8_hnsw, model",
        "1,000 of 2,000",
        "1970-01-01 00:00 UTC",
        why,
    ]


@pytest.mark.usefixtures("broker")
def test_a_server_that_only_reads_retries_nothing(own: Page) -> None:
    _fail(own, "x", "broken")
    answer = own.post("/admin/retry", data={"error": "VideoOpenError"})
    assert answer.status_code == 403
    assert own.services.registry.get("x").state is State.FAILED


@pytest.mark.usefixtures("broker")
def test_videos_are_retried_by_cause_where_writes_are_allowed() -> None:
    web = {"token": TOKEN, "allow_writes": True}
    with open_page(web=web, broker={"url": "memory://"}) as writing:
        _fail(writing, "x", "broken")
        _fail(writing, "y", "broken")
        writing.put_record("r", "/srv/r.mp4")
        assert writing.post("/admin/retry", data={"error": "VideoOpenError"}).status_code == 401
        writing.post("/login", data={"token": TOKEN})
        assert 'action="/admin/retry"' in writing.get("/admin").text
        wrong = writing.post("/admin/retry", data={})
        assert wrong.status_code == 422
        assert "<h1>The videos cannot be queued again</h1>" in wrong.text
        answer = writing.post("/admin/retry", data={"error": "VideoOpenError"})
        assert answer.headers["location"] == "/admin?retried=2"
        states = {id: writing.services.registry.get(id).state for id in "xyr"}
        assert states == {"x": State.QUEUED, "y": State.QUEUED, "r": State.INDEXED}
        assert "2 videos queued again" in writing.get("/admin?retried=2").text
        assert "still being queued again" in writing.get("/admin?retried=some").text


@pytest.mark.usefixtures("broker")
def test_a_retry_that_fails_may_have_changed_the_state_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def retry_then_fail(ids: list[str], **options: Any) -> list[VideoRecord]:
        retry_videos(ids, **options)
        raise BackendUnavailableError("away")

    monkeypatch.setattr("vidsearch_tasks.retry_videos", retry_then_fail)
    monkeypatch.setattr("vidsearch.web.latest._AGE", float("inf"))
    web = {"token": TOKEN, "allow_writes": True}
    with open_page(web=web, broker={"url": "memory://"}) as writing:
        _fail(writing, "x", "broken")
        writing.post("/login", data={"token": TOKEN})
        assert 'value="VideoOpenError"' in writing.get("/admin").text
        assert writing.post("/admin/retry", data={"error": "VideoOpenError"}).status_code == 503
        assert 'value="VideoOpenError"' not in writing.get("/admin").text


@pytest.mark.usefixtures("broker")
def test_a_second_click_on_retry_waits_for_the_first_and_tells_its_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    retried: list[list[str]] = []

    def retry_late(ids: list[str], **options: Any) -> list[VideoRecord]:
        retried.append(ids)
        orders = writing.context._orders
        until(lambda: orders.taken == 2 or len(retried) > 1, what="the second click")
        return retry_videos(ids, **options)

    monkeypatch.setattr("vidsearch_tasks.retry_videos", retry_late)
    web = {"token": TOKEN, "allow_writes": True}
    with open_page(web=web, broker={"url": "memory://"}) as writing:
        _fail(writing, "x", "broken")
        writing.post("/login", data={"token": TOKEN})

        def click(_: int) -> Any:
            return writing.post("/admin/retry", data={"error": "VideoOpenError"})

        with ThreadPoolExecutor(2) as hands:
            answers = list(hands.map(click, range(2)))
        there = [answer.headers.get("location", answer.text) for answer in answers]
        assert there == ["/admin?retried=1"] * 2
        assert retried == [["x"]]


@pytest.mark.usefixtures("broker")
def test_a_retry_some_time_later_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    web = {"token": TOKEN, "allow_writes": True}
    with open_page(web=web, broker={"url": "memory://"}) as writing:
        _fail(writing, "x", "broken")
        writing.post("/login", data={"token": TOKEN})

        def retry() -> str:
            answer = writing.post("/admin/retry", data={"error": "VideoOpenError"})
            return str(answer.headers["location"])

        # Of a double click the second answer is shown, though nothing is left to queue by then.
        monkeypatch.setattr("vidsearch.web.pages.admin._DOUBLE_CLICK", 60.0)
        assert [retry(), retry()] == ["/admin?retried=1"] * 2
        monkeypatch.setattr("vidsearch.web.pages.admin._DOUBLE_CLICK", 0.0)
        assert retry() == "/admin?retried=0"
        assert "No video with that cause was left" in writing.get("/admin?retried=0").text


def _goes_on(page: Page) -> bool:
    """Whether a retry goes on after its answer; else its thread has not begun in time."""
    answer = page.post("/admin/retry", data={"error": "VideoOpenError"})
    return bool(answer.headers.get("location") == "/admin?retried=some")


@pytest.mark.usefixtures("broker")
def test_a_retry_of_many_videos_goes_on_after_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    goes_on = Event()

    def retry_late(ids: list[str], *, listed: bool, services: Services) -> list[VideoRecord]:
        goes_on.wait(60)
        return retry_videos(ids, listed=listed, services=services)

    monkeypatch.setattr("vidsearch_tasks.retry_videos", retry_late)
    web = {"token": TOKEN, "allow_writes": True, "timeout": 0.3}
    with open_page(web=web, broker={"url": "memory://"}) as writing:
        _fail(writing, "x", "broken")
        writing.post("/login", data={"token": TOKEN})
        try:
            for _ in range(2):  # the second one waits as long for the first
                until(lambda: _goes_on(writing), what="a thread to begin in time")
            answer = writing.post("/admin/retry", data={"error": "SourceNotFoundError"})
            assert answer.status_code == 503, "nothing goes on of what has not begun"
            assert writing.services.registry.get("x").state is State.FAILED
        finally:
            goes_on.set()
        registry = writing.services.registry
        until(lambda: registry.get("x").state is State.QUEUED, what="the video to be queued")


@pytest.mark.usefixtures("broker")
def test_a_retry_that_fails_after_the_answer_is_told_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    goes_on = Event()

    def fail_late(ids: list[str], **options: Any) -> list[VideoRecord]:
        goes_on.wait(60)
        raise BackendUnavailableError("the broker is away")

    monkeypatch.setattr("vidsearch_tasks.retry_videos", fail_late)
    web = {"token": TOKEN, "allow_writes": True, "timeout": 0.3}
    with open_page(web=web, broker={"url": "memory://"}) as writing:
        _fail(writing, "x", "broken")
        writing.post("/login", data={"token": TOKEN})
        try:
            until(lambda: _goes_on(writing), what="a thread to begin in time")
        finally:
            goes_on.set()
        told = "not all videos with 'VideoOpenError' are queued again: the broker is away"
        until(lambda: told in caplog.text, what="the log to tell of it")


@pytest.mark.usefixtures("broker")
def test_admin_without_a_registry_says_so(own: Page) -> None:
    own.engine.delete_index(f"{own.services.settings.index.registry}-000001")
    answer = own.get("/admin")
    assert answer.status_code == 503
    assert "The state of ingestion cannot be read" in answer.text
    assert 'aria-current="page">Admin' in answer.text
