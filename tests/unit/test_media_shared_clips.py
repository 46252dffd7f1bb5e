"""Every real clip ends as frames or as an error that says why."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vidsearch.errors import NoFramesError, VideoError, VideoOpenError
from vidsearch.media import Decoder, FrameBatch, open_decoder
from vidsearch.testing.decoder_contract import expected_frames

av = pytest.importorskip("av")

_CLIPS = 49
_UNREADABLE: dict[str, tuple[type[VideoError], str]] = {
    "mp4parse_opus_audioinit.mp4": (VideoOpenError, "no video stream, only audio"),
    "mp4parse_zero_empty_stsc.mp4": (NoFramesError, "promises 1040 frames of 1280x720"),
}
_NOT_BY_OPENCV = {
    # OpenCV's own FFmpeg decodes AV1 on special hardware only.
    "mp4parse_tiny_av1.mp4": (NoFramesError, "cannot decode AV01"),
    "torchcodec_av1_video.mkv": (NoFramesError, "cannot decode AV01"),
}
_SIZES = {  # (height, width) as displayed
    "decord_video_0.mov": (320, 568),
    "decord_video_90.mov": (568, 320),
    "decord_video_180.mov": (320, 568),
    "decord_video_270.mov": (568, 320),
    "mp4parse_video_rotation_90.mp4": (100, 60),
    "moviepy_fire2.mp4": (720, 1280),
    "intel_preview_person-bicycle-car-detection.gif": (270, 480),
    "moviepy_transparent.webm": (200, 200),
}
_FRAMES = {
    "decord_corrupted.mp4": 3,
    "moviepy_no_duration.webm": 5,
    "moviepy_transparent.webm": 5,
    "moviepy_fire2.mp4": 3,
    "mp4parse_white.mp4": 10,
    "vitrivr_color_test.mp4": 3,
    "decord_unordered.mov": 1,
}
_DAMAGED = {"decord_corrupted.mp4": 2}  # from the one packet on that does not decode
_ENDS = {"moviepy_no_duration.webm": 4.939, "decord_corrupted.mp4": 5.0, "cve_vid1.mp4": 2.24}


@pytest.fixture(scope="module")
def clips(shared: Path) -> Path:
    lines = (shared / "clips" / "MANIFEST.jsonl").read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == _CLIPS
    return shared / "clips"


def names() -> list[str]:
    folder = Path(__file__).resolve().parents[3] / "shared" / "clips"
    return sorted(p.name for p in folder.glob("*") if p.suffix != ".jsonl") or ["no clips here"]


def container_times(path: Path) -> list:
    """Presentation times of the frames that decode, by PyAV, from the first one on."""
    times = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        try:
            for frame in container.decode(stream):
                times.append(frame.pts * stream.time_base)
        except av.FFmpegError:
            return []  # damaged: PyAV stops at the first broken packet
    return [time - times[0] for time in times]


@pytest.mark.parametrize("name", names())
def test_real_clip_gives_frames_or_is_refused_with_the_reason(
    clips: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = clips / name
    decoder = open_decoder()
    if name in _UNREADABLE:
        for each in (decoder, open_decoder("opencv")):
            _ends_with(*_UNREADABLE[name], each, path)
        return

    with caplog.at_level("INFO", logger="vidsearch"):
        frames = decoder.frames(path)
        data = list(frames)
    assert bool(caplog.messages) == (name in _DAMAGED), caplog.messages
    times = np.concatenate([batch.pts_seconds for batch in data])
    info = decoder.probe(path)
    end = frames.summary.end_seconds
    assert {batch.data.shape[1:3] for batch in data} == {(info.height, info.width)}
    assert (np.diff(times) >= 0).all()
    assert end is not None
    assert times[-1] < end
    # One frame per second of what was read, the first at 0.
    assert frames.summary.points == max(1, int(np.ceil(end - 1e-3 - 1e-6)))
    assert frames.summary.damaged == _DAMAGED.get(name, 0)
    assert len(times) == frames.summary.points - frames.summary.damaged
    if name in _SIZES:
        assert (info.height, info.width) == _SIZES[name]
    if name in _FRAMES:
        assert len(times) == _FRAMES[name]
    if name in _ENDS:
        assert end == pytest.approx(_ENDS[name], abs=2e-3)
    if exact := container_times(path):
        shown = expected_frames(exact)
        np.testing.assert_allclose(
            times[: len(shown)], [float(exact[index]) for index in shown], atol=1e-3
        )
    _the_same_by_opencv(data, path)


def _the_same_by_opencv(ours: list[FrameBatch], path: Path) -> None:
    decoder = open_decoder("opencv")
    if path.name in _NOT_BY_OPENCV:
        _ends_with(*_NOT_BY_OPENCV[path.name], decoder, path)
        return
    info = decoder.probe(path)
    assert ours[0].data.shape[1:3] == (info.height, info.width)
    frames = decoder.frames(path)
    for batch, theirs in zip(ours, frames, strict=True):
        np.testing.assert_array_equal(batch.data, theirs.data)
        np.testing.assert_allclose(batch.pts_seconds, theirs.pts_seconds, atol=2e-3)
    assert frames.summary.damaged == _DAMAGED.get(path.name, 0)


def _ends_with(error: type[VideoError], message: str, decoder: Decoder, path: Path) -> None:
    with pytest.raises(error, match=message) as caught:
        list(decoder.frames(path))
    assert path.name in str(caught.value)


def test_colours_of_a_real_file_are_right(clips: Path) -> None:
    (batch,) = open_decoder().frames(clips / "vitrivr_color_test.mp4")
    assert batch.data.mean((1, 2)).argmax(1).tolist() == [0, 1, 2]  # red, green, blue


def test_clip_without_frames_can_be_probed(clips: Path) -> None:
    info = open_decoder().probe(clips / "mp4parse_zero_empty_stsc.mp4")
    assert (info.width, info.height) == (1280, 720)
    assert open_decoder().probe(clips / "moviepy_no_duration.webm").duration is None


def test_ffmpeg_prints_nothing_on_stderr(clips: Path, capfd: pytest.CaptureFixture[str]) -> None:
    decoder = open_decoder()
    for name in ("decord_corrupted.mp4", *_UNREADABLE):
        try:
            list(decoder.frames(clips / name))
        except VideoError:
            continue
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_memory_does_not_grow_with_the_number_of_frames(clips: Path) -> None:
    """720 frames of 1280x720 are 2 GB; one batch is 11 MB."""
    code = (
        "import sys; from pathlib import Path; from vidsearch.media import open_decoder\n"
        "frames = open_decoder().frames(Path(sys.argv[1]), rate=24, batch_size=4)\n"
        "print(sum(len(batch.pts_seconds) for batch in frames))\n"
        # Not ru_maxrss: a child inherits that from the process that started it.
        "print(Path('/proc/self/status').read_text())"
    )
    path = clips / "moviepy_big_buck_bunny_0_30.webm"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    frames, status = done.stdout.split("\n", 1)
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert int(frames) == 720
    assert peak is not None
    assert int(peak[1]) < 300_000
