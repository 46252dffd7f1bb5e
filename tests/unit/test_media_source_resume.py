"""Downloads that break off: resumed where the rest is of the same video, and whole at the end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.http_stub import Asked, Reply, endless, http_stub

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    SourceForbiddenError,
    SourceUnavailableError,
    VideoTooLargeError,
)
from vidsearch.media.sources.temporary import BoundedFile
from vidsearch.media.sources.timeouts import Timeouts
from vidsearch.media.sources.web import download

pytest.importorskip("httpcore")

_HERE = SourceSettings(private_hosts=("127.0.0.1",), max_bytes=100_000)
_PATIENT = Timeouts(pause=0.01)
"""Where no time is to be over, however late this machine's own server answers."""
_CONTENT = bytes(range(256)) * 300


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[BoundedFile]:
    with BoundedFile(tmp_path / "video", limit=_HERE.max_bytes, where="the video") as file:
        yield file


class Breaking:
    """A server whose connection breaks after every third of the video."""

    def __init__(self, headers: dict[str, str], *, ranges: bool = True, step: int = 30_000) -> None:
        self.headers = headers
        self.ranges = ranges
        self.step = step
        self.content = _CONTENT

    def __call__(self, asked: Asked) -> Reply:
        begin = 0
        wanted = asked.headers.get("Range")
        if wanted and self.ranges and asked.headers["If-Range"] in self.headers.values():
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
        rest = self.content[begin:]
        headers = {**self.headers, "content-length": str(len(rest))}
        if begin:
            size = len(self.content)
            headers["content-range"] = f"bytes {begin}-{size - 1}/{size}"
        return Reply(206 if begin else 200, headers=headers, pieces=[rest[: self.step]])


def test_broken_download_is_resumed(copy: BoundedFile, tmp_path: Path) -> None:
    with http_stub(Breaking({"etag": '"one"'})) as stub:
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    assert [one.headers.get("Range") for one in stub.asked] == [
        None,
        "bytes=30000-",
        "bytes=60000-",
    ]
    assert {one.headers.get("If-Range") for one in stub.asked[1:]} == {'"one"'}
    assert copy.size == len(_CONTENT)
    copy.__exit__(None, None, None)
    assert (tmp_path / "video").read_bytes() == _CONTENT


def test_silent_download_is_resumed(copy: BoundedFile) -> None:
    def answer(asked: Asked) -> Reply:
        if "Range" in asked.headers:
            headers = {"content-range": "bytes 5-9/10", "etag": '"one"'}
            return Reply(206, body=b"-end.", headers=headers)
        headers = {"content-length": "10", "etag": '"one"'}
        return Reply(headers=headers, pieces=endless(b"-", every=60, after=b"begin"))

    with http_stub(answer) as stub:
        download(stub.url, copy, settings=_HERE, timeouts=Timeouts(silence=2, pause=0.01))
    assert copy.size == 10
    assert len(stub.asked) == 2


def test_old_last_modified_date_allows_a_resume(copy: BoundedFile) -> None:
    old = {"last-modified": "Wed, 21 Oct 2015 07:28:00 GMT"}
    with http_stub(Breaking(old)) as stub:
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    assert copy.size == len(_CONTENT)
    assert stub.asked[1].headers["If-Range"] == old["last-modified"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"etag": 'W/"weak"'},
        {"etag": "unquoted"},
        {"etag": '"one"', "accept-ranges": "none"},
        {"last-modified": "now and then"},
        {"last-modified": "Fri, 31 Dec 2100 00:00:00 GMT"},
        {"last-modified": "Wed, 21 Oct 2015 07:28:00 -0000"},
    ],
)
def test_download_without_a_strong_validator_is_not_resumed(
    copy: BoundedFile, headers: dict[str, str]
) -> None:
    with (
        http_stub(Breaking(headers)) as stub,
        pytest.raises(SourceUnavailableError, match="broke off"),
    ):
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    assert len(stub.asked) == 1


