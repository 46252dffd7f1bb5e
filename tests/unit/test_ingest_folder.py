"""Which files of a folder ``ingest --folder`` takes, and what it says of the others."""

from __future__ import annotations

import io
import os
import shutil
import socket
import unicodedata
from pathlib import Path
from typing import Any, Literal

import av
import click
import pytest
from click.testing import CliRunner
from tests.programs import ffmpeg

from vidsearch.cli.folder import PassedOver, Selection, videos_below
from vidsearch.cli.ingest import ingest
from vidsearch.media import open_decoder
from vidsearch.media.ffmpeg_allowlist import AV_OPTIONS
from vidsearch.media.suffixes import VIDEO_SUFFIXES

BAD_NAME = "caf\udce9.mp4"  # the byte 0xE9, as Python reads it


def find(folder: Path, **chosen: Any) -> tuple[list[str], dict[str, tuple[int, list[str]]]]:
    """Names of the videos, and count and first names of what is passed over, by reason."""
    passed = PassedOver()
    videos = [
        str(path.relative_to(folder)) for path in videos_below(folder, passed, Selection(**chosen))
    ]
    groups = {each["reason"]: (each["count"], each["first"]) for each in passed.to_json()}
    return videos, groups


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


# -- suffixes


def formats(mode: str) -> dict[str, set[str]]:
    found = {}
    for name in av.formats_available:
        try:
            found[name] = {
                f".{each.strip().lower()}" for each in av.ContainerFormat(name, mode).extensions
            }
        except ValueError:  # it cannot do both
            continue
    return found


def video_muxers() -> dict[str, tuple[str, set[str]]]:
    """Name to the usual video codec and the suffixes."""
    found = {}
    for name, suffixes in formats("w").items():
        if suffixes:
            container = av.open(io.BytesIO(), "w", format=name)
            if (codec := container.default_video_codec) != "none":
                found[name] = (codec, suffixes)
    return found


SOUND = (
    ".aac .ac3 .afc .aif .aifc .aiff .ape .apl .avr .dts .eac3 .ec3 .flac .isma .m2a .m4a .m4b "
    ".mac .mka .mp2 .mp3 .mpa .mpc .ogg .ra .tak .tta .wma"
)
PICTURES = (
    ".avif .bmp .dpx .exr .fits .hdr .heic .heif .ico .im1 .im24 .im8 .j2c .j2k .jls .jp2 .jpeg "
    ".jpg .jxl .jxs .ljpg .mpo .pam .pbm .pcx .pfm .pgm .pgmyuv .phm .pix .png .ppm .qoi .ras .rs "
    ".sgi .sun .sunras .tga .tif .tiff .vbn .wbmp .webp .xbm .xface .xwd"
)
PLAIN = (
    ".3g2 .3gp .asf .avi .f4v .flv .m4v .mkv .mov .mp4 .nut .webm .m1v .m2t .m2ts .m2v .mpeg .mpg "
    ".mts .ogv .rm .swf .ts .vob .wmv .wtv"
)
"""Those that the command ffmpeg writes without further options."""
OTHERS = (
    ".ism .m3u8 .mpd "  # name other files
    ".mks .xml "  # subtitles, manifests
    ".rgb .v210 .y .yuv "  # raw frames without a header
    ".avs .dat .xl "  # mostly scripts, data, sheets
    ".a64 .apv"  # not opened
)


def test_every_video_suffix_that_ffmpeg_names_is_taken_or_left_out_for_a_reason() -> None:
    allowed = set(AV_OPTIONS["format_whitelist"].split(","))
    named: set[str] = set()
    for name, suffixes in formats("r").items():
        if allowed & set(name.split(",")):
            named |= suffixes
    for _, suffixes in video_muxers().values():
        named |= suffixes
    left_out = {*SOUND.split(), *PICTURES.split(), *OTHERS.split()}
    assert left_out & VIDEO_SUFFIXES == set()
    assert named - left_out - VIDEO_SUFFIXES == set()


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        *((suffix, "") for suffix in PLAIN.split()),
        (".y4m", "-pix_fmt yuv420p"),
        (".dv", "-s 720x576 -pix_fmt yuv420p -r 25"),
        (".gxf", "-s 720x576 -r 25 -pix_fmt yuv420p -c:v mpeg2video"),
        (".mxf", "-r 25 -c:v mpeg2video"),
        (".264", "-c:v libx264 -f h264"),
        (".divx", "-c:v mpeg4 -f avi"),
        (".m2p", "-c:v mpeg2video -f mpeg"),
        (".mod", "-c:v mpeg2video -f mpeg"),
        (".ogm", "-c:v libtheora -f ogg"),
        (".qt", "-c:v mjpeg -f mov"),
        (".rmvb", "-c:v rv10 -f rm"),
        (".trp", "-c:v mpeg2video -f mpegts"),
        (".wm", "-c:v msmpeg4v3 -f asf"),
    ],
)
def test_file_of_a_suffix_is_found_and_decodes(tmp_path: Path, suffix: str, options: str) -> None:
    path = tmp_path / f"clip{suffix}"
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=176x144:r=25:d=1", *options.split(), path)
    assert find(tmp_path) == ([path.name], {})
    assert sum(map(len, open_decoder().frames(path))) >= 1


