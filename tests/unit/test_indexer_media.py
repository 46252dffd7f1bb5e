"""What ingestion does with subtitles, pictures, cuts, damage and guards, on real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.programs import ffmpeg

from vidsearch.config import IndexSettings, IngestSettings, SourceSettings
from vidsearch.embeddings import FrameEmbedder
from vidsearch.embeddings.segment_policy import SegmentPolicy
from vidsearch.errors import ConfigError, DecoderFailedError
from vidsearch.index import create_videos_index
from vidsearch.ingest import Indexer
from vidsearch.media import Cue, MediaLimits, ThumbnailStore
from vidsearch.media.direct_reader import DirectReader
from vidsearch.registry import Registry, State
from vidsearch.testing.clips import write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

_COLOURS = [(220, 30, 30), (30, 30, 220), (30, 200, 30)]
_SRT = """1
00:00:00,500 --> 00:00:03,000
A <i>red</i> wall.

2
00:00:05,000 --> 00:00:07,000
Now it is blue.
"""


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve seconds: four red, four blue, four green."""
    folder = tmp_path / "videos"
    folder.mkdir()

    def picture(number: int) -> np.ndarray:
        frame = np.full((96, 128, 3), _COLOURS[number // 40], dtype=np.uint8)
        frame[40:56, number : number + 8] = 255
        return frame

    return write_clip(
        folder / "clip.mp4",
        [i / 10 for i in range(120)],
        picture=picture,
        rate=10,
        options={"g": "10", "bf": "0"},
    )


class Bench:
    """An indexer on the fake engine and encoder, with the settings of one test."""

    def __init__(
        self,
        *,
        index: IndexSettings | None = None,
        ingest: IngestSettings | None = None,
        sources: SourceSettings | None = None,
        thumbnails: ThumbnailStore | None = None,
        limits: MediaLimits | None = None,
        engine: MemoryEngine | None = None,
    ) -> None:
        index, ingest = index or IndexSettings(), ingest or IngestSettings()
        self.memory = engine or MemoryEngine()
        if engine is None:
            create_videos_index(self.memory, index, FakeEncoder().identity)
        self.registry = Registry(
            self.memory, index=index.registry, lease_seconds=30, max_attempts=2
        )
        self.indexer = Indexer(
            self.memory,
            self.registry,
            embedder=FrameEmbedder.of(
                ingest,
                reader=DirectReader("pyav", limits=limits or MediaLimits()),
                encoder=FakeEncoder(),
                batch_size=4,
            ),
            index=index,
            settings=ingest,
            sources=sources,
            thumbnails=thumbnails,
        )

    def ingest(self, uri: Path | str) -> str:
        self.registry.register("a", uri=str(uri))
        return self.indexer.ingest("a", owner="w").status

    @property
    def video(self) -> dict[str, Any]:
        document = self.memory.get("videos", "a")
        assert document is not None
        ours: dict[str, Any] = document.source["video"]
        return ours

    @property
    def error(self) -> str:
        assert self.registry.get("a").state is State.FAILED
        return str(self.registry.get("a").error)


def test_subtitle_file_is_stored_per_segment_and_whole(clip: Path) -> None:
    clip.with_suffix(".srt").write_text(_SRT, encoding="utf-8")
    bench = Bench(index=IndexSettings(segment_seconds=4))
    assert bench.ingest(clip) == "indexed"
    texts = [segment.get("text") for segment in bench.video["segments"]]
    assert texts == ["A red wall.", "Now it is blue.", None]
    assert bench.video["subtitles"] == "A red wall. Now it is blue."


def test_new_subtitle_file_is_indexed_again(clip: Path) -> None:
    bench = Bench()
    assert bench.ingest(clip) == "indexed"
    assert "subtitles" not in bench.video
    bench.registry.reopen("a")
    assert bench.indexer.ingest("a", owner="w").status == "unchanged"
    clip.with_suffix(".srt").write_text(_SRT, encoding="utf-8")
    bench.registry.reopen("a")
    assert bench.indexer.ingest("a", owner="w").status == "indexed"
    assert "blue" in bench.video["subtitles"]


@pytest.mark.parametrize(
    ("languages", "files", "expected"),
    [
        ((), {"": "none", "en": "en"}, "none"),
        ((), {"ger": "de", "en": "en"}, "de"),
        ((), {"en": "en"}, "en"),
        ((), {}, "track"),
        ((), {"en.forced": "forced"}, "track"),
        (("en", "de"), {"": "none", "de": "de", "en": "en"}, "en"),
        (("it", "de"), {"": "none", "de": "de", "en": "en"}, "de"),
        (("it",), {"": "none", "de": "de"}, "none"),
        (("it",), {"de": "de"}, "de"),
        (("fr", "de"), {"de": "de", "": "none"}, "track"),
        (("de", "fr"), {"de": "de", "": "none"}, "de"),
        (("fr",), {"fr": "file", "de": "de"}, "file"),
        (("fr",), {"": "none", "fr.forced": "forced"}, "track"),
        (("de", "fr"), {"de": ""}, "track"),  # it holds no line
        (("it",), {}, "track"),
    ],
)
def test_subtitles_are_chosen_by_language(
    clip: Path, languages: tuple[str, ...], files: dict[str, str], expected: str
) -> None:
    """The video has a French track."""
    line = "1\n00:00:01,000 --> 00:00:03,000\n{}\n"
    lines, path = clip.with_name("lines.srt"), clip.with_name("talk.mkv")
    lines.write_text(line.format("track"))
    ffmpeg("-i", clip, "-i", lines, "-c", "copy", "-metadata:s:s:0", "language=fre", path)
    for tag, text in files.items():
        name = f"talk.{tag}.srt" if tag else "talk.srt"
        clip.with_name(name).write_text(line.format(text) if text else "")
    bench = Bench(ingest=IngestSettings(subtitle_languages=languages))
    assert bench.ingest(path) == "indexed"
    assert bench.video["subtitles"] == expected


def test_other_languages_index_the_video_again(clip: Path) -> None:
    for language in ("de", "en"):
        clip.with_name(f"clip.{language}.srt").write_text(_SRT.replace("red", language))
    bench = Bench()
    assert bench.ingest(clip) == "indexed"
    assert "de" in bench.video["subtitles"]
    other = Bench(ingest=IngestSettings(subtitle_languages=("en",)), engine=bench.memory)
    other.registry.reopen("a")
    assert other.indexer.ingest("a", owner="w").status == "indexed"
    assert "A en wall." in bench.video["subtitles"]


def test_name_that_is_not_utf8_is_indexed_or_fails_with_its_reason(clip: Path) -> None:
    # Python reads the byte 0xE9 as half a surrogate pair, which no JSON takes.
    link, target = clip.with_name("link.mp4"), clip.with_name("caf\udce9.mp4")
    content = clip.rename(target).read_bytes()
    link.symlink_to(target)
    clip.with_name("caf\udce9.txt").write_text(_SRT)
    clip.with_name("link.srt").symlink_to("caf\udce9.txt")
    for uri in (str(link), f"{clip.parent.as_uri()}/link.mp4", target.as_uri()):
        bench = Bench()
        target.write_bytes(content)
        assert bench.ingest(uri) == "indexed"
        assert ("subtitles" in bench.video) == (uri != target.as_uri())
        target.write_bytes(b"no video")
        bench.registry.reopen("a")
        assert bench.indexer.ingest("a", owner="w").status == "failed"
        assert "VideoOpenError" in bench.error
        assert bench.error.encode()


def test_subtitles_switched_off_are_not_stored(clip: Path) -> None:
    clip.with_suffix(".srt").write_text(_SRT, encoding="utf-8")
    bench = Bench(ingest=IngestSettings(subtitles=False))
    assert bench.ingest(clip) == "indexed"
    assert "subtitles" not in bench.video
    assert all("text" not in segment for segment in bench.video["segments"])


def test_every_segment_gets_its_own_thumbnail(clip: Path, tmp_path: Path) -> None:
    store = ThumbnailStore(str(tmp_path / "pictures"))
    bench = Bench(index=IndexSettings(segment_seconds=4), thumbnails=store)
    assert bench.ingest(clip) == "indexed"
    keys = [segment["thumbnail"] for segment in bench.video["segments"]]
    assert len(set(keys)) == 3
    for key, colour in zip(keys, _COLOURS, strict=True):
        with Image.open(tmp_path / "pictures" / key) as picture:
            assert picture.format == "WEBP"
            mean = np.asarray(picture.convert("RGB")).mean((0, 1))
        assert mean.argmax() == np.argmax(colour)


def test_unusable_thumbnail_store_uses_up_no_attempt(clip: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "a file"
    blocked.write_text("not a folder")
    bench = Bench(thumbnails=ThumbnailStore(str(blocked / "pictures")))
    bench.registry.register("a", uri=str(clip))
    outcome = bench.indexer.ingest("a", owner="w")
    assert outcome.status == "retry"
    assert isinstance(outcome.error, ConfigError)
    assert "a file" in str(outcome.error)
    record = bench.registry.get("a")
    assert (record.state, record.attempts) == (State.REGISTERED, 0)
    assert record.error is not None
    assert record.error.stage == "thumbnails"


@pytest.mark.parametrize("method", ["semantic", "shots"])
def test_segments_end_where_the_picture_changes(clip: Path, method: Any) -> None:
    bench = Bench(index=IndexSettings(segments=method))
    assert bench.ingest(clip) == "indexed"
    segments = bench.video["segments"]
    assert [round(segment["start"]) for segment in segments] == [0, 4, 8]
    assert [segment["end"] for segment in segments[:-1]] == [s["start"] for s in segments[1:]]
    assert segments[-1]["end"] == pytest.approx(12, abs=0.01)


def test_segments_overlap_by_the_setting(clip: Path) -> None:
    bench = Bench(index=IndexSettings(segment_seconds=6, segment_overlap=3))
    assert bench.ingest(clip) == "indexed"
    starts = [segment["start"] for segment in bench.video["segments"]]
    ends = [segment["end"] for segment in bench.video["segments"]]
    assert starts == pytest.approx([0, 3, 6], abs=0.01)
    assert ends == pytest.approx([6, 9, 12], abs=0.01)


def test_other_segment_policy_is_indexed_again(clip: Path) -> None:
    bench = Bench()
    assert bench.ingest(clip) == "indexed"
    other = Bench(index=IndexSettings(segments="semantic"), engine=bench.memory)
    bench.registry.reopen("a")
    assert other.indexer.ingest("a", owner="w").status == "indexed"
    assert len(other.video["segments"]) == 3


def test_overlap_applies_to_fixed_segments_only() -> None:
    lengths = [
        SegmentPolicy.of(IndexSettings(segments=method, segment_overlap=3), length=10).overlap
        for method in ("fixed", "semantic", "shots")
    ]
    assert lengths == [3, 0, 0]


def test_overlap_too_large_for_the_live_index_is_a_setup_error(clip: Path) -> None:
    bench = Bench(index=IndexSettings(segment_seconds=2))
    other = Bench(index=IndexSettings(segment_seconds=10, segment_overlap=3), engine=bench.memory)
    bench.registry.register("a", uri=str(clip))
    outcome = other.indexer.ingest("a", owner="w")
    assert outcome.status == "retry"
    assert isinstance(outcome.error, ConfigError)
    assert "overlap less" in str(outcome.error)
    assert bench.registry.get("a").attempts == 0


def test_damaged_frames_are_counted(clip: Path) -> None:
    content = bytearray(clip.read_bytes())
    start, end = content.index(b"mdat") + 4, content.index(b"moov") - 4
    content[start : start + (end - start) // 4] = bytes((end - start) // 4)
    clip.write_bytes(content)
    bench = Bench()
    assert bench.ingest(clip) == "indexed"
    record = bench.registry.get("a")
    assert record.damaged is not None
    assert record.damaged > 0


@pytest.mark.parametrize(
    ("sources", "limits", "message"),
    [
        (SourceSettings(roots=(Path("/srv/elsewhere"),)), MediaLimits(), "SourceForbiddenError"),
        (SourceSettings(schemes=("https",)), MediaLimits(), "SourceForbiddenError"),
        (SourceSettings(max_bytes=100), MediaLimits(), "VideoTooLargeError"),
        (SourceSettings(), MediaLimits(max_seconds=5), "VideoTooLargeError"),
        (SourceSettings(), MediaLimits(max_pixels=64 * 64), "VideoTooLargeError"),
    ],
    ids=["root", "scheme", "bytes", "seconds", "pixels"],
)
def test_video_beyond_a_limit_fails_with_the_reason(
    clip: Path, sources: SourceSettings, limits: MediaLimits, message: str
) -> None:
    bench = Bench(sources=sources, limits=limits)
    assert bench.ingest(clip) == "failed"
    assert message in bench.error
    assert "clip.mp4" in bench.error


def test_invalid_host_in_the_settings_raises(clip: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.hosts.*exa mple"):
        Bench(sources=SourceSettings(hosts=("exa mple",)))


def test_unknown_scheme_in_the_settings_raises(clip: Path) -> None:
    with pytest.raises(ConfigError, match=r"sources\.schemes: no reader for 'htps'; known: az"):
        Bench(sources=SourceSettings(schemes=("htps",)))


def test_decoder_failing_on_subtitles_leaves_out_subtitles_only(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fall(self: DirectReader, path: Path) -> tuple[Cue, ...]:
        raise DecoderFailedError(f"{path.name}: the decoder crashed (SIGSEGV)")

    monkeypatch.setattr(DirectReader, "cues", fall)
    bench = Bench()
    assert bench.ingest(clip) == "indexed"
    assert "subtitles" not in bench.video