def test_server_that_always_breaks_off_is_given_up(copy: BoundedFile) -> None:
    with (
        http_stub(Breaking({"etag": '"one"'}, step=100)) as stub,
        pytest.raises(SourceUnavailableError, match="broke off"),
    ):
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    assert len(stub.asked) == 1 + _PATIENT.resumes


def test_video_changed_during_a_resume_is_downloaded_again(
    copy: BoundedFile, tmp_path: Path
) -> None:
    first, second = Breaking({"etag": '"one"'}), Breaking({"etag": '"two"'}, step=90_000)
    second.content = b"another video"
    with http_stub(lambda asked: (second if "Range" in asked.headers else first)(asked)) as stub:
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    assert copy.size == 13
    copy.__exit__(None, None, None)
    assert (tmp_path / "video").read_bytes() == b"another video"


def test_resumed_parts_beyond_the_limit_are_refused(copy: BoundedFile) -> None:
    def answer(asked: Asked) -> Reply:
        if "Range" not in asked.headers:
            return _without_length()
        return Reply(206, body=b"x", headers={"content-range": "bytes 30000-199999/200000"})

    with http_stub(answer) as stub, pytest.raises(VideoTooLargeError, match="has 200000 bytes"):
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)


def _without_length(content: bytes = _CONTENT[:30_000]) -> Reply:
    """An answer in chunks that breaks off before the mark of the last one."""
    chunk = b"%x\r\n" % len(content) + content + b"\r\n"
    return Reply(headers={"etag": '"one"', "transfer-encoding": "chunked"}, pieces=[chunk])


