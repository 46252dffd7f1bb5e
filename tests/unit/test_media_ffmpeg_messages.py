"""The decoder on OpenCV where H.264 is vouched for by what FFmpeg says, and where it is not."""

from __future__ import annotations

import ctypes
import logging
import signal
import threading
from collections import deque
from contextlib import closing
from functools import partial
from operator import methodcaller
from pathlib import Path
from types import ModuleType
from typing import Any

import av.logging
import numpy as np
import pytest
from tests.clock_clips import TENTHS, joined, write
from tests.damage_clips import H264, POINTS, intact, read, scribbled

from vidsearch.config import IngestSettings
from vidsearch.media import ffmpeg_messages, opencv
from vidsearch.media.ffmpeg_messages import Listener, listener_of
from vidsearch.media.frames import DEFAULT_LIMITS
from vidsearch.media.pyav import trusted_frames
from vidsearch.media.pyav.container import opened
from vidsearch.media.pyav.packets import read_packets
from vidsearch.media.readers import open_reader

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def listener() -> Listener:
    found = listener_of(cv2)
    if found is None:
        pytest.skip("this OpenCV does not let its FFmpeg be heard")
    return found


@pytest.fixture
def library(listener: Listener) -> ctypes.CDLL:
    folder = Path(str(cv2.__file__)).parent
    return ctypes.CDLL(str(next(folder.rglob("cv2*.so"))))


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways in which PyAV decodes a video; empty where it does not."""
    made: list[str] = []

    def told(name: str) -> Any:
        original = getattr(trusted_frames, name)

        def way(*arguments: Any, **settings: Any) -> Any:
            made.append(name)
            return original(*arguments, **settings)

        return way

    for name in ("planned_frames", "FrontToBack"):
        monkeypatch.setattr(trusted_frames, name, told(name))
    return made


@pytest.mark.parametrize("name", H264)
def test_intact_h264_is_decoded_by_opencv_alone(
    tmp_path: Path, name: str, listener: Listener, decodings: list[str]
) -> None:
    _, path, _ = intact(name, tmp_path)
    pictures, summary = read(path, "opencv")
    assert decodings == []
    others, their = read(path, "pyav")
    assert (summary, list(pictures)) == (their, list(others))
    for time, picture in pictures.items():
        np.testing.assert_array_equal(picture, others[time])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("packet", [0, 35, 79])
@pytest.mark.parametrize("name", ["h264-mp4", "h264-ts", "h264-slices"])
def test_pyav_decodes_once_the_codec_says_that_something_is_wrong(
    tmp_path: Path, name: str, packet: int, share: float, listener: Listener, decodings: list[str]
) -> None:
    clip, _, _ = intact(name, tmp_path)

    def change(number: int, data: bytes) -> bytes:
        begin = max(int(share * len(data)), 64)
        return data[:begin] + scribbled(packet)(number, data[begin:]) if number == packet else data

    path = clip.write(tmp_path, change)
    pictures, summary = read(path, "opencv")
    has_decoded = "FrontToBack" in decodings
    others, their = read(path, "pyav")
    assert (summary, list(pictures)) == (their, list(others))
    assert has_decoded >= (their.damaged > 0)


def test_damage_is_seen_where_nothing_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decodings: list[str]
) -> None:
    clip, whole, keys = intact("h264-mp4", tmp_path)
    path = clip.write(tmp_path, scribbled(keys[3]))
    heard = read(path, "opencv")[1]
    monkeypatch.setattr(opencv, "errors_are_heard", lambda: False)
    decodings.clear()
    assert read(whole, "opencv")[1].damaged == 0
    assert decodings == ["planned_frames"]
    assert read(path, "opencv")[1] == heard
    assert heard.damaged > 0


ENCODED: dict[str, tuple[bool, dict[str, str]]] = {
    "plain": (True, {}),
    "baseline": (True, {"profile": "baseline", "bf": "0"}),
    "interlaced": (False, {"flags": "+ildct", "x264-params": "tff=1"}),
    "said-for-each-picture": (False, {"x264-params": "pic-struct=1"}),
    "buffers": (True, {"x264-params": "nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900"}),
    "both": (False, {"x264-params": "nal-hrd=vbr:vbv-maxrate=900:vbv-bufsize=900:pic-struct=1"}),
    "described": (True, {"x264-params": "colorprim=bt709:overscan=show:chromaloc=1:sar=255/254"}),
    "scaling-lists": (True, {"x264-params": "cqm=jvt"}),
}


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
@pytest.mark.parametrize("name", ENCODED)
def test_h264_says_whether_it_says_all(tmp_path: Path, name: str, suffix: str) -> None:
    is_told, options = ENCODED[name]
    path = write(tmp_path / f"clip{suffix}", TENTHS[:10], **options)
    with opened(path) as video:
        assert read_packets(video).errors_are_told == is_told


def test_h264_whose_parameters_change_is_not_vouched_for(tmp_path: Path) -> None:
    parts = [
        write(tmp_path / f"{bf}.ts", [t + at for t in TENTHS], bf=bf)
        for at, bf in ((0, "0"), (3, "3"))
    ]
    with opened(joined(tmp_path / "clip.ts", *parts)) as video:
        assert not read_packets(video).errors_are_told


def test_who_has_opencv_print_its_messages_goes_on_reading_them(
    monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    monkeypatch.setenv("OPENCV_FFMPEG_LOGLEVEL", "24")
    assert listener_of.__wrapped__(cv2) is None


def test_nothing_is_heard_of_other_captures_afterwards(tmp_path: Path, listener: Listener) -> None:
    clip, _, keys = intact("h264-mp4", tmp_path)
    path = clip.write(tmp_path, scribbled(keys[3]))
    before = listener.errors
    read(path, "opencv")
    after = listener.errors
    assert after > before
    capture = cv2.VideoCapture(str(path))
    while capture.grab():
        pass
    capture.release()
    assert listener.errors == after


def test_messages_that_another_capture_took_over_count_as_damage(
    listener: Listener, library: ctypes.CDLL
) -> None:
    """As each one does that OpenCV 4 opens."""
    with listener.listening():
        before = listener.errors
        assert listener.errors == before
        library.av_log_set_callback(None)
        assert listener.errors > before
        again = listener.errors
        assert listener.errors == again
        library.av_log_set_callback(None)
        with listener.listening():
            assert listener.errors > again


def test_an_interrupt_that_comes_while_a_message_is_taken_is_not_lost(
    listener: Listener, library: ctypes.CDLL
) -> None:
    message = partial(library.av_log, None, 16, b"")
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    try:
        with listener.listening():
            before = listener.errors
            with pytest.raises(KeyboardInterrupt):  # no code of Python runs between the two
                deque(map(methodcaller("__call__"), [ctypes.pythonapi.PyErr_SetInterrupt, message]))
            assert listener.errors == before + 1
    finally:
        signal.signal(signal.SIGINT, usual)


def test_nothing_is_heard_in_a_process_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ffmpeg_messages, "_is_allowed", threading.Event())
    assert listener_of.__wrapped__(cv2) is None


def test_a_decoding_process_hears_the_codec(
    tmp_path: Path, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    clip, _, keys = intact("h264-mp4", tmp_path)
    path = clip.write(tmp_path, scribbled(keys[3]))
    caplog.set_level(logging.INFO, logger="vidsearch")
    settings = IngestSettings(decoder="opencv")
    with closing(open_reader(settings, limits=DEFAULT_LIMITS)) as reader:
        frames = reader.frames(path, rate=POINTS)
        assert sum(len(batch.pts_seconds) for batch in frames) + frames.summary.damaged == 40
    assert frames.summary.damaged > 0
    assert "the codec reports an error" in caplog.text


def test_nothing_is_heard_through_a_library_that_pyav_speaks_through_too() -> None:
    """What PyAV's users do with its messages goes on."""
    of_pyav = ModuleType("cv2")
    of_pyav.__file__ = av.logging.__file__
    assert listener_of.__wrapped__(of_pyav) is None
