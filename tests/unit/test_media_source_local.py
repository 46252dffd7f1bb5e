"""Local files: inside the roots whatever the path says, and the subtitles beside them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import pytest

from vidsearch.config import SourceSettings
from vidsearch.errors import (
    SourceForbiddenError,
    SourceNotFoundError,
    SourceRootMissingError,
    SourceUnavailableError,
    VideoError,
    VideoOpenError,
    VideoTooLargeError,
)
from vidsearch.media import fetch
from vidsearch.media.sources import local, temporary
from vidsearch.media.sources.sidecars import choose_sidecars

Form = Literal["NFC", "NFD"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with a video; another video lies beside it, outside."""
    folder = tmp_path / "root"
    (folder / "below").mkdir(parents=True)
    (folder / "below" / "a.mp4").write_bytes(b"inside")
    (tmp_path / "secret.mp4").write_bytes(b"outside")
    (tmp_path / "root-of-another").mkdir()
    (tmp_path / "root-of-another" / "a.mp4").write_bytes(b"outside")
    return folder


def read(path: Path | str, root: Path) -> bytes:
    with fetch(str(path), settings=SourceSettings(roots=(root,))) as video:
        return video.path.read_bytes()


def test_paths_inside_of_the_roots_are_read(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(root / "below" / "a.mp4", root) == b"inside"
    assert read((root / "below" / "a.mp4").as_uri(), root) == b"inside"
    assert read(f"{root}/below/../below/./a.mp4", root) == b"inside"
    (root / "link.mp4").symlink_to(root / "below" / "a.mp4")
    assert read(root / "link.mp4", root) == b"inside"
    (tmp_path / "way in").symlink_to(root)
    assert read(tmp_path / "way in" / "below" / "a.mp4", root) == b"inside"
    assert read(root / "below" / "a.mp4", tmp_path / "way in") == b"inside", "a root that is a link"
    monkeypatch.chdir(root)
    assert read("below/a.mp4", Path()) == b"inside"


@pytest.mark.parametrize(
    "path",
    [
        "{outside}/secret.mp4",
        "file://{outside}/secret.mp4",
        "{root}/../secret.mp4",
        "{root}/below/../../secret.mp4",
        "file://{root}/%2e%2e/secret.mp4",
        "file://{root}/..%2fsecret.mp4",
        "{root}/link.mp4",
        "{root}/folder/secret.mp4",
        "{root}/folder/root/../secret.mp4",
        "{root}/chain.mp4",
        "{outside}/root-of-another/a.mp4",
        "{outside}/not-there.mp4",
        "{root}/../not-there.mp4",
        "/etc/passwd",
        "/dev/zero",
        "/proc/self/environ",
    ],
)
def test_paths_outside_of_the_roots_are_refused(root: Path, tmp_path: Path, path: str) -> None:
    (root / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    (root / "folder").symlink_to(tmp_path)
    (root / "chain.mp4").symlink_to("link.mp4")
    with pytest.raises(SourceForbiddenError, match=r"outside of sources\.roots") as caught:
        read(path.format(root=root, outside=tmp_path), root)
    given = path.removeprefix("file://").replace("%2e", ".").replace("%2f", "/")
    assert str(caught.value).startswith(given.format(root=root, outside=tmp_path))
    if "link" in path or "chain" in path:
        assert "secret" not in str(caught.value), "where a link leads is nobody's business"


def test_any_of_several_roots_allows_a_path(root: Path, tmp_path: Path) -> None:
    settings = SourceSettings(roots=(tmp_path / "not-there", tmp_path / "root-of-another", root))
    with fetch(str(root / "below" / "a.mp4"), settings=settings) as video:
        assert video.size == 6


def test_file_that_is_gone_is_told_from_a_share_that_is_not_mounted(
    root: Path, tmp_path: Path
) -> None:
    def look(*roots: Path) -> None:
        with fetch(str(share / "films" / "a.mp4"), settings=SourceSettings(roots=roots)):
            pass

    share = tmp_path / "share"
    for roots in ((share,), (root, share), (share, share / "films")):
        with pytest.raises(SourceRootMissingError, match=r"share.*is not there on this machine"):
            look(*roots)
    share.mkdir()  # a place for a mount that is not there
    with pytest.raises(SourceUnavailableError, match=r"share.*is empty on this machine") as caught:
        look(share, share / "films")
    assert caught.value.fault == "outage"
    (share / "other.mp4").touch()
    with pytest.raises(SourceNotFoundError):
        look(share, share / "films")
    with pytest.raises(SourceNotFoundError):
        look()


def test_folder_of_a_video_whose_path_is_not_to_be_shown_is_not_shown(tmp_path: Path) -> None:
    share = tmp_path / "share"
    with (
        pytest.raises(SourceRootMissingError) as caught,
        local.opened_file(share / "a.mp4", roots=(share,), where="asset:1"),
    ):
        pass
    assert str(share) not in str(caught.value)
    assert str(caught.value).startswith("asset:1 cannot be read, as its folder of sources.roots")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("what", "error", "match"),
    [
        ("file", SourceNotFoundError, "links in a circle"),
        ("folder", SourceForbiddenError, r"outside of sources\.roots"),
        ("pipe", VideoOpenError, "not a regular file"),
    ],
)
@pytest.mark.parametrize("proc", [True, False])
def test_path_swapped_after_the_check_is_refused(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
    error: type[VideoError],
    match: str,
    proc: bool,
) -> None:
    """Between resolving the path and opening it, an attacker replaces a part of it."""
    real_open = os.open

    def swapped_first(path: Path, flags: int) -> int:
        if what == "folder":
            (root / "below").rename(root / "was below")
            (root / "below").symlink_to(tmp_path / "root-of-another")
        else:
            Path(path).unlink()
            if what == "file":
                Path(path).symlink_to(tmp_path / "secret.mp4")
            else:
                os.mkfifo(path)
        return real_open(path, flags)

    if not proc:
        monkeypatch.setattr(local, "_OWN_DESCRIPTORS", tmp_path / "no-proc-here")
    monkeypatch.setattr(os, "open", swapped_first)
    with pytest.raises(error, match=match):
        read(root / "below" / "a.mp4", root)


def test_file_changed_while_it_is_read_is_an_outage(root: Path) -> None:
    path, new = root / "below" / "a.mp4", root / "new.mp4"
    with (
        pytest.raises(SourceUnavailableError, match="changed while it was read"),
        fetch(str(path)),
    ):
        path.write_bytes(b"still being uploaded")
    new.write_bytes(path.read_bytes())
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    with (
        pytest.raises(SourceUnavailableError, match="changed while it was read"),
        fetch(str(path)),
    ):
        new.replace(path)
    with fetch(str(path)):
        path.unlink()  # an inbox is emptied: what was read is whole


def test_special_file_is_refused(root: Path) -> None:
    os.mkfifo(root / "pipe.mp4")
    (root / "circle.mp4").symlink_to("circle.mp4")
    for name, error, match in (
        ("pipe.mp4", VideoOpenError, "not a regular file"),
        ("below", VideoOpenError, "is a folder"),
        ("circle.mp4", SourceNotFoundError, "links in a circle"),
        ("gone.mp4", SourceNotFoundError, "no such file"),
    ):
        with pytest.raises(error, match=match):
            read(root / name, root)
    with pytest.raises(VideoOpenError, match="not a regular file"), fetch("/dev/zero"):
        pass


def test_file_beyond_max_bytes_is_refused(root: Path) -> None:
    path = root / "below" / "a.mp4"
    with fetch(str(path), settings=SourceSettings(max_bytes=6)) as video:
        assert video.size == 6
    with (
        pytest.raises(VideoTooLargeError, match=r"has 6 bytes, and sources\.max_bytes allows 5"),
        fetch(str(path), settings=SourceSettings(max_bytes=5)),
    ):
        pass


def test_local_files_leave_no_descriptor_open(root: Path) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc here")
    before = count()
    for _ in range(5):
        read(root / "below" / "a.mp4", root)
        for bad in (root / "below", root / "gone.mp4", root / ".." / "secret.mp4"):
            with pytest.raises((SourceForbiddenError, SourceNotFoundError, VideoOpenError)):
                read(bad, root)
    assert count() == before


# Subtitles beside it


def chosen(video: str, names: Iterable[str], *languages: str) -> list[str]:
    return [str(each.path) for each in choose_sidecars(video, names, languages=languages)]


def test_subtitle_files_are_chosen_by_name_in_order() -> None:
    names = [
        "talk.vtt", "talk.srt", "talk.en.srt", "talk.de.vtt", "talk.de.srt", "talk.pt-BR.srt",
        "talk.de.forced.srt", "talk.de.sdh.srt", "talk.cc.srt", "talk.zh_Hans.VTT",
        "talk.mp4", "talk.txt", "talks.srt", "talk.part2.srt", "talk.en.bak.srt", "talk..srt",
        "other.srt", "srt", ".srt", "talksrt", "talk.en.srt.txt", "TALK.srt", "talk.d/x.srt",
        "talk.draft.srt", "talk.default.srt",
    ]  # fmt: skip
    expected = [
        "talk.default.srt", "talk.srt", "talk.vtt", "talk.cc.srt",
        "talk.de.srt", "talk.de.vtt", "talk.de.sdh.srt",
        "talk.en.srt", "talk.pt-BR.srt", "talk.zh_Hans.VTT", "talk.de.forced.srt",
    ]  # fmt: skip
    assert chosen("talk.mp4", names) == expected
    assert chosen("talk.mp4", reversed(names)) == expected
    assert chosen("a.b.mp4", ["a.srt", "a.b.srt", "a.b.en.srt"]) == ["a.b.srt", "a.b.en.srt"]
    assert chosen("a.srt", ["a.srt"]) == []
    many = [f"a.{x}{y}.srt" for x in "abcdefg" for y in "abcdefg"]
    assert len(chosen("a.mp4", many)) == 32
    assert chosen("a.mp4", many, "gg")[0] == "a.gg.srt"


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        ((), ["t.srt", "t.ger.srt", "t.English.srt", "t.eng.sdh.srt", "t.hi.srt"]),
        (("en",), ["t.English.srt", "t.eng.sdh.srt", "t.srt", "t.ger.srt", "t.hi.srt"]),
        (("hin", "de-AT"), ["t.hi.srt", "t.ger.srt", "t.srt", "t.English.srt", "t.eng.sdh.srt"]),
        (("fr", "deu"), ["t.ger.srt", "t.srt", "t.English.srt", "t.eng.sdh.srt", "t.hi.srt"]),
    ],
)
def test_preferred_languages_come_first_however_they_are_written(
    languages: tuple[str, ...], expected: list[str]
) -> None:
    names = ["t.ger.srt", "t.eng.sdh.srt", "t.English.srt", "t.srt", "t.hi.srt"]
    forced = ["t.en.forced.srt"]  # of foreign speech only
    assert chosen("t.mp4", [*forced, *names], *languages) == [*expected, *forced]


