"""What cannot be read is refused with its reason; what is damaged gives frames or a reason."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidsearch.errors import NoFramesError, VideoDamagedError, VideoError, VideoOpenError
from vidsearch.media import Decoder, open_decoder
from vidsearch.testing.clips import read_counter
from vidsearch.testing.odd_clips import Track, damaged_copies, patched, write_tracks

pytest.importorskip("av")

_PLAIN = Track()
_KEY = {
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


@pytest.fixture
def decoder() -> Decoder:
    return open_decoder("pyav")


def _read(decoder: Decoder, path: Path, *, rate: float = 1.0) -> tuple[list[int], list[float]]:
    batches = list(decoder.frames(path, rate=rate))
    numbers = [read_counter(frame) for batch in batches for _, frame in batch.frames()]
    return numbers, [round(float(time), 3) for batch in batches for time in batch.pts_seconds]


class TestWhatIsNoVideo:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", r"is empty \(0 bytes\)"),
            (bytes(100_000), "nothing but zero bytes: it was not copied or downloaded completely"),
            (b"<!DOCTYPE html><html><body>Sign in</body></html>", r"is a web page \(HTML\)"),
            ("\ufeff <HTML><head></head></HTML>".encode(), r"is a web page \(HTML\)"),
            ("<html>ä</html>".encode("utf-16"), r"is a web page \(HTML\)"),
            (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "error message of"),
            (b"<?xml version='1.0'?><a/>", "is an XML file"),
            (b'{"error": "not found"}', "is a text file"),
            (b"just some words\n" * 300, "is a text file"),
            (b"WEBVTT\n\n00:00.000 --> 00:01.000\nhi\n", "subtitle file"),
            (b"1\n00:00:00,000 --> 00:00:01,000\nhi\n", "subtitle file"),
            (b"%PDF-1.7\n%\xe2\xe3", "PDF document"),
            (b"\x1f\x8b\x08\0" + bytes(range(256)), "gzip archive"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
            (bytes(range(256)) * 20, "is not a readable video"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    @pytest.mark.parametrize("name", ["clip.mp4", "clip"])
    def test_a_file_of_another_kind_is_named(
        self, decoder: Decoder, tmp_path: Path, content: bytes, reason: str, name: str
    ) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        _refused(decoder, path, f"^{name} .*{reason}")

    def test_a_zip_archive_is_named(self, decoder: Decoder, tmp_path: Path) -> None:
        clip = write_tracks(tmp_path / "clip.mp4", _PLAIN)
        with zipfile.ZipFile(tmp_path / "clips.zip", "w") as archive:
            archive.write(clip, "clip.mp4")
        _refused(decoder, tmp_path / "clips.zip", "is a ZIP archive.*unpack it first")

    def test_named_pipe_is_refused_at_once(self, decoder: Decoder, tmp_path: Path) -> None:
        import os

        os.mkfifo(tmp_path / "clip.mp4")
        _refused(decoder, tmp_path / "clip.mp4", "is not a regular file")


class TestLockedAndCut:
    @pytest.mark.parametrize("name", ["clip.mp4", "clip.mov"])
    def test_an_encrypted_video_is_refused(
        self, decoder: Decoder, tmp_path: Path, name: str
    ) -> None:
        path = write_tracks(tmp_path / "plain.mp4", _PLAIN, options=_KEY).rename(tmp_path / name)
        _refused(decoder, path, rf"^{name} is encrypted \(DRM\); register a copy without")

    def test_video_with_an_encrypted_audio_track_is_read(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_tracks(tmp_path / "clip.mp4", _PLAIN, seconds_of_sound=1)
        content = path.read_bytes()
        path = patched(path, tmp_path / "enca.mp4", [(content.index(b"mp4a"), b"enca")])
        assert _read(decoder, path)[0] == [0, 10, 20]

    @pytest.mark.parametrize(
        "content",
        [
            b"\0\0\0\x01ftyp" + b"\xff" * 8 + bytes(100),
            b"\0\0\0\x08ftyp"
            + b"".join((8 * n).to_bytes(4, "big") + b"moov" for n in range(9999, 0, -1)),
            b"\0\0\0\x08ftyp" + b"\0\0\0\x08free" * 300_000,
            b"\0\0\0\x08ftyp\0\0\0\0moov\0\0\0\x10trak",
        ],
        ids=["enormous", "nested", "many", "endless"],
    )
    def test_a_bomb_of_boxes_is_refused_in_time(
        self, decoder: Decoder, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "bomb.mp4"
        path.write_bytes(content)
        start = time.process_time()
        _refused(decoder, path, r"^bomb\.mp4 ")
        assert time.process_time() - start < 5

    def test_a_file_cut_off_before_its_index_is_refused(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        whole = write_tracks(tmp_path / "clip.mp4", _PLAIN).read_bytes()
        path = tmp_path / "cut.mp4"
        for length in (40, len(whole) // 2, whole.index(b"moov") - 4):
            path.write_bytes(whole[:length])
            _refused(decoder, path, r"without its index \(moov\): the recording or the upload")

    def test_a_file_cut_off_within_its_index_is_refused(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        whole = write_tracks(tmp_path / "clip.mp4", _PLAIN, options={"movflags": "faststart"})
        content = whole.read_bytes()
        path = tmp_path / "cut.mp4"
        for box in (b"stts", b"stsz", b"stco", b"trak", b"mdia"):
            path.write_bytes(content[: content.index(box) + 4])
            with pytest.raises((VideoOpenError, NoFramesError), match=r"cut\.mp4"):
                list(decoder.frames(path))

    @pytest.mark.parametrize(
        ("name", "flags", "box", "reason"),
        [
            (
                "clip.mp4",
                "faststart",
                b"trak",
                r"is an MP4 or MOV that breaks off within its index",
            ),
            (
                "clip.mp4",
                "frag_keyframe+empty_moov",
                b"trak",
                r"breaks off within its index \(moov\)",
            ),
            (
                "clip.mp4",
                "frag_keyframe+empty_moov",
                b"trun",
                "is a fragmented MP4 that breaks off within its first fragment: the recording",
            ),
        ],
    )
    def test_a_file_cut_off_within_a_box_is_refused_with_the_box(
        self, decoder: Decoder, tmp_path: Path, name: str, flags: str, box: bytes, reason: str
    ) -> None:
        whole = write_tracks(tmp_path / name, _PLAIN, options={"movflags": flags}).read_bytes()
        path = tmp_path / "cut.mp4"
        path.write_bytes(whole[: whole.index(box) + 20])
        _refused(decoder, path, reason)

    @pytest.mark.parametrize(
        ("name", "track", "form"),
        [
            ("clip.flv", Track(frames=12, codec="flv"), "FLV"),
            ("clip.mkv", _PLAIN, "Matroska or WebM"),
            ("clip.avi", Track(frames=12, codec="mpeg4"), "AVI"),
            ("clip.ts", Track(frames=12, codec="mpeg2video"), "MPEG transport stream"),
        ],
    )
    def test_a_file_cut_off_within_its_header_is_refused_with_its_format(
        self, decoder: Decoder, tmp_path: Path, name: str, track: Track, form: str
    ) -> None:
        whole = write_tracks(tmp_path / name, track).read_bytes()
        path = tmp_path / f"cut-{name}"
        for length in (13, 30, 100) if form != "MPEG transport stream" else (400,):
            path.write_bytes(whole[:length])
            _refused(decoder, path, f"it begins as {form}, then it is damaged or cut off$")

    def test_a_scrambled_transport_stream_is_refused(
        self, decoder: Decoder, tmp_path: Path
    ) -> None:
        path = write_tracks(tmp_path / "clip.ts", Track(frames=30, codec="mpeg2video"))
        content = bytearray(path.read_bytes())
        noise = np.random.default_rng(1)
        for at in range(0, len(content), 188):
            if (content[at + 1] & 31, content[at + 2]) == (1, 0):  # the picture's packets
                content[at + 3] |= 0x80
                begin = at + 4 + (content[at + 3] & 0x20 and 1 + content[at + 4])
                content[begin : at + 188] = noise.bytes(at + 188 - begin)
        path.write_bytes(content)
        _refused(decoder, path, r"clip\.ts is a scrambled broadcast \(conditional access\)")

    @pytest.mark.parametrize(
        ("name", "options"), [("clip.mp4", {"movflags": "faststart"}), ("clip.mkv", {})]
    )
    def test_file_cut_off_after_its_index_gives_its_frames(
        self, decoder: Decoder, tmp_path: Path, name: str, options: dict[str, str]
    ) -> None:
        track = Track(frames=100, options={"g": "10", "crf": "0"})
        whole = write_tracks(tmp_path / name, track, options=options)
        content = whole.read_bytes()
        path = tmp_path / f"cut-{name}"
        path.write_bytes(content[: len(content) * 3 // 4])
        numbers, times = _read(decoder, path)
        assert 4 <= len(numbers) <= 10
        wanted = [10 * number for number in range(len(numbers))]
        # The last point may show the frame before its own, which is cut off.
        assert numbers[:-1] == wanted[:-1]
        assert times[:-1] == list(range(len(numbers) - 1))

    def test_missing_frames_of_a_cut_off_file_count_as_damaged(self, tmp_path: Path) -> None:
        track = Track(frames=100, options={"g": "10", "crf": "0"})
        whole = write_tracks(tmp_path / "clip.mp4", track, options={"movflags": "faststart"})
        content = whole.read_bytes()
        path = tmp_path / "cut.mp4"
        path.write_bytes(content[: len(content) * 3 // 4])
        stream = open_decoder("pyav").frames(path)
        frames = sum(len(batch) for batch in stream)
        assert frames < 10
        assert frames + stream.summary.damaged == 10
        undamaged = open_decoder("pyav").frames(whole)
        assert sum(len(batch) for batch in undamaged) == 10
        assert undamaged.summary.damaged == 0
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(VideoDamagedError, match=r"cut\.mp4: \d of 10 frames"):
            list(open_decoder("pyav").frames(path))

    def test_mostly_cut_off_movie_is_refused_as_damaged(self, tmp_path: Path) -> None:
        track = Track(frames=100, options={"g": "10", "bf": "0"})
        whole = write_tracks(tmp_path / "clip.mp4", track, options={"movflags": "faststart"})
        content = bytearray(whole.read_bytes())
        start = content.index(b"mdat") + 4 + (len(content) - content.index(b"mdat")) // 10
        content[start:] = bytes(len(content) - start)
        path = tmp_path / "zeroed.mp4"
        path.write_bytes(content)
        with pytest.raises((VideoDamagedError, NoFramesError), match=r"zeroed\.mp4"):
            list(open_decoder("pyav", max_damaged=0.2).frames(path))


class TestFuzz:
    """Whatever the bytes: frames, or one of our errors."""

    @pytest.mark.parametrize(
        ("name", "track", "options", "count"),
        [
            ("clip.mp4", Track(frames=12, options={"g": "5"}), {}, 70),
            ("clip.mp4", Track(frames=12), {"movflags": "frag_keyframe+empty_moov"}, 40),
            ("clip.mkv", Track(frames=12, codec="mpeg4"), {}, 50),
            ("clip.webm", Track(frames=12, codec="libvpx"), {}, 40),
            ("clip.avi", Track(frames=12, codec="mjpeg", pixel_format="yuvj420p"), {}, 40),
            ("clip.ts", Track(frames=12, codec="mpeg2video"), {}, 40),
            ("clip.gif", Track(frames=6, codec="gif", pixel_format="rgb8"), {}, 40),
            ("clip.flv", Track(frames=12, codec="flv"), {}, 30),
            ("clip.mov", Track(frames=6, codec="prores_ks", pixel_format="yuv422p10le"), {}, 30),
        ],
        ids=["mp4", "fragmented", "mkv", "webm", "avi", "ts", "gif", "flv", "mov"],
    )
    def test_damaged_bytes_give_frames_or_a_video_error(
        self,
        tmp_path: Path,
        name: str,
        track: Track,
        options: dict[str, str],
        count: int,
    ) -> None:
        whole = write_tracks(tmp_path / name, track, options=options).read_bytes()
        decoder = open_decoder("pyav")
        path = tmp_path / f"damaged-{name}"
        good = 0
        messages = []
        for content in damaged_copies(whole, count=count, seed=4):
            path.write_bytes(content)
            for use in (_probed, _all_frames):
                try:
                    use(decoder, path)
                    good += 1
                except VideoError as error:
                    messages.append(str(error))
        assert good
        assert all(path.name in message for message in messages)


def _refused(decoder: Decoder, path: Path, reason: str) -> None:
    for use in (_probed, _all_frames):
        with pytest.raises(VideoOpenError, match=reason):
            use(decoder, path)


def _probed(decoder: Decoder, path: Path) -> None:
    decoder.probe(path)


def _all_frames(decoder: Decoder, path: Path) -> list[NDArray[np.uint8]]:
    return [frame for batch in decoder.frames(path) for _, frame in batch.frames()]
