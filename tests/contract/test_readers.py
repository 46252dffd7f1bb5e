"""A reader is a decoder, wherever its codec runs."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vidsearch.config import IngestSettings
from vidsearch.media.frames import MediaLimits
from vidsearch.media.reader import Cue, MediaReader, open_reader
from vidsearch.testing.clips import write_clip
from vidsearch.testing.decoder_contract import DecoderContract

_COLOURS = [np.full((96, 128, 3), colour, np.uint8) for colour in ((200, 30, 30), (30, 30, 200))]
_SUBTITLES = """1
00:00:01,000 --> 00:00:02,500
A <i>red</i> circle

2
00:00:03,000 --> 00:00:03,500
turns
"""


class ReaderContract(DecoderContract):
    """What decoders promise, and the rest of the seam."""

    @pytest.fixture
    def decoder(self, reader: MediaReader) -> MediaReader:
        return reader

    def test_it_is_a_reader(self, reader: MediaReader) -> None:
        assert isinstance(reader, MediaReader)

    def test_cues(self, reader: MediaReader, red: Path) -> None:
        path = _with_subtitles(red)
        assert reader.cues(path) == (Cue(1.0, 2.5, "A red circle"), Cue(3.0, 3.5, "turns"))

    def test_no_cues(self, reader: MediaReader, red: Path) -> None:
        assert reader.cues(red) == ()

    def test_shots(self, reader: MediaReader, tmp_path: Path) -> None:
        pytest.importorskip("scenedetect")
        path = write_clip(
            tmp_path / "cut.mp4",
            [i / 10 for i in range(60)],
            picture=lambda number: _COLOURS[number // 30],
            rate=10,
        )
        assert reader.shots(path) == pytest.approx((3.0,), abs=0.01)

    def test_closing_gives_up_nothing_that_is_needed(self, reader: MediaReader, red: Path) -> None:
        before = reader.probe(red)
        reader.close()
        reader.close()
        assert reader.probe(red) == before


def _with_subtitles(clip: Path) -> Path:
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg command here, which puts the subtitles into the file")
    lines = clip.with_suffix(".srt")
    lines.write_text(_SUBTITLES)
    path = clip.with_suffix(".mkv")
    command = ["ffmpeg", "-v", "error", "-i", str(clip), "-i", str(lines), "-c", "copy", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


class TestInThisProcess(ReaderContract):
    @pytest.fixture
    def reader(self) -> MediaReader:
        return open_reader(IngestSettings(isolate=False), limits=MediaLimits())


@pytest.fixture(scope="module", params=["pyav", "opencv"])
def warm(request: pytest.FixtureRequest) -> Iterator[MediaReader]:
    """Its process reads the clips of all tests, as that of a worker does."""
    settings = IngestSettings(decoder=request.param, stall_seconds=30)
    reader = open_reader(settings, limits=MediaLimits())
    yield reader
    reader.close()


class TestInAChildProcess(ReaderContract):
    @pytest.fixture
    def reader(self, warm: MediaReader) -> MediaReader:
        return warm
