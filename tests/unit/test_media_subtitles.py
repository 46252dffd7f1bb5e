"""Subtitles of files beside the video and of tracks in it."""

from __future__ import annotations

import logging
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import pytest
from tests.programs import ffmpeg

from vidsearch.errors import MissingExtraError, SourceNotFoundError, VideoOpenError
from vidsearch.media.frames import Cue
from vidsearch.media.subtitles import embedded_cues, sidecar_cues, transcript
from vidsearch.testing.clips import solid, write_clip

SRT = """1
00:00:01,000 --> 00:00:03,000
<i>Grüße</i> &amp; more
of it

2
00:00:04,500 --> 00:00:05,250
{\\an8}- Bye
"""
CUES = (Cue(1.0, 3.0, "Grüße & more of it"), Cue(4.5, 5.25, "Bye"))


class TestSidecar:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
    @pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
    def test_unicode_encodings_and_line_ends_are_read(
        self, tmp_path: Path, encoding: str, newline: str
    ) -> None:
        path = tmp_path / "a.srt"
        path.write_bytes(SRT.replace("\n", newline).encode(encoding))
        assert sidecar_cues(path) == CUES

    def test_windows_1252_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a.srt"
        path.write_bytes(SRT.replace("more", "“more” €").encode("cp1252"))
        assert sidecar_cues(path)[0].text == "Grüße & “more” € of it"

    def test_webvtt_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "a.vtt"
        path.write_text(
            "WEBVTT - a title\n\nSTYLE\n::cue { color: red }\n\nNOTE not shown\n\n"
            "intro\n00:01.000 --> 00:03.000 align:start position:0%\n<v Anna>Hello</v>\n\n"
            "NOTE neither\nis this\n\n"
            "outro-7\n01:00:04.500 --> 01:00:05.250\nBye\n",
            encoding="utf-8",
        )
        assert sidecar_cues(path) == (Cue(1.0, 3.0, "Hello"), Cue(3604.5, 3605.25, "Bye"))

    def test_format_is_detected_by_content(self, tmp_path: Path) -> None:
        path = tmp_path / "a.srt"
        path.write_text("WEBVTT\n\n00:01.000 --> 00:03.000\nHello\n")
        assert sidecar_cues(path) == (Cue(1.0, 3.0, "Hello"),)

    @pytest.mark.parametrize(
        "data",
        [b"", b"no subtitles at all", bytes(range(256)) * 40, b"\xff\xfe\x00", SRT.encode()[:3]],
        ids=["empty", "prose", "binary", "odd utf-16", "cut off"],
    )
    def test_broken_subtitle_file_is_skipped_with_a_warning(
        self, tmp_path: Path, data: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "broken.srt"
        path.write_bytes(data)
        with caplog.at_level(logging.WARNING):
            assert sidecar_cues(path) == ()
        assert "broken.srt" in caplog.text
        assert "left out" in caplog.text

    def test_unreadable_subtitle_file_is_skipped_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert sidecar_cues(tmp_path / "absent.vtt") == sidecar_cues(tmp_path) == ()
        assert "No such file" in caplog.text
        assert "Is a directory" in caplog.text

    def test_huge_subtitle_file_is_skipped(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "huge.srt"
        with path.open("wb") as file:
            file.truncate(2**40)
        assert sidecar_cues(path) == ()
        assert "larger than" in caplog.text

    @pytest.mark.parametrize("piece", ["\n", " \n", "<i", "{", "1\n", "00:00:01,000 --> ", "  "])
    def test_hostile_subtitle_file_is_read_quickly(self, tmp_path: Path, piece: str) -> None:
        path = tmp_path / "hostile.srt"
        path.write_text("1\n00:00:01,000 --> 00:00:02,000\nhey" + piece * 400_000 + "you\n")
        begin = time.process_time()
        sidecar_cues(path)
        assert time.process_time() - begin < 10

    def test_missing_pysubs2_is_reported_with_its_extra(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setitem(sys.modules, "pysubs2", None)
        with pytest.raises(MissingExtraError, match="reading subtitle files"):
            sidecar_cues(tmp_path / "a.srt")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Six seconds, without subtitles."""
    times = [Fraction(i, 5) for i in range(30)]
    return write_clip(tmp_path / "clip.mkv", times, picture=solid((0, 0, 255)), rate=5)


@pytest.fixture
def srt(tmp_path: Path) -> Path:
    path = tmp_path / "lines.srt"
    path.write_text(SRT, encoding="utf-8")
    return path


def _with_tracks(clip: Path, path: Path, *options: str) -> None:
    """Three tracks, with a word each."""
    inputs: list[str | Path] = ["-i", clip]
    choice: list[str] = ["-map", "0"]
    for number, word in enumerate(("one", "two", "three"), 1):
        srt = clip.with_name(f"{word}.srt")
        srt.write_text(f"1\n00:00:01,000 --> 00:00:02,000\n{word}\n")
        inputs += ["-i", srt]
        choice += ["-map", str(number)]
    ffmpeg(*inputs, *choice, "-c", "copy", *options, path)


class TestEmbedded:
    @pytest.mark.parametrize(
        ("name", "codec", "video"),
        [
            ("subtitled.mp4", "mov_text", "copy"),
            ("subtitled.mov", "mov_text", "copy"),
            ("subtitled.mkv", "srt", "copy"),
            ("subtitled.mkv", "ass", "copy"),
            ("subtitled.webm", "webvtt", "libvpx"),
        ],
    )
    @pytest.mark.parametrize("offset", ["0", "7"])
    def test_text_tracks_are_read(
        self, tmp_path: Path, clip: Path, srt: Path, name: str, codec: str, video: str, offset: str
    ) -> None:
        path = tmp_path / name
        ffmpeg(
            "-i", clip, "-i", srt, "-map", "0", "-map", "1", "-c:v", video, "-c:s", codec,
            "-output_ts_offset", offset, path,
        )  # fmt: skip
        cues = embedded_cues(path)
        assert [cue.text for cue in cues] == [cue.text for cue in CUES]
        assert [cue.start for cue in cues] == pytest.approx([1, 4.5], abs=0.011)
        assert [cue.end for cue in cues] == pytest.approx([3, 5.25], abs=0.011)

    def test_video_without_tracks_has_no_cues(self, clip: Path) -> None:
        assert embedded_cues(clip) == ()

    @pytest.mark.parametrize(
        ("dispositions", "expected"),
        [
            (("0", "0", "0"), "one"),
            (("0", "0", "default"), "three"),
            (("forced", "0", "0"), "two"),
            (("forced+default", "0", "0"), "two"),
            (("comment", "forced", "0"), "three"),
        ],
    )
    def test_track_is_chosen_by_its_marks(
        self, tmp_path: Path, clip: Path, dispositions: tuple[str, ...], expected: str
    ) -> None:
        path = tmp_path / "several.mkv"
        marks = [(f"-disposition:s:{number}", flags) for number, flags in enumerate(dispositions)]
        _with_tracks(clip, path, *(part for mark in marks for part in mark))
        assert transcript(embedded_cues(path)) == expected

    @pytest.mark.parametrize(
        ("tags", "languages", "expected"),
        [
            (("ger", "eng", "fre"), ("en", "de"), "two"),
            (("ger", "eng", "fre"), ("ja", "deu"), "one"),
            (("ger", "eng", "fre"), ("ja",), ""),
            (("ger", "eng", "fre"), None, "one"),
            (("und", "pt-BR", "por"), ("pt",), "three"),
            (("und", "pt-BR", "por"), ("pt-BR",), "two"),
            (("eng forced", "eng", "fre"), ("en",), "two"),
            (("eng forced", "ger", "fre"), ("en",), ""),
            (("eng comment", "ger", "fre"), ("en",), ""),
            (("eng hearing_impaired", "eng", "fre"), ("en",), "two"),
            (("eng hearing_impaired+default", "eng", "fre"), ("en",), "two"),
            (("eng hearing_impaired", "ger", "fre"), ("en",), "one"),
            (("eng hearing_impaired", "eng", "fre"), None, "two"),
            (("eng hearing_impaired+default", "ger", "fre"), None, "one"),
        ],
    )
    def test_track_is_chosen_by_language(
        self,
        tmp_path: Path,
        clip: Path,
        tags: tuple[str, ...],
        languages: tuple[str, ...] | None,
        expected: str,
    ) -> None:
        path = tmp_path / "several.mkv"
        tracks = []
        for number, tag in enumerate(tags):
            language, _, flags = tag.partition(" ")
            tracks += [f"-metadata:s:s:{number}", f"language={language}"]
            tracks += [f"-disposition:s:{number}", flags or "0"]
        _with_tracks(clip, path, *tracks)
        assert transcript(embedded_cues(path, languages=languages)) == expected

    @pytest.mark.parametrize(
        ("titles", "expected"),
        [
            (("English (Forced)", "English", "English SDH"), "two"),
            (("English SDH", "Forced", "English"), "three"),
            (("Commentary", "English [SDH]", "forced"), "two"),
        ],
    )
    def test_track_is_chosen_by_what_its_title_says(
        self, tmp_path: Path, clip: Path, titles: tuple[str, ...], expected: str
    ) -> None:
        path = tmp_path / "several.mkv"
        tracks = []
        for number, title in enumerate(titles):
            tracks += [f"-metadata:s:s:{number}", "language=eng", f"-disposition:s:{number}", "0"]
            tracks += [f"-metadata:s:s:{number}", f"title={title}"]
        _with_tracks(clip, path, *tracks)
        assert transcript(embedded_cues(path)) == expected
        assert transcript(embedded_cues(path, languages=["en"])) == expected

    def test_track_without_cues_is_skipped(self, tmp_path: Path, clip: Path, srt: Path) -> None:
        empty, path = tmp_path / "empty.srt", tmp_path / "several.mkv"
        empty.write_text("1\n00:00:01,000 --> 00:00:02,000\n<i></i>\n")
        ffmpeg(
            "-i", clip, "-i", empty, "-i", srt, "-map", "0", "-map", "1", "-map", "2",
            "-c", "copy", path,
        )  # fmt: skip
        assert embedded_cues(path) == CUES

    def test_tracks_of_pictures_are_never_taken(
        self, tmp_path: Path, clip: Path, srt: Path
    ) -> None:
        drawn, both = tmp_path / "drawn.mkv", tmp_path / "both.mkv"
        with av.open(str(drawn), "w") as container:
            stream = container.add_stream("dvdsub")
            packet = av.Packet(bytes(64))
            packet.stream, packet.pts, packet.dts, packet.duration = stream, 1000, 1000, 1000
            packet.time_base = Fraction(1, 1000)
            container.mux(packet)
        ffmpeg("-i", clip, "-i", drawn, "-map", "0", "-map", "1", "-c", "copy", both)
        assert embedded_cues(both) == ()
        ffmpeg(
            "-i", clip, "-i", drawn, "-i", srt, "-map", "0", "-map", "1", "-map", "2",
            "-c", "copy", "-disposition:s:0", "default", both,
        )  # fmt: skip
        with av.open(str(both)) as container:
            names = [stream.codec_context.name for stream in container.streams.subtitles]
        assert len(names) == 2
        assert names[0].startswith("dvd")
        assert embedded_cues(both) == CUES

    def test_a_damaged_file_gives_the_lines_up_to_there(
        self, tmp_path: Path, clip: Path, srt: Path
    ) -> None:
        path = tmp_path / "subtitled.mkv"
        ffmpeg("-i", clip, "-i", srt, "-map", "0", "-map", "1", "-c", "copy", path)
        data = path.read_bytes()
        path.write_bytes(data[: data.index(b"Bye") - 20])
        assert embedded_cues(path) == CUES[:1]

    def test_lines_that_do_not_decode_are_left_out(
        self, tmp_path: Path, clip: Path, srt: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "subtitled.mkv"
        ffmpeg("-i", clip, "-i", srt, "-map", "0", "-map", "1", "-c", "copy", path)
        path.write_bytes(path.read_bytes().replace("Grüße".encode(), b"Gr\xff\xfe\xff\xfee"))
        assert [cue.text for cue in embedded_cues(path)] == ["Bye"]
        assert "1 of its subtitles" in caplog.text

    def test_no_video_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceNotFoundError):
            embedded_cues(tmp_path / "absent.mkv")
        (tmp_path / "text.mkv").write_text("no video")
        with pytest.raises(VideoOpenError):
            embedded_cues(tmp_path / "text.mkv")