@pytest.mark.parametrize(
    ("name", "language", "is_forced"),
    [
        ("t.forced.en.srt", "en", True),
        ("t.en.foreign.srt", "en", True),
        ("t.en.sdh.forced.vtt", "en", True),
        ("t.DEFAULT.English.SRT", "en", False),
        ("t.sdh.pt-BR.srt", "pt-br", False),
        ("t.hi.hi.srt", "hi", False),
        ("t.forced.hi.srt", "hi", True),
        ("t.hi.ger.srt", "de", False),
        ("t.forced.srt", "", True),
    ],
)
def test_language_and_kind_are_told_in_any_order(name: str, language: str, is_forced: bool) -> None:
    (found,) = choose_sidecars("t.mp4", [name, "t.en.de.srt", "t.forced.draft.srt", "t..en.srt"])
    assert (str(found.path), found.language, found.is_forced) == (name, language, is_forced)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_that_one_of_the_names_has_apart_make_no_difference(form: Form) -> None:
    names = ["Café.de.srt", "Cafe.de.srt"]
    video, *names = (unicodedata.normalize(form, name) for name in ["Café.mp4", *names])
    other = "NFD" if form == "NFC" else "NFC"
    (found,) = choose_sidecars(unicodedata.normalize(other, video), names)
    assert (str(found.path), found.language) == (names[0], "de")