class Parts:
    """A server that breaks off after the first 30,000 bytes, and gives the rest in parts.

    Args:
        step: bytes of a part.
        total: as the answers say it.
    """

    def __init__(self, step: int, *, total: str = str(len(_CONTENT))) -> None:
        self._step = step
        self._total = total

    def __call__(self, asked: Asked) -> Reply:
        if "Range" not in asked.headers:
            if self._total == "*":
                return _without_length()
            return Breaking({"etag": '"one"'})(asked)
        begin = int(asked.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if begin >= len(_CONTENT):
            return Reply(416, body=b"", headers={"content-range": f"bytes */{len(_CONTENT)}"})
        part = _CONTENT[begin : begin + self._step]
        place = f"bytes {begin}-{begin + len(part) - 1}/{self._total}"
        return Reply(206, body=part, headers={"content-range": place, "etag": '"one"'})


@pytest.mark.parametrize("total", [str(len(_CONTENT)), "*"])
def test_part_that_ends_early_is_followed_by_the_rest(
    copy: BoundedFile, tmp_path: Path, total: str
) -> None:
    once = Timeouts(pause=0.01, resumes=1, part_bytes=1000)
    with http_stub(Parts(20_000, total=total)) as stub:
        download(stub.url, copy, settings=_HERE, timeouts=once)
    ranges = [None, "bytes=30000-", "bytes=50000-", "bytes=70000-"]
    if total == "*":
        ranges.append("bytes=76800-")
    assert [one.headers.get("Range") for one in stub.asked] == ranges
    copy.__exit__(None, None, None)
    assert (tmp_path / "video").read_bytes() == _CONTENT


def test_video_in_tiny_parts_is_given_up(copy: BoundedFile) -> None:
    with (
        http_stub(Parts(10)) as stub,
        pytest.raises(SourceUnavailableError, match=r"broke off: \d+ of 76800 bytes came"),
    ):
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    assert len(stub.asked) == 1 + _PATIENT.resumes


_OLD = "Wed, 21 Oct 2015 07:28:00 GMT"


@pytest.mark.parametrize(
    ("first", "later", "total"),
    [
        ({"etag": '"one"'}, {"etag": '"two"'}, len(_CONTENT)),
        ({"etag": '"one"'}, {"etag": 'W/"two"'}, len(_CONTENT)),
        ({"etag": '"one"'}, {}, len(_CONTENT) + 1),
        ({"etag": '"one"'}, {"etag": '"one"'}, len(_CONTENT) + 1),
        (
            {"last-modified": _OLD},
            {"last-modified": "Thu, 22 Oct 2015 07:28:00 GMT"},
            len(_CONTENT),
        ),
    ],
)
def test_rest_of_another_video_is_not_joined_on(
    copy: BoundedFile, tmp_path: Path, first: dict[str, str], later: dict[str, str], total: int
) -> None:
    """The file was replaced, and the server passes over If-Range."""
    other = b"o" * total

    def answer(asked: Asked) -> Reply:
        if len(stub.asked) == 1:
            return Breaking(first)(asked)
        if "Range" not in asked.headers:
            return Reply(body=other, headers=later)
        place = f"bytes 30000-{total - 1}/{total}"
        return Reply(206, body=other[30_000:], headers={**later, "content-range": place})

    with http_stub(answer) as stub:
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    assert [one.headers.get("Range") for one in stub.asked] == [None, "bytes=30000-", None]
    copy.__exit__(None, None, None)
    assert (tmp_path / "video").read_bytes() == other


@pytest.mark.parametrize(
    ("status", "place", "body"),
    [
        (206, "bytes 30000-76799/76801", b"x" * 46_800),
        (206, "bytes 30000-76799/76800", b"x" * 46_801),
        (206, "bytes 30000-90000/*", b"x" * 60_001),
        (416, "bytes */30001", b""),
        (416, "bytes */30000", b""),
        (416, "", b""),
    ],
)
def test_rest_that_never_fits_is_an_outage(
    copy: BoundedFile, status: int, place: str, body: bytes
) -> None:
    def answer(asked: Asked) -> Reply:
        if "Range" not in asked.headers:
            return Breaking({"etag": '"one"'})(asked)
        return Reply(status, body=body, headers={"content-range": place})

    with (
        http_stub(answer) as stub,
        pytest.raises(SourceUnavailableError, match="broke off"),
    ):
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    assert [one.headers.get("Range") for one in stub.asked] == [
        None,
        "bytes=30000-",
        None,
        "bytes=30000-",
        None,
    ]


def test_chunked_video_that_lacks_only_its_end_mark_is_whole(
    copy: BoundedFile, tmp_path: Path
) -> None:
    def answer(asked: Asked) -> Reply:
        if "Range" not in asked.headers:
            return _without_length(_CONTENT)
        return Reply(416, body=b"", headers={"content-range": f"bytes */{len(_CONTENT)}"})

    with http_stub(answer) as stub:
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    assert [one.headers.get("Range") for one in stub.asked] == [None, "bytes=76800-"]
    copy.__exit__(None, None, None)
    assert (tmp_path / "video").read_bytes() == _CONTENT


@pytest.mark.parametrize("place", ["bytes */76801", "bytes */10", "bytes */*", ""])
def test_resume_beyond_the_end_begins_anew(copy: BoundedFile, tmp_path: Path, place: str) -> None:
    def answer(asked: Asked) -> Reply:
        if "Range" in asked.headers:
            return Reply(416, body=b"", headers={"content-range": place})
        return _without_length(_CONTENT) if len(stub.asked) == 1 else Reply(body=b"another video")

    with http_stub(answer) as stub:
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
    copy.__exit__(None, None, None)
    assert (tmp_path / "video").read_bytes() == b"another video"


@pytest.mark.parametrize("place", ["bytes 0-9/10", "bytes 29999-40000/40001", "bytes */10", ""])
def test_unrequested_range_is_an_outage(copy: BoundedFile, place: str) -> None:
    def answer(asked: Asked) -> Reply:
        if "Range" not in asked.headers:
            return Breaking({"etag": '"one"'})(asked)
        return Reply(206, body=b"x", headers={"content-range": place})

    with http_stub(answer) as stub, pytest.raises(SourceUnavailableError, match="not asked for"):
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)


def test_redirect_during_a_resume_is_checked(copy: BoundedFile) -> None:
    def answer(asked: Asked) -> Reply:
        if "Range" not in asked.headers:
            return Breaking({"etag": '"one"'})(asked)
        return Reply(302, headers={"location": "http://169.254.169.254/latest"})

    with http_stub(answer) as stub, pytest.raises(SourceForbiddenError, match="private"):
        download(stub.url, copy, settings=_HERE, timeouts=_PATIENT)
