"""A reader is a decoder, wherever its codec runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from tests.programs import ffmpeg

from vidsearch.config import IngestSettings
from vidsearch.media.frames import DEFAULT_LIMITS, Cue, Decoder, MediaLimits, MediaReader
from vidsearch.media.readers import open_reader
from vidsearch.testing.clips import write_clip
from vidsearch.testing.decoder_contract import DecoderContract, MakeDecoder

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

    @pytest.fixture
    def make_decoder(self, settings: IngestSettings) -> Iterator[MakeDecoder]:
        """Readers with other settings, closed in the end."""
        with ExitStack() as made:

            def make(*, limits: MediaLimits = DEFAULT_LIMITS, max_damaged: float = 0.5) -> Decoder:
                changed = settings.model_copy(update={"max_damaged": max_damaged})
                return made.enter_context(closing(open_reader(changed, limits=limits)))

            yield make

    def test_reader_follows_the_protocol(self, reader: MediaReader) -> None:
        assert isinstance(reader, MediaReader)

    def test_cues_are_the_lines_of_the_subtitle_track(self, reader: MediaReader, red: Path) -> None:
        path = _with_subtitles(red)
        assert reader.cues(path) == (Cue(1.0, 2.5, "A red circle"), Cue(3.0, 3.5, "turns"))

    def test_cues_of_a_language_are_those_of_its_track(
        self, reader: MediaReader, red: Path
    ) -> None:
        path = _with_subtitles(red, language="ger")
        assert len(reader.cues(path, languages=("fr", "de"))) == 2
        assert reader.cues(path, languages=["en"]) == ()

    def test_a_file_without_subtitles_has_no_cues(self, reader: MediaReader, red: Path) -> None:
        assert reader.cues(red) == ()

    def test_shots_are_the_times_of_the_cuts(self, reader: MediaReader, tmp_path: Path) -> None:
        pytest.importorskip("scenedetect")
        path = write_clip(
            tmp_path / "cut.mp4",
            [i / 10 for i in range(60)],
            picture=lambda number: _COLOURS[number // 30],
            rate=10,
        )
        assert reader.shots(path) == pytest.approx((3.0,), abs=0.01)

    def test_a_closed_reader_can_be_used_again(self, reader: MediaReader, red: Path) -> None:
        before = reader.probe(red)
        reader.close()
        reader.close()
        assert reader.probe(red) == before


def _with_subtitles(clip: Path, *, language: str = "und") -> Path:
    lines = clip.with_suffix(".srt")
    lines.write_text(_SUBTITLES)
    path = clip.with_suffix(".mkv")
    tag = ("-metadata:s:s:0", f"language={language}")
    ffmpeg("-i", clip, "-i", lines, "-c", "copy", *tag, path)
    return path


class TestInThisProcess(ReaderContract):
    @pytest.fixture
    def settings(self) -> IngestSettings:
        return IngestSettings(isolate=False)

    @pytest.fixture
    def reader(self, settings: IngestSettings) -> MediaReader:
        return open_reader(settings, limits=MediaLimits())


class Isolated(ReaderContract):
    """One process reads the clips of all tests, as that of a worker does."""

    @pytest.fixture
    def reader(self, settings: IngestSettings, warm: dict[str, MediaReader]) -> MediaReader:
        if settings.decoder not in warm:
            warm[settings.decoder] = open_reader(settings, limits=MediaLimits())
        return warm[settings.decoder]


class TestPyAvInAChildProcess(Isolated):
    @pytest.fixture
    def settings(self) -> IngestSettings:
        return IngestSettings(decoder="pyav", stall_seconds=30)


class TestOpenCvInAChildProcess(Isolated):
    @pytest.fixture
    def settings(self) -> IngestSettings:
        return IngestSettings(decoder="opencv", stall_seconds=30)


@pytest.fixture(scope="module")
def warm() -> Iterator[dict[str, MediaReader]]:
    """Readers by the name of their decoder."""
    readers: dict[str, MediaReader] = {}
    yield readers
    for reader in readers.values():
        reader.close()