def test_subtitles_of_a_video_whose_name_has_its_accents_apart_are_not_of_the_other() -> None:
    apart, whole = (unicodedata.normalize(form, "Café") for form in ("NFD", "NFC"))
    names = [f"{name}.{suffix}" for name in (apart, whole) for suffix in ("mp4", "srt")]
    for name in (apart, whole):
        assert chosen(f"{name}.mp4", names) == [f"{name}.srt"]
    assert chosen(f"{apart}.mp4", [f"{apart}.mp4", f"{whole}.mp4", f"{whole}.srt"]) == []
    # One that has the video's name exactly comes alone, whatever else would do.
    assert chosen(f"{apart}.mp4", [f"{apart}.vtt", f"{whole}.srt"]) == [f"{apart}.vtt"]


def test_plain_subtitles_come_before_those_with_other_marks() -> None:
    names = ["t.en.srt", "t.en.sdh.default.srt", "t.sdh.en.vtt", "t.default.en.forced.srt"]
    assert chosen("t.mp4", names, "en") == names
    assert chosen("t.mp4", ["t.en.srt", "t.default.en.srt"])[0] == "t.default.en.srt"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("pt-BR", ["t.pt-BR.srt", "t.por.srt", "t.en.srt", "t.pt_PT.srt"]),
        ("pt", ["t.por.srt", "t.pt-BR.srt", "t.pt_PT.srt", "t.en.srt"]),
        ("pt-PT", ["t.pt_PT.srt", "t.por.srt", "t.en.srt", "t.pt-BR.srt"]),
    ],
)
def test_tag_that_fits_better_comes_first(wanted: str, expected: list[str]) -> None:
    assert chosen("t.mp4", sorted(expected), wanted) == expected


