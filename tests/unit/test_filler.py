"""The documents of another model, or of other segments, that workers make during a reindex."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.fill_stage import NEW, Reindexed
from tests.ingest_stage import SETTINGS

from vidsearch.index import VideosIndex, open_videos_index
from vidsearch.ingest import (
    delete_video,
    mirror_to_others,
    missing_videos,
    update_fields,
)
from vidsearch.registry import State
from vidsearch.reindex.registry_changes import catch_up
from vidsearch.testing.clips import solid, write_clip


@pytest.fixture
def stage() -> Reindexed:
    return Reindexed()


def test_other_segments_are_made_of_kept_frames(stage: Reindexed, red: Path) -> None:
    stage.add("a", red, title="A")
    stage.begin(segment_seconds=5)
    stage.work()
    (fill,) = stage.request("a")
    assert stage.fill(fill).status == "indexed"
    assert stage.work() == (0, 0)
    made = stage.made("a")
    assert made is not None
    assert made["title"] == "A"
    assert len(made["video"]["segments"]) < len(stage.video("a")["segments"])
    assert stage.fills.counts()[State.INDEXED] == 1


def test_another_model_embeds_the_file_once(stage: Reindexed, red: Path) -> None:
    stage.add("a", red)
    stage.begin(stage.other.identity)
    stage.work()
    (fill,) = stage.request("a")
    assert stage.fill(fill).status == "indexed"
    assert stage.encoder.frames == 0
    assert stage.other.frames == 6
    made = stage.made("a")
    assert made is not None
    assert made["video"]["model"] == "fake@2"
    assert stage.request("a") == (fill,)  # its document was lost
    stage.engine.delete(NEW, "a")
    assert stage.fill(fill).status == "indexed"
    assert stage.other.frames == 6


def test_after_the_swap_a_filled_video_is_current(stage: Reindexed, red: Path) -> None:
    stage.add("a", red, title="A")
    stage.begin(stage.other.identity)
    (fill,) = stage.request("a")
    stage.fill(fill)
    stage.swap()
    stage.encoder = stage.other  # as the indexer finds it
    index = open_videos_index(stage.engine, SETTINGS)
    assert not list(missing_videos(stage.registry, index))
    stage.work()
    assert stage.again("a").status == "unchanged"
    assert stage.work() == (0, 0)
    assert stage.again("a", forget=True).status == "indexed"
    assert stage.registry.get("a").fingerprints == {}


def test_what_a_killed_worker_wrote_is_only_noted(stage: Reindexed, red: Path) -> None:
    stage.add("a", red)
    stage.begin(stage.other.identity)
    (fill,) = stage.request("a")
    stage.fill(fill)
    record = stage.registry.get("a")
    noted = record.fingerprints
    stage.registry.mark_filled("a", index=NEW, of=record.fingerprint, fingerprint="lost")
    stage.other.frames = 0
    stage.store = None
    assert stage.request("a") == (fill,)
    assert stage.fill(fill).status == "indexed"
    assert stage.other.frames == 0
    assert stage.registry.get("a").fingerprints == noted


def test_a_fill_does_not_move_the_time_of_the_last_change(stage: Reindexed, red: Path) -> None:
    stage.add("a", red)
    stage.begin(segment_seconds=5)
    (fill,) = stage.request("a")
    before = stage.registry.get("a").updated_at
    stage.fill(fill)
    assert stage.registry.get("a").updated_at == before


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_fields_that_change_meanwhile_are_in_the_document(
    stage: Reindexed, red: Path, when: str
) -> None:
    stage.add("a", red, title="A")
    stage.begin(segment_seconds=5)
    (fill,) = stage.request("a")

    def change() -> None:
        index = open_videos_index(stage.engine, SETTINGS)
        update_fields(stage.registry, index, "a", {"title": "B"})

    if when == "before":
        change()
    else:
        stage.before_write = change
    assert stage.fill(fill).status == "indexed"
    made = stage.made("a")
    assert made is not None
    assert made["title"] == "B"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_video_that_is_deleted_is_not_filled(stage: Reindexed, red: Path, when: str) -> None:
    stage.add("a", red)
    stage.begin(segment_seconds=5)
    (fill,) = stage.request("a")

    def delete() -> None:
        delete_video(stage.registry, open_videos_index(stage.engine, SETTINGS), "a")

    if when == "before":
        delete()
    else:
        stage.before_write = delete
    assert stage.fill(fill).status == "skipped"
    assert stage.made("a") is None


def test_a_video_that_is_deleted_after_the_write_is_taken_back(
    stage: Reindexed, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.add("a", red)
    stage.begin(segment_seconds=5)
    (fill,) = stage.request("a")
    note = stage.registry.mark_filled

    def note_late(id: str, **about: Any) -> Any:
        stage.registry.delete(id)  # the rest of the delete was before the write
        return note(id, **about)

    monkeypatch.setattr(stage.registry, "mark_filled", note_late)
    assert stage.fill(fill).status == "skipped"
    assert stage.made("a") is None


def test_a_video_that_changes_meanwhile_is_asked_for_anew(
    stage: Reindexed, red: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.mp4"
    shutil.copy(red, file)
    stage.add("a", file)
    stage.begin(segment_seconds=5)
    (fill,) = stage.request("a")

    def change() -> None:
        write_clip(file, [i / 10 for i in range(30)], picture=solid((0, 0, 255)), rate=10)
        assert stage.again("a").status == "indexed"

    stage.before_write = change
    assert stage.fill(fill).status == "skipped"
    assert stage.made("a") is None
    index = open_videos_index(stage.engine, SETTINGS)
    (left,) = mirror_to_others(stage.registry, index, ["a"])
    (again,) = stage.fills.add([stage.registry.get("a")], left.index)
    assert again != fill
    assert stage.fill(again).status == "indexed"
    assert mirror_to_others(stage.registry, index, ["a"]) == ()


def wait_again(stage: Reindexed, id: str) -> None:
    """As ``vidsearch reindex --changed`` does, before a worker comes."""
    stage.registry.reopen_many([id], ask=True)


def test_of_a_video_that_waits_for_its_place_a_document_is_made_as_searches_show_it(
    stage: Reindexed, red: Path, tmp_path: Path
) -> None:
    share = tmp_path / "share"
    share.mkdir()
    stage.sources = stage.sources.model_copy(update={"roots": (share,)})
    uri = shutil.copy(red, share / "a.mp4")
    stage.add("a", uri, title="A")
    stage.begin(segment_seconds=5)
    wait_again(stage, "a")
    stage.registry.register("a", uri=str(uri), fields={"title": "for its next document"})
    share.rename(tmp_path / "away")
    (fill,) = stage.request("a")
    assert stage.fill(fill).status == "indexed"
    made, record = stage.made("a"), stage.registry.get("a")
    assert made is not None
    assert (made["title"], record.state) == ("A", State.REGISTERED)
    assert record.is_current(made["video"]["fingerprint"], index=NEW)
    assert record.source["must_answer"]


def test_a_video_that_waits_and_has_another_content_now_is_made_after_its_worker(
    stage: Reindexed, red: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.mp4"
    shutil.copy(red, file)
    stage.add("a", file)
    stage.begin(segment_seconds=5)
    wait_again(stage, "a")
    write_clip(file, [i / 10 for i in range(30)], picture=solid((0, 0, 255)), rate=10)
    (fill,) = stage.request("a")
    assert stage.fill(fill).status == "failed"
    (entry,) = stage.fills.given_up()
    assert "the file of video 'a' has changed since it was indexed" in str(entry.error)
    assert stage.made("a") is None
    assert stage.ingest("a").status == "indexed"
    (again,) = stage.request("a")
    assert again != fill
    assert stage.fill(again).status == "indexed"


def test_a_video_that_a_worker_takes_meanwhile_is_left_to_it(stage: Reindexed, red: Path) -> None:
    stage.add("a", red)
    stage.begin(segment_seconds=5)
    wait_again(stage, "a")
    (fill,) = stage.request("a")
    stage.before_write = lambda: stage.registry.claim("a", owner="x")
    assert stage.fill(fill).status == "skipped"
    assert stage.made("a") is None


def test_a_field_that_changes_as_the_document_of_a_waiting_video_is_written_is_in_it(
    stage: Reindexed, red: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.add("a", red, title="A")
    stage.begin(segment_seconds=5)
    wait_again(stage, "a")
    (fill,) = stage.request("a")
    note, shown = stage.registry.mark_filled, stage.engine.get("videos", "a")
    assert shown is not None

    def note_late(id: str, **about: Any) -> Any:
        # By a writer whose mirror has looked at the new index before.
        stage.engine.put("videos-000001", "a", {**shown.source, "title": "B"})
        return note(id, **about)

    monkeypatch.setattr(stage.registry, "mark_filled", note_late)
    assert stage.fill(fill).status == "indexed"
    made = stage.made("a")
    assert made is not None
    assert made["title"] == "B"


def test_a_video_that_cannot_be_made_is_listed_and_retried_on_request(
    stage: Reindexed, red: Path, tmp_path: Path
) -> None:
    file = tmp_path / "a.mp4"
    shutil.copy(red, file)
    stage.add("a", file)
    stage.begin(stage.other.identity)
    (fill,) = stage.request("a")
    file.unlink()
    assert stage.fill(fill).status == "failed"
    (entry,) = stage.fills.given_up()
    assert entry.fields["video_id"] == "a"
    assert entry.error is not None
    assert stage.request("a") == ()
    shutil.copy(red, file)
    assert stage.fills.retry() == (fill,)
    assert stage.fill(fill).status == "indexed"


def test_nothing_is_made_for_an_index_that_is_gone(stage: Reindexed, red: Path) -> None:
    stage.add("a", red)
    stage.begin(segment_seconds=5)
    (fill,) = stage.request("a")
    stage.engine.delete_index(NEW)
    assert stage.fill(fill).status == "skipped"
    stage.fills.drop()
    assert stage.fill(fill).status == "skipped"
    assert not stage.fills.counts()[State.INDEXED]


def test_an_ingest_asks_for_the_document_in_the_new_index(stage: Reindexed, red: Path) -> None:
    stage.begin(stage.other.identity)
    stage.registry.register("a", uri=str(red))
    outcome = stage.ingest("a", fills=stage.fills)
    assert outcome.status == "indexed"
    (fill,) = outcome.fills
    assert stage.fill(fill).status == "indexed"
    assert stage.again("a").status == "unchanged"
    assert stage.ingest("a").fills == ()


def test_an_indexer_takes_the_encoder_of_the_index(stage: Reindexed, red: Path) -> None:
    stage.begin(stage.other.identity)
    stage.swap()
    stage.registry.register("a", uri=str(red))
    assert stage.ingest("a", encoder_for=stage.encoder_for).status == "indexed"
    assert stage.other.frames == 6
    found = stage.engine.get(NEW, "a")
    assert found is not None
    assert found.source["video"]["model"] == "fake@2"


def test_a_video_that_fails_leaves_nothing_of_a_former_one_of_its_id(
    stage: Reindexed, red: Path, tmp_path: Path
) -> None:
    stage.add("a", red)
    former = stage.engine.get("videos", "a")
    assert former is not None
    stage.begin()
    index = open_videos_index(stage.engine, SETTINGS)
    delete_video(stage.registry, index, "a")
    stage.engine.put(NEW, "a", former.source)  # by the copy, which read it before
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    assert stage.add("a", broken).status == "failed"
    assert stage.made("a") is None


# -- catching up


def test_catching_up_asks_for_what_is_to_be_filled(stage: Reindexed, red: Path) -> None:
    began = stage.registry.now()
    stage.add("a", red)
    stage.add("b", red)
    stage.begin(segment_seconds=5)
    source = open_videos_index(stage.engine, SETTINGS)
    asked: list[str] = []

    def fill(records: Any, target: VideosIndex) -> None:
        asked.extend(stage.fills.add(records, target))

    done = catch_up(stage.registry, source, stage.target, since=began, fill=fill)
    assert (done.looked_at, done.changed, done.to_fill) == (2, 0, 2)
    for each in asked:
        stage.fill(each)
    done = catch_up(stage.registry, source, stage.target, since=began, fill=fill)
    assert (done.changed, done.to_fill, len(asked)) == (0, 0, 2)


def test_catching_up_copies_changes_since_and_leaves_older_ones(red: Path) -> None:
    stage = Reindexed()
    now = [1000.0]
    stage.registry._time = lambda: now[0]
    stage.add("old", red)
    now[0] = 2000.0
    stage.begin()
    stage.add("new", red)
    stage.add("gone", red)
    source = open_videos_index(stage.engine, SETTINGS)
    mirror_to_others(stage.registry, source, ["gone"])
    now[0] = 2010.0
    stage.engine.delete("videos-000001", "gone")
    stage.registry.delete("gone")
    stage.engine.delete(NEW, "new")
    told: list[int] = []
    done = catch_up(stage.registry, source, stage.target, since=2000.0, progress=told.append)
    assert (done.written, done.removed, done.to_fill) == (1, 1, 0)
    assert told == sorted(told)
    assert done.began == 2010.0
    assert [id for id in ("old", "new", "gone") if stage.made(id)] == ["new"]
    assert replace(done, looked_at=0).changed == 2