# -- what is passed over


def test_videos_of_all_levels_are_found_in_the_order_of_their_paths(tmp_path: Path) -> None:
    make(tmp_path, "b.MP4", "deep/er/a.webm", "deep/z.Vob", "talk.srt", "talk.en.vtt")
    assert find(tmp_path) == (["b.MP4", "deep/er/a.webm", "deep/z.Vob"], {})


def test_files_without_a_video_suffix_are_counted_with_one_name_of_each_suffix(
    tmp_path: Path,
) -> None:
    make(tmp_path, "a.mp4", "README", "notes.txt", "x.jpg", *(f"p{n}.jpg" for n in range(30)))
    videos, passed = find(tmp_path)
    assert videos == ["a.mp4"]
    assert passed == {
        "without the suffix of a video format": (33, ["README", "notes.txt", "p0.jpg"])
    }


def test_leftovers_of_systems_are_passed_over(tmp_path: Path) -> None:
    leftovers = [
        "._clip.mp4", ".DS_Store", ".hidden.mp4", ".Trash-1000/a.mp4", ".git/a.mp4",
        "@eaDir/clip.mp4/SYNOVIDEO_THUMB.mp4", "#recycle/a.mp4", "#snapshot/a.mp4",
        "$RECYCLE.BIN/a.mp4", "System Volume Information/a.mp4", "lost+found/a.mp4",
        "__MACOSX/._clip.mp4",
    ]  # fmt: skip
    make(tmp_path, "clip.mp4", "below/clip.mp4", *(f"below/{name}" for name in leftovers))
    videos, passed = find(tmp_path)
    assert videos == ["below/clip.mp4", "clip.mp4"]
    ((reason, (count, first)),) = passed.items()
    assert reason == "hidden, or left by the system"
    assert count == len(leftovers)
    assert "below/@eaDir" in first


def test_downloads_that_are_not_finished_are_passed_over(tmp_path: Path) -> None:
    make(
        tmp_path, "whole.mp4", "talks.part", "talks/one.mp4",
        "a.mp4.part", "b.mp4.crdownload", "Unconfirmed 1.crdownload",
        "c.mp4.part-Frag7", "d.mp4.download/d.mp4", "e.mkv.!qB",
        "f.mp4", "f.mp4.aria2",  # the file already has its final name
    )  # fmt: skip
    videos, passed = find(tmp_path)
    assert videos == ["talks/one.mp4", "whole.mp4"]
    assert [count for count, _ in passed.values()] == [9]
    assert "of a download that is not finished" in passed


def test_name_that_is_not_utf8_is_left_out_in_printable_form(tmp_path: Path) -> None:
    make(tmp_path, "good.mp4", BAD_NAME, "caf\udce9.txt", "s\udce9rie/one.mp4", "line\nbreak.mp4")
    videos, passed = find(tmp_path)
    assert videos == ["good.mp4", "line\nbreak.mp4"]
    assert passed == {
        "without the suffix of a video format": (1, ["caf\\xe9.txt"]),
        "with a name that is not UTF-8: rename them": (2, ["caf\\xe9.mp4", "s\\xe9rie"]),
    }


def test_links_pipes_and_sockets_are_left_out(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    make(folder, "good.mp4", "deep/good.mp4")
    make(elsewhere, "other.mp4", "more/other.mp4")
    (folder / "link.mp4").symlink_to(elsewhere / "other.mp4")
    (folder / "linked").symlink_to(elsewhere / "more")
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "circle.mp4").symlink_to("circle.mp4")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "unmounted").symlink_to("/nowhere/at/all")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "device.mp4").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(folder / "socket.mp4"))  # the whole path may be too long
        videos, passed = find(folder)
    assert videos == ["deep/good.mp4", "good.mp4", "link.mp4"]
    assert {reason: first for reason, (_, first) in passed.items()} == {
        "linked folders, which are not followed: use --folder for each": ["linked", "deep/loop"],
        "links that lead nowhere": ["circle.mp4", "gone.mp4", "unmounted"],
        "neither file nor folder": ["device.mp4", "pipe.mp4", "socket.mp4"],
    }