def test_subtitles_beside_a_local_file_are_found(root: Path, tmp_path: Path) -> None:
    video = root / "below" / "a.mp4"
    (root / "below" / "a.en.srt").write_text("en")
    (root / "below" / "a.vtt").write_text("plain")
    (root / "below" / "a.de.srt").write_bytes(b"x" * (5 * 2**20 + 1))
    (tmp_path / "stolen.srt").write_text("secret")
    (root / "below" / "a.fr.srt").symlink_to(tmp_path / "stolen.srt")
    os.mkfifo(root / "below" / "a.it.srt")
    (root / "below" / "a.es.srt").mkdir()
    with fetch(str(video), settings=SourceSettings(roots=(root,))) as file:
        assert [one.path.name for one in file.sidecars] == ["a.vtt", "a.en.srt"]
        assert [one.path.read_text() for one in file.sidecars] == ["plain", "en"]


def test_subtitles_beside_the_given_link_are_found(root: Path) -> None:
    (root / "link.mp4").symlink_to(root / "below" / "a.mp4")
    (root / "link.srt").write_text("ours")
    with fetch(str(root / "link.mp4")) as file:
        assert file.path == root / "below" / "a.mp4"
        assert [one.path.read_text() for one in file.sidecars] == ["ours"]


# Temporary folders

_HOLD = """
import sys, time
from pathlib import Path
from vidsearch.media.sources.temporary import workspace
with workspace(Path(sys.argv[1])) as folder:
    (folder / "video.mp4").write_bytes(b"half of it")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_leftovers_of_a_killed_worker_are_removed(tmp_path: Path) -> None:
    def hold() -> tuple[subprocess.Popen[str], Path]:
        process = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    killed, leftover = hold()
    alive, held = hold()
    try:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (leftover / "video.mp4").exists()
        (tmp_path / "somebody's").mkdir()
        (tmp_path / "vidsearch-elsewhere-abc").mkdir()
        (tmp_path / "vidsearch-elsewhere-abc" / ".lock").touch()
        hour_ago = time.time() - 3600
        for lock in tmp_path.glob("*/.lock"):
            os.utime(lock, (hour_ago, hour_ago))
        with temporary.workspace(tmp_path) as ours:
            left = {path.name for path in tmp_path.iterdir()}
        assert left == {held.name, ours.name, "somebody's", "vidsearch-elsewhere-abc"}
        assert (held / "video.mp4").exists(), "a living worker's folder is left alone"
    finally:
        for process in (killed, alive):
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def test_recent_temporary_folder_is_kept(tmp_path: Path) -> None:
    """Its worker may be just about to lock it."""
    with temporary.workspace(tmp_path) as first:
        young = tmp_path / (first.name + "x")
    young.mkdir()
    (young / ".lock").touch()
    temporary._clear_leftovers.cache_clear()
    with temporary.workspace(tmp_path):
        pass
    assert young.exists()


def test_missing_folder_for_copies_is_an_outage(tmp_path: Path) -> None:
    settings = SourceSettings(folder=tmp_path / "gone", private_hosts=("127.0.0.1",))
    with (
        pytest.raises(SourceUnavailableError, match=r"gone: No such file.*sources\.folder"),
        fetch("http://127.0.0.1:1/a.mp4", settings=settings),
    ):
        pass
