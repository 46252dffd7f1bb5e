"""What the settings alone say against a URI."""

from __future__ import annotations

from pathlib import Path

import pytest

from vidsearch.config import SourceSettings
from vidsearch.errors import VideoError
from vidsearch.media.sources.listed import require_listed


def _is_listed(uri: str, settings: SourceSettings, *, from_client: bool = True) -> bool:
    try:
        require_listed(uri, settings, from_client=from_client)
    except VideoError:
        return False
    return True


def test_local_file_must_lie_in_a_root_where_that_is_asked_for(tmp_path: Path) -> None:
    root = tmp_path / "videos"
    root.mkdir()
    (root / "out").symlink_to(tmp_path)
    limited = SourceSettings(roots=(root,))
    for path, is_listed in (
        (root / "a.mp4", True),
        (root / "none" / ".." / "a.mp4", True),
        (tmp_path / "a.mp4", False),
        (root / ".." / "a.mp4", False),
        (root / "out" / "a.mp4", False),
    ):
        assert _is_listed(str(path), limited) is is_listed
        assert _is_listed(f"file://{path}", limited) is is_listed
    assert not _is_listed(str(root / "a.mp4"), SourceSettings())
    assert _is_listed(str(root / "a.mp4"), SourceSettings(), from_client=False)
    assert not _is_listed("file://other.example/a.mp4", limited)
    assert not _is_listed("/a\0.mp4", limited)
    assert not _is_listed("file://]/a.mp4", limited)


@pytest.mark.parametrize(
    ("uri", "is_listed"),
    [
        ("https://videos.example.com/a.mp4", True),
        ("https://videos.example.com:8443/a.mp4", False),
        ("http://videos.example.com/a.mp4", False),
        ("https://evil.example/a.mp4", False),
        ("https://videos.example.com@evil.example/a.mp4", False),
        ("https:/videos.example.com/a.mp4", False),
        ("s3://bucket/a.mp4", True),
        ("s3a://bucket/a.mp4", True),
        ("s3://other/a.mp4", False),
        ("s3://bucket", False),
        ("ftp://videos.example.com/a.mp4", False),
        ("name:of-a-file", False),
        ("", False),
    ],
)
def test_scheme_host_and_bucket_must_be_listed(uri: str, is_listed: bool) -> None:
    settings = SourceSettings(
        schemes=("https", "s3"), hosts=("videos.example.com:443", "bucket"), roots=(Path("/srv"),)
    )
    assert _is_listed(uri, settings) is is_listed


def test_bucket_must_be_named_by_itself_for_a_client() -> None:
    uri = "s3://videos.example.com/a.mp4"
    for hosts, of_anybody, of_a_client in (
        ((), True, False),
        (("other",), False, False),
        (("*.example.com",), False, False),
        (("videos.example.com:443",), False, False),
        (("videos.example.com",), True, True),
    ):
        settings = SourceSettings(hosts=hosts)
        assert _is_listed(uri, settings, from_client=False) is of_anybody, hosts
        assert _is_listed(uri, settings) is of_a_client, hosts
    assert _is_listed("https://videos.example.com/a.mp4", SourceSettings())


def test_resolver_makes_the_uri_and_paths_stay_refused() -> None:
    settings = SourceSettings(resolver="somewhere:resolve", hosts=("videos.example.com",))
    assert _is_listed("asset:123", settings)
    assert _is_listed("https://evil.example/a.mp4", settings)
    assert not _is_listed("/etc/passwd", settings)
    assert not _is_listed("file:///etc/passwd", settings)