def test_folder_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "z/b.mp4")
    # Deeper than a path can be long: it cannot be opened, not even by root.
    descriptor = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=descriptor)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(descriptor)
    videos, passed = find(tmp_path)
    shutil.rmtree(tmp_path / ("d" * 250))
    assert videos == ["a.mp4", "z/b.mp4"]
    assert passed["folders that cannot be read: check their rights"][0] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_folder_without_rights_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", "locked/b.mp4")
    (tmp_path / "locked").chmod(0)
    videos, passed = find(tmp_path)
    (tmp_path / "locked").chmod(0o700)
    assert (videos, len(passed)) == (["a.mp4"], 1)


LIBRARY = ("a.mp4", "b.MP4", "raw/c.mp4", "2024/05/d.mp4", "2024/raw/e.mp4", "2024/f.webm")


@pytest.mark.parametrize(
    ("chosen", "videos"),
    [
        ({"globs": ["*.mp4"]}, ["2024/05/d.mp4", "2024/raw/e.mp4", "a.mp4", "raw/c.mp4"]),
        ({"globs": ["2024/**/*.mp4"]}, ["2024/05/d.mp4", "2024/raw/e.mp4"]),
        ({"globs": ["2024/*"]}, ["2024/f.webm"]),
        ({"globs": ["/*.mp4"]}, ["a.mp4"]),
        ({"globs": ["[ab].*", "f.*"]}, ["2024/f.webm", "a.mp4", "b.MP4"]),
        ({"excludes": ["raw"]}, ["2024/05/d.mp4", "2024/f.webm", "a.mp4", "b.MP4"]),
        ({"excludes": ["raw/"]}, ["2024/05/d.mp4", "2024/f.webm", "a.mp4", "b.MP4"]),
        ({"excludes": ["2024/raw", "?.webm"]}, ["2024/05/d.mp4", "a.mp4", "b.MP4", "raw/c.mp4"]),
        ({"excludes": ["*"]}, []),
        ({"depth": 1}, ["a.mp4", "b.MP4"]),
        ({"depth": 2}, ["2024/f.webm", "a.mp4", "b.MP4", "raw/c.mp4"]),
        ({"globs": ["*.mp4"], "excludes": ["2024"], "depth": 1}, ["a.mp4"]),
    ],
    ids=str,
)
def test_selection_takes_what_matches_and_counts_the_rest(
    tmp_path: Path, chosen: dict[str, Any], videos: list[str]
) -> None:
    make(tmp_path, *LIBRARY)
    found, passed = find(tmp_path, **chosen)
    assert found == videos
    assert list(passed) == ["left out by --glob, --exclude or --depth"]
    assert [path for path in LIBRARY if Selection(**chosen).takes(path)] == sorted(
        videos, key=LIBRARY.index
    )


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_pattern_matches_a_name_whose_accents_stand_apart(
    tmp_path: Path, form: Literal["NFC", "NFD"]
) -> None:
    private, other = (unicodedata.normalize(form, name) for name in ("privé/a.mp4", "été/b.mp4"))
    make(tmp_path, private, other)
    assert find(tmp_path, excludes=["privé"])[0] == [other]
    assert find(tmp_path, excludes=[unicodedata.normalize("NFD", "privé")])[0] == [other]
    assert find(tmp_path, globs=["**/été/*.mp4"])[0] == [other]


def test_what_is_left_out_on_purpose_is_no_error(tmp_path: Path) -> None:
    make(tmp_path, "a.mp4", BAD_NAME, "@eaDir/b.mp4")
    _, passed = find(tmp_path, excludes=["caf*"])
    assert passed == {
        "hidden, or left by the system": (1, ["@eaDir"]),
        "left out by --glob, --exclude or --depth": (1, ["caf\\xe9.mp4"]),
    }


def test_folder_below_a_name_that_is_not_utf8_raises(tmp_path: Path) -> None:
    make(tmp_path, "s\udce9rie/one.mp4")
    with pytest.raises(click.UsageError, match=r"s\\xe9rie is not UTF-8: rename the folder"):
        find(tmp_path / "s\udce9rie")


def test_folder_without_videos_raises_with_what_was_passed_over(tmp_path: Path) -> None:
    make(tmp_path, "notes.txt", "._clip.mp4", BAD_NAME)
    result = CliRunner().invoke(ingest, ["--folder", str(tmp_path)])
    assert result.exit_code == 2
    assert f"no video file below {tmp_path}" in result.output
    for part in ("1 without the suffix", "(notes.txt)", "1 hidden", "._clip.mp4", "caf\\xe9.mp4"):
        assert part in result.output
    (tmp_path / "empty").mkdir()
    result = CliRunner().invoke(ingest, ["--folder", str(tmp_path / "empty")])
    assert result.exit_code == 2
    assert result.output.rstrip().endswith("no video file below " + str(tmp_path / "empty"))
