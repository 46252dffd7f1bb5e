"""Videos and pictures over HTTP: ranges, what may be seen, and the way to other servers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest
from tests.page_stage import Page, open_page, picture

from vidsearch.media import ThumbnailStore, open_source
from vidsearch.registry import ErrorRecord, State
from vidsearch.web.media import is_shown_origin

CONTENT = bytes(range(256)) * 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("videos")


@pytest.fixture(scope="module")
def page(folder: Path) -> Iterator[Page]:
    sources = {"roots": [folder / "in"], "hosts": ["media.example.com", "secret.example.com"]}
    sources["headers"] = {"secret.example.com": {"Authorization": "Bearer x"}}  # type: ignore[assignment]
    web = {"media_origins": ["https://*.example.com"]}
    with open_page(sources=sources, web=web, thumbnails={"url": str(folder / "pictures")}) as it:
        (folder / "in").mkdir()
        yield it


@pytest.fixture
def video(page: Page, folder: Path) -> str:
    path = folder / "in" / "a b.mp4"
    path.write_bytes(CONTENT)
    page.put_record("a/b", path)
    return "/video/a%2Fb"


def test_a_video_is_sent_whole_or_in_part(page: Page, video: str) -> None:
    whole = page.get(video)
    assert (whole.status_code, whole.content) == (200, CONTENT)
    assert (whole.headers["content-type"], whole.headers["accept-ranges"]) == ("video/mp4", "bytes")
    part = page.client.get(video, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, CONTENT[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(CONTENT)}"
    rest = page.client.get(video, headers={"range": "bytes=2000-"})
    assert rest.content == CONTENT[2000:]


def test_an_id_with_a_line_break_or_blanks_is_another_one(page: Page, folder: Path) -> None:
    ids = {"line": "%0Aline%0A", "a\nb\n": "a%0Ab%0A", " blank ": "%20blank%20"}
    for at, id in enumerate(ids):
        path = folder / "in" / f"{at}.mp4"
        path.write_bytes(id.encode())
        page.put_record(id, path)
    for id, quoted in ids.items():
        status = 404 if id == "line" else 200
        shown = page.client.get(f"/api/videos/{quoted}")
        assert shown.status_code == page.get(f"/video/{quoted}").status_code == status
        if status == 200:
            assert shown.json()["id"] == id
            assert page.get(f"/video/{quoted}").content == id.encode()
    assert page.client.get("/api/videos/a%0Ab").status_code == 404


@pytest.mark.parametrize(
    ("asked", "ranges"),
    [
        ("bytes=0-0", [(0, 0)]),
        ("BYTES=5-9000", [(5, 2047)]),
        ("bytes=-48", [(2000, 2047)]),
        ("bytes=-9000", [(0, 2047)]),
        ("bytes=0-1, 9000-, 2047-", [(0, 1), (2047, 2047)]),
        ("bytes=,0-1", [(0, 1)]),
        # What is malformed is passed over, as RFC 9110 has it.
        ("items=0-1", None),
        ("bytes=", None),
        ("bytes", None),
        ("bytes=5-3", None),
        ("bytes=0-1,5-3", None),
        ("bytes=abc", None),
        ("bytes=-", None),
        ("bytes=0-1-2", None),
        ("bytes=0-1;2-3", None),
        (f"bytes={'9' * 5000}-", None),
    ],
)
def test_the_ranges_that_lie_in_the_file_are_sent(
    page: Page, video: str, asked: str, ranges: list[tuple[int, int]] | None
) -> None:
    answer = page.client.get(video, headers={"range": asked})
    if ranges is None:
        assert (answer.status_code, answer.content) == (200, CONTENT)
    elif len(ranges) == 1:
        ((first, last),) = ranges
        assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1])
        assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(CONTENT)}"
    else:
        assert answer.status_code == 206
        sent = re.findall(rb"content-range: bytes (\d+)-(\d+)/2048", answer.content.lower())
        assert [(int(first), int(last)) for first, last in sent] == ranges


@pytest.mark.parametrize("asked", ["bytes=2048-", "bytes=-0", "bytes=9000-9001,3000-"])
def test_ranges_behind_the_end_are_a_problem_that_tells_the_size(
    page: Page, video: str, asked: str
) -> None:
    answer = page.client.get(video, headers={"range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */2048"
    assert answer.headers["content-type"] == "application/problem+json"
    assert "2048 bytes" in answer.json()["detail"]


def test_a_file_that_was_replaced_is_sent_anew_and_the_same_one_is_not(
    page: Page, video: str, folder: Path
) -> None:
    first = page.client.get(video)
    assert first.headers["cache-control"] == "private, no-cache"
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    for known in ({"if-none-match": etag}, {"if-modified-since": modified}):
        again = page.client.get(video, headers={**known, "range": "bytes=0-1"})
        assert (again.status_code, again.content) == (304, b"")
        assert (again.headers["etag"], again.headers["cache-control"]) == (
            etag,
            "private, no-cache",
        )
    for if_range, status in ((etag, 206), (modified, 206), ('"other"', 200)):
        headers = {"if-range": if_range, "range": "bytes=0-1"}
        assert page.client.get(video, headers=headers).status_code == status
    headers = {"if-range": '"other"', "range": "bytes=9000-"}
    assert page.client.get(video, headers=headers).status_code == 200
    assert page.client.head(video, headers={"range": "bytes=9000-"}).status_code == 200
    for odd in ("soon", "Thu, 01 Jan 1970 00:00:00 +9999999999999"):
        assert page.client.get(video, headers={"if-modified-since": odd}).status_code == 200
    (folder / "in" / "a b.mp4").write_bytes(b"another")
    os.utime(folder / "in" / "a b.mp4", (0, 0))  # an older file, as `cp -p` leaves it
    known = {"if-none-match": etag, "if-modified-since": modified}
    anew = page.client.get(video, headers={**known, "range": "bytes=0-1"})
    assert (anew.status_code, anew.content) == (206, b"an")
    anew = page.client.get(video, headers={"if-range": etag, "range": "bytes=0-1"})
    assert (anew.status_code, anew.content) == (200, b"another")


def test_no_header_names_the_file(page: Page, video: str) -> None:
    headers = str(page.get(video).headers)
    assert "a b" not in headers
    assert "in/" not in headers


def test_a_file_is_never_sent_as_a_page(page: Page, folder: Path) -> None:
    path = folder / "in" / "page.html"
    path.write_text("<script>alert(1)</script>")
    page.put_record("page", path)
    answer = page.get("/video/page")
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"indexed_at": None, "state": State.FAILED}, 404),
        ({"indexed_at": None, "state": State.QUEUED}, 404),
        ({"state": State.DELETED}, 404),
        ({"state": State.PROCESSING, "content": "0" * 64}, 200),
    ],
)
def test_only_what_was_ingested_is_sent(
    page: Page, folder: Path, values: dict[str, Any], status: int
) -> None:
    path = folder / "in" / "notes.txt"
    path.write_text("secret")
    page.put_record("notes", path, **values)
    assert page.get("/video/notes").status_code == status


def test_a_file_in_the_place_of_an_ingested_one_is_sent_once_it_is_ingested(
    page: Page, video: str, folder: Path
) -> None:
    notes = folder / "in" / "notes.txt"
    notes.write_text("secret")
    registry = page.services.registry
    assert page.get(video).status_code == 200
    registry.register("a/b", uri=str(notes))
    assert page.get(video).status_code == 404
    registry.fail(registry.claim("a/b", owner="w"), error=ErrorRecord("NotAVideo", "decode", "no"))
    assert page.get(video).status_code == 404


def test_a_video_that_is_embedded_anew_is_sent_meanwhile(page: Page, folder: Path) -> None:
    path = folder / "in" / "r.mp4"
    path.write_bytes(CONTENT)
    page.put_record("r", path)
    page.services.registry.reopen("r", forget=True)
    assert page.get("/video/r").status_code == 404, "its document is of another file"
    document = page.engine.get("videos-000001", "r")
    assert document is not None
    video = {**document.source["video"], "uri": str(path)}
    page.engine.put("videos-000001", "r", {**document.source, "video": video})
    assert page.get("/video/r").status_code == 200


@pytest.mark.parametrize("id", ["nobody", "../in/a", "%2e%2e%2fin", "/etc/passwd"])
def test_an_id_that_is_not_registered_is_not_found(page: Page, id: str) -> None:
    assert page.get(f"/video/{id}").status_code == 404


def test_a_file_outside_of_the_roots_is_refused_and_not_named(page: Page, folder: Path) -> None:
    (folder / "out.mp4").write_bytes(b"out")
    page.put_record("out", folder / "out.mp4")
    (folder / "in" / "link.mp4").symlink_to(folder / "out.mp4")
    page.put_record("link", folder / "in" / "link.mp4")
    page.put_record("away", folder / "away.mp4")
    for id in ("out", "link", "away"):
        answer = page.get(f"/video/{id}")
        assert answer.status_code == 422
        assert str(folder) not in answer.text


def test_a_file_that_is_gone_is_told(page: Page, folder: Path) -> None:
    page.put_record("gone", folder / "in" / "gone.mp4")
    answer = page.get("/video/gone")
    assert answer.status_code == 404
    assert "The file of video &#39;gone&#39; is not there any more." in answer.text
    assert str(folder) not in answer.text


def test_a_video_of_a_listed_server_is_sent_there(page: Page) -> None:
    page.put_record("web", "https://media.example.com/a%20b.mp4?signature=1#x")
    answer = page.get("/video/web")
    assert answer.status_code == 307
    assert answer.headers["location"] == "https://media.example.com/a%20b.mp4?signature=1"


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("http://media.example.com/a.mp4", 403),  # another origin than the one listed
        ("https://other.example.com/a.mp4", 422),  # not in sources.hosts
        ("https://secret.example.com/a.mp4", 422),  # takes a header
        ("https://me:word@media.example.com/a.mp4", 422),
    ],
)
def test_a_url_that_no_browser_may_be_told_is_kept(page: Page, uri: str, status: int) -> None:
    page.put_record("kept", uri)
    answer = page.get("/video/kept")
    assert answer.status_code == status
    assert "location" not in answer.headers
    assert "example.com/a.mp4" not in answer.text
    assert "word" not in answer.text.replace("password", "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.example.com/x", True),
        ("https://example.com/x", False),
        ("https://evilexample.com/x", False),
        ("http://a.example.com/x", False),
        ("https://a.example.com:8443/x", False),
        ("http://localhost:9000/x", True),
        ("http://localhost/x", False),
    ],
)
def test_origins_are_compared_by_scheme_host_and_port(url: str, shown: bool) -> None:
    assert is_shown_origin(url, ["https://*.example.com", "http://localhost:9000"]) is shown


def test_a_bucket_is_read_by_a_signed_url(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("s3fs")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "word")
    with open_source("s3://videos/a b.mp4") as source:
        url = source.to_play(seconds=600)
    assert isinstance(url, str)
    assert "/a%20b.mp4?" in url
    assert "word" not in url
    assert "X-Amz-Expires=600" in url or "Expires=" in url


def test_a_picture_is_sent_by_its_key_and_kept_by_the_browser(page: Page, folder: Path) -> None:
    store = ThumbnailStore(str(folder / "pictures"))
    key = store.put(picture("red", format="WEBP"))
    answer = page.get(f"/thumbnail/{key}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "key",
    [
        "ab/nothing.webp",
        "../in/a%20b.mp4",
        "..%2fin%2fa.mp4",
        f"ab/{'a' * 64}.webp",
        "candidates/x",
    ],
)
def test_what_is_no_key_of_a_picture_is_not_found(page: Page, key: str) -> None:
    assert page.get(f"/thumbnail/{key}").status_code == 404


def test_a_store_of_pictures_that_hangs_holds_up_no_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked, goes_on = Semaphore(0), Event()

    def hang(*_: Any) -> None:
        asked.release()
        goes_on.wait(30)

    monkeypatch.setattr(ThumbnailStore, "read", hang)
    with (
        open_page(thumbnails={"url": str(tmp_path)}, web={"timeout": 5}) as page,
        ThreadPoolExecutor(40) as browsers,
    ):
        pictures = [browsers.submit(page.get, "/thumbnail/a") for _ in range(40)]
        for _ in range(6):
            asked.acquire(timeout=30)
        try:
            assert page.get("/?q=red").status_code == 200
        finally:
            goes_on.set()
        assert {one.result().status_code for one in pictures} == {404}


def test_a_file_that_cannot_be_reached_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    goes_on = Event()

    def hang(*_: Any) -> None:
        goes_on.wait(60)

    monkeypatch.setattr(ThumbnailStore, "read", hang)
    monkeypatch.setattr("vidsearch.web.media._place", hang)
    with open_page(thumbnails={"url": str(tmp_path)}, web={"timeout": 0.3}) as page:
        try:
            for path in ("/thumbnail/a", "/video/r"):
                answer = page.get(path)
                assert answer.status_code == 503
                assert "took longer than 0.3 seconds" in answer.text
        finally:
            goes_on.set()
