"""A file is gone, its vectors are kept, and its document needs something that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fill_stage import Reindexed
from tests.ingest_stage import SETTINGS, Stage, aged

from vidsearch.config import IngestSettings
from vidsearch.index import create_videos_index
from vidsearch.ingest import missing_videos
from vidsearch.media import ThumbnailStore
from vidsearch.testing.clips import moving_frame, write_clip


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    return stage


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    times = [i / 10 for i in range(60)]
    return aged(write_clip(tmp_path / "clip.mp4", times, picture=moving_frame, rate=10))


def pictures(stage: Stage) -> list[str | None]:
    return [segment.get("thumbnail") for segment in stage.video("a")["segments"]]


def lose(stage: Stage, clip: Path) -> Path:
    """Lose the document and move the file away; returns where it is."""
    stage.engine.delete("videos", "a")
    return clip.rename(clip.with_name("moved.mp4"))


def test_pictures_that_were_never_made_are_left_out_until_the_file_is_back(
    stage: Stage, clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage.add("a", clip)
    before = stage.video("a")
    moved = lose(stage, clip)
    stage.thumbnails = ThumbnailStore(str(tmp_path / "pictures"))
    assert stage.again("a").status == "indexed"
    assert "going on by what is kept of its thumbnails, as the file is gone" in caplog.text
    assert pictures(stage) == [None] * 3
    assert stage.video("a")["vector"] == before["vector"]
    assert stage.again("a").status == "indexed", "pictures are looked for again"
    moved.rename(clip)
    assert stage.again("a").status == "indexed"
    assert all(pictures(stage))
    assert stage.again("a").status == "unchanged"


def test_of_pictures_that_are_removed_in_part_the_others_stay(
    stage: Stage, clip: Path, tmp_path: Path
) -> None:
    stage.thumbnails = ThumbnailStore(str(tmp_path / "pictures"))
    stage.add("a", clip)
    first, *others = pictures(stage)
    assert first is not None
    stage.thumbnails.remove([first])
    lose(stage, clip)
    assert stage.again("a").status == "indexed"
    assert pictures(stage) == [None, *others]


@pytest.mark.parametrize("other", [{"format": "jpeg"}, {"size": 64}], ids=str)
def test_pictures_of_another_form_stay(
    stage: Stage, clip: Path, tmp_path: Path, other: dict[str, Any]
) -> None:
    stage.thumbnails = ThumbnailStore(str(tmp_path / "pictures"))
    stage.add("a", clip)
    before = pictures(stage)
    lose(stage, clip)
    stage.thumbnails = ThumbnailStore(str(tmp_path / "pictures"), **other)
    assert stage.again("a").status == "indexed"
    assert pictures(stage) == before
    assert {picture.key for picture in stage.thumbnails.pictures()} == {*before}


def test_subtitles_that_were_read_before_stay_where_others_are_preferred(
    stage: Stage, clip: Path
) -> None:
    clip.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:05,000\nA red fox.\n")
    stage.add("a", clip)
    lose(stage, clip)
    clip.with_suffix(".srt").unlink()
    stage.ingest_settings = IngestSettings(subtitle_languages=("de",))
    assert stage.again("a").status == "indexed"
    assert stage.video("a")["segments"][0]["text"] == "A red fox."


def test_a_video_whose_subtitles_were_never_read_goes_without(stage: Stage, clip: Path) -> None:
    stage.ingest_settings = IngestSettings(subtitles=False)
    stage.add("a", clip)
    lose(stage, clip)
    stage.ingest_settings = IngestSettings()
    assert stage.again("a").status == "indexed"
    assert "text" not in stage.video("a")["segments"][0]


def test_a_reindex_makes_a_document_without_pictures_that_were_never_made_and_it_is_current(
    clip: Path, tmp_path: Path
) -> None:
    stage = Reindexed()
    stage.add("a", clip)
    clip.unlink()
    stage.thumbnails = ThumbnailStore(str(tmp_path / "pictures"))
    stage.begin(segment_seconds=3.0)
    (fill,) = stage.request("a")
    assert stage.fill(fill).status == "indexed"
    document = stage.made("a")
    assert document is not None
    made = document["video"]
    assert [segment.get("thumbnail") for segment in made["segments"]] == [None] * 2
    record, target = stage.registry.get("a"), stage.target
    assert record.is_current(made["fingerprint"], index=target.name)
    stage.swap()
    assert [one.id for one in missing_videos(stage.registry, target)] == []
