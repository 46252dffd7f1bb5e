"""Long videos in slices: the same result, each slice once, and what becomes of a broken one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.ingest_stage import SETTINGS, Stage, aged

from vidsearch.config import IngestSettings
from vidsearch.embeddings import EmbeddingStore, index_files
from vidsearch.embeddings.index_files import IndexFiles
from vidsearch.encoders import Vectors
from vidsearch.errors import BackendUnavailableError, EncoderError, RequestTooLargeError
from vidsearch.index import create_videos_index
from vidsearch.ingest.slices import Slice, SliceBoard, count_slices
from vidsearch.media import FrameBatch, ThumbnailStore
from vidsearch.registry import Registration, Registry, State
from vidsearch.testing.clips import moving_frame, write_clip
from vidsearch.testing.memory_engine import MemoryEngine


@pytest.mark.parametrize(
    ("duration", "seconds", "count"),
    [
        (None, 600, 1),
        (0.0, 600, 1),
        (599.0, 600, 1),
        (899.0, 600, 1),
        (901.0, 600, 2),
        (3600.0, 600, 6),
        (10_800.0, 600, 18),
        (10_800.0, 0, 1),
    ],
)
def test_slices_are_about_as_long_as_the_setting(
    duration: float | None, seconds: float, count: int
) -> None:
    assert count_slices(duration, seconds=seconds) == count


def test_slices_follow_each_other_and_the_last_one_is_open() -> None:
    slices = Slice.all_of("a", "c" * 64, count=3, seconds=10.0)
    assert [(one.start, one.stop) for one in slices] == [(0, 10), (10, 20), (20, None)]
    assert slices[1].siblings() == slices
    assert str(slices[2]) == "20 s to the end of video 'a'"
    others = Slice.all_of("b", "c" * 64, count=3, seconds=10.0)
    assert len({one.id for one in [*slices, *others]}) == 6
    assert len(Slice.all_of("x" * 512, "c" * 64, count=1, seconds=600.0)[0].id) < 100


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    stage.ingest_settings = IngestSettings(slice_seconds=10.0)
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    return stage


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """30 seconds with a key frame each second."""
    return write_film(tmp_path / "film.mp4", seconds=30)


def write_film(path: Path, *, seconds: int, **options: Any) -> Path:
    times = [i / 5 for i in range(seconds * 5)]
    return aged(write_clip(path, times, rate=5, **{"options": {"g": "5"}, **options}))


def without_slices(stage: Stage, uri: Path) -> dict[str, Any]:
    """The object of the same video, embedded in one go without any store."""
    plain = Stage()
    plain.store = None
    create_videos_index(plain.engine, SETTINGS, plain.encoder.identity)
    assert plain.add("a", uri).status == "indexed"
    return plain.video("a")


def assert_equal(sliced: dict[str, Any], whole: dict[str, Any]) -> None:
    assert sliced["duration"] == whole["duration"]
    assert [(s["start"], s["end"]) for s in sliced["segments"]] == [
        (s["start"], s["end"]) for s in whole["segments"]
    ]
    for one, other in zip([sliced, *sliced["segments"]], [whole, *whole["segments"]], strict=True):
        assert np.dot(one["vector"], other["vector"]) >= 0.999999


def test_a_film_is_embedded_in_slices_with_the_result_of_one_go(stage: Stage, film: Path) -> None:
    planned = stage.add("a", film, title="Film")
    assert planned.status == "sliced"
    assert len(planned.slices) == 3
    record = stage.registry.get("a")
    assert (record.state, record.owner) == (State.PROCESSING, "slices")
    assert stage.work()[1] == 0
    first, second, third = planned.slices
    done = [stage.embed_slice(id) for id in (second, third, first)]
    assert [one.status for one in done] == ["indexed"] * 3
    assert [one.ready for one in done] == [None, None, "a"]
    assert stage.work()[1] == 30
    assert stage.ingest("a").status == "indexed"
    assert stage.work() == (1, 0), "subtitles are looked for; nothing is decoded or encoded"
    assert_equal(stage.video("a"), without_slices(stage, film))
    record = stage.registry.get("a")
    assert (record.frames, record.damaged, record.attempts) == (30, 0, 1)
    assert list(stage.board.entries.scan(*State)) == []


def test_a_film_goes_on_where_the_end_of_its_last_slice_was_written_and_not_answered(
    stage: Stage, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *before, last = stage.add("a", film).slices
    assert [stage.embed_slice(id).ready for id in before] == [None, None]
    complete, unanswered = Registry.complete, []

    def written(registry: Registry, *args: Any, **known: Any) -> Any:
        record = complete(registry, *args, **known)
        if not unanswered:
            unanswered.append(record.id)
            raise BackendUnavailableError("the engine closed the connection")
        return record

    monkeypatch.setattr(Registry, "complete", written)
    ended = stage.embed_slice(last)
    assert unanswered == [last]
    assert (ended.status, ended.ready) == ("skipped", "a")
    assert stage.ingest("a").status == "indexed"


def test_a_film_goes_on_by_the_message_of_its_last_slice_that_comes_again(
    stage: Stage, film: Path
) -> None:
    first, *rest = stage.add("a", film).slices
    assert stage.embed_slice(first).ready is None
    again = stage.embed_slice(first)
    assert (again.status, again.ready) == ("skipped", None), "the others are not done"
    assert [stage.embed_slice(id).ready for id in rest] == [None, "a"]
    again = stage.embed_slice(first)
    assert (again.status, again.ready) == ("skipped", "a")
    assert stage.ingest("a").status == "indexed"
    assert stage.embed_slice(first).ready is None, "the slices of a film that is done are forgotten"


def test_short_videos_and_those_that_cannot_be_read_from_the_middle_are_not_sliced(
    stage: Stage, film: Path, tmp_path: Path
) -> None:
    short = write_film(tmp_path / "short.mp4", seconds=14)
    assert stage.add("short", short).status == "indexed"
    raw = write_film(tmp_path / "film.h264", seconds=30)
    assert stage.add("raw", raw).status == "indexed"
    stage.ingest_settings = IngestSettings(slice_seconds=0)
    assert stage.add("film", film).status == "indexed"
    assert not stage.board.exists


def test_slices_that_are_done_are_never_done_again(stage: Stage, film: Path) -> None:
    first, second, third = stage.add("a", film).slices
    stage.embed_slice(first)
    stage.embed_slice(second)
    stage.work()
    stage.registry.reopen("a", forget=True)
    again = stage.add("a", film, title="registered anew meanwhile")
    assert again.status == "sliced"
    assert again.slices == (third,) or again.slices == ()
    assert stage.embed_slice(first).status == "skipped"
    assert stage.embed_slice(third).ready == "a"
    assert stage.ingest("a").status == "indexed"
    assert stage.work()[1] == 10


def test_a_copy_of_a_film_is_made_from_the_slices_of_the_first(stage: Stage, film: Path) -> None:
    for id in stage.add("a", film).slices:
        stage.embed_slice(id)
    stage.ingest("a")
    stage.work()
    assert stage.add("b", film).status == "indexed"
    assert stage.work() == (0, 0)
    assert stage.video("a")["segments"] == stage.video("b")["segments"]


@pytest.mark.parametrize("end", ["deleted", "other file"])
def test_slices_of_a_video_that_is_no_longer_wanted_are_dropped(
    stage: Stage, film: Path, tmp_path: Path, end: str
) -> None:
    slices = stage.add("a", film).slices
    if end == "deleted":
        stage.registry.delete("a")
    else:
        other = write_film(tmp_path / "other.mp4", seconds=8)
        assert stage.add("a", other).status == "indexed"
    stage.work()
    assert [stage.embed_slice(id).status for id in slices] == ["skipped"] * 3
    assert stage.work() == (0, 0)
    assert list(stage.board.entries.scan(*State)) == []


def test_a_file_that_changes_between_its_slices_is_planned_anew(stage: Stage, film: Path) -> None:
    slices = stage.add("a", film).slices
    stage.embed_slice(slices[0])
    write_film(film, seconds=24)
    outcome = stage.embed_slice(slices[1])
    assert (outcome.status, outcome.ready) == ("skipped", "a")
    again = stage.ingest("a")
    assert again.status == "sliced"
    assert len(again.slices) == 2
    for id in again.slices:
        stage.embed_slice(id)
    assert stage.ingest("a").status == "indexed"
    assert_equal(stage.video("a"), without_slices(stage, film))


def test_a_slice_that_is_given_up_fails_its_video_with_the_reason_until_a_retry(
    stage: Stage, film: Path
) -> None:
    first, second, third = stage.add("a", film).slices
    stage.embed_slice(first)
    broken = breaking(stage, EncoderError("out of memory"))
    assert [stage.embed_slice(second).status for _ in range(2)] == ["retry", "dead"]
    assert stage.board.entries.get(second).state is State.DEAD
    outcome = stage.ingest("a")
    assert outcome.status == "failed"
    error = str(stage.registry.get("a").error)
    assert "SliceFailedError" in error
    assert "10 s to 20 s of video 'a': EncoderError (encode): out of memory" in error
    broken(False)
    stage.work()
    stage.registry.retry("a")
    again = stage.ingest("a").slices
    assert len(again) == 2, "the first is in the store"
    for id in again:
        stage.embed_slice(id)
    assert stage.ingest("a").status == "indexed"
    assert stage.work()[1] == 20
    assert third


def test_the_last_slice_says_so_though_another_was_given_up(stage: Stage, film: Path) -> None:
    first, second, third = stage.add("a", film).slices
    broken = breaking(stage, EncoderError("out of memory"))
    stage.embed_slice(second)
    assert stage.embed_slice(second).ready == "a"
    broken(False)
    assert first
    assert stage.embed_slice(third).ready == "a"


def breaking(stage: Stage, error: Exception) -> Callable[[bool], None]:
    """Have the encoder raise an error; the result switches that on and off."""
    real, is_broken = stage.encoder.encode_frames, [True]

    def encode(frames: FrameBatch) -> Vectors:
        if is_broken[0]:
            raise error
        return real(frames)

    stage.encoder.encode_frames = encode  # type: ignore[method-assign]

    def switch(on: bool) -> None:
        is_broken[0] = on

    return switch


def test_a_film_whose_slices_are_lost_is_swept_without_using_up_an_attempt(
    stage: Stage, film: Path
) -> None:
    stage.add("a", film)
    record = stage.registry.get("a")
    for _ in range(5):
        expired = replace(record, lease_until=1.0)
        stage.engine.put(SETTINGS.registry, "a", expired.to_source())
        recovered = stage.registry.recover("a")
        assert recovered is not None
        assert (recovered.state, recovered.attempts) == (State.REGISTERED, 0)
        assert stage.ingest("a").status == "sliced"
        record = stage.registry.get("a")
        assert record.attempts == 1


class Writes(MemoryEngine):
    """Counts the requests that write."""

    requests = 0

    def put(self, *args: Any, **options: Any) -> Any:
        self.requests += 1
        return super().put(*args, **options)

    def delete(self, *args: Any, **options: Any) -> Any:
        self.requests += 1
        return super().delete(*args, **options)

    def bulk(self, *args: Any, **options: Any) -> Any:
        self.requests += 1
        return super().bulk(*args, **options)


def test_slices_go_on_the_board_and_off_it_with_as_many_requests_however_many_they_are() -> None:
    requests = []
    for count in (2, 40):
        engine = Writes()
        board = SliceBoard(engine, SETTINGS, lease_seconds=30, max_attempts=2)
        slices = Slice.all_of("a", "c" * 64, count=count, seconds=10.0)
        waiting = board.add(slices, uri="/film.mp4")
        assert len(waiting) == count
        board.entries.mark_many_queued(map(Registration, waiting))
        assert board.counts(slices) == {"queued": count}
        board.clear(slices)
        assert list(board.entries.scan(*State)) == []
        requests.append(engine.requests)
    assert requests[0] == requests[1] <= 5


def test_a_video_that_is_not_sliced_has_its_header_read_once(stage: Stage, tmp_path: Path) -> None:
    assert stage.add("short", write_film(tmp_path / "short.mp4", seconds=8)).status == "indexed"
    assert stage.reader.probes == 1


def test_slices_leave_the_candidates_that_thumbnails_are_chosen_from(
    stage: Stage, tmp_path: Path
) -> None:
    stage.thumbnails = ThumbnailStore(str(tmp_path / "sliced"))
    film = write_film(tmp_path / "film.mp4", seconds=30, picture=moving_frame)
    embed_all(stage, film)
    stage.work()
    assert stage.ingest("a").status == "indexed"
    assert stage.work() == (1, 0), "subtitles are looked for; nothing is decoded for thumbnails"
    whole = Stage()
    whole.store, whole.thumbnails = None, ThumbnailStore(str(tmp_path / "whole"))
    create_videos_index(whole.engine, SETTINGS, whole.encoder.identity)
    whole.add("a", film)
    names = [segment["thumbnail"] for segment in stage.video("a")["segments"]]
    assert len({*names}) > 10
    assert names == [segment["thumbnail"] for segment in whole.video("a")["segments"]]
    assert {file.key for file in stage.thumbnails.pictures()} == {*names}


@pytest.mark.parametrize("damage", ["removed", "cut off", "another byte"])
def test_a_film_is_decoded_again_for_thumbnails_where_a_slice_left_none(
    stage: Stage, tmp_path: Path, damage: str
) -> None:
    stage.thumbnails = ThumbnailStore(str(tmp_path / "thumbnails"))
    embed_all(stage, write_film(tmp_path / "film.mp4", seconds=30, picture=moving_frame))
    file = sorted((tmp_path / "thumbnails" / "candidates").iterdir())[1]
    content = file.read_bytes()
    if damage == "removed":
        file.unlink()
    elif damage == "cut off":
        file.write_bytes(content[:-100])
    else:
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    stage.work()
    assert stage.ingest("a").status == "indexed"
    assert stage.work() == (2, 0)
    assert all(segment["thumbnail"] for segment in stage.video("a")["segments"])
    assert not list((tmp_path / "thumbnails" / "candidates").iterdir())


def embed_all(stage: Stage, film: Path) -> None:
    for id in stage.add("a", film).slices:
        stage.embed_slice(id)


def test_changed_fields_of_a_film_in_slices_are_those_of_its_document(
    stage: Stage, film: Path
) -> None:
    slices = stage.add("a", film, title="Old").slices
    stage.embed_slice(slices[0])
    stage.registry.set_fields("a", {"title": "New"})
    assert stage.ingest("a").status == "sliced"
    for id in slices[1:]:
        stage.embed_slice(id)
    assert stage.ingest("a").status == "indexed"
    document = stage.engine.get("videos", "a")
    assert document is not None
    assert document.source["title"] == "New"


class _Narrow(MemoryEngine):
    """A proxy in front of it takes no more than so many characters of a file in one request."""

    most = 0

    def put(self, index: str, id: str, source: Any, **options: Any) -> Any:
        if len(source.get("data", "")) > self.most:
            raise RequestTooLargeError("the request has 3,000,000 bytes (413)")
        return super().put(index, id, source, **options)


@pytest.fixture
def narrow(stage: Stage) -> _Narrow:
    stage.engine = engine = _Narrow()
    create_videos_index(engine, SETTINGS, stage.encoder.identity)
    stage.registry = Registry(engine, index=SETTINGS.registry, lease_seconds=30, max_attempts=2)
    stage.board = SliceBoard(engine, SETTINGS, lease_seconds=30, max_attempts=2)
    stage.store = EmbeddingStore(IndexFiles(engine, SETTINGS))
    return engine


def test_a_film_whose_slices_are_too_large_for_one_request_is_kept_in_smaller_parts(
    stage: Stage, narrow: _Narrow, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_files, "_SMALLEST_PART", 100)
    narrow.most = 400
    done = [stage.embed_slice(id) for id in stage.add("a", film).slices]
    assert [one.ready for one in done] == [None, None, "a"]
    stage.work()
    assert stage.ingest("a").status == "indexed"
    assert stage.work()[1] == 0, "nothing is encoded again"


def test_a_slice_that_the_store_takes_in_no_size_fails_its_film_and_is_embedded_once(
    stage: Stage, narrow: _Narrow, film: Path
) -> None:
    narrow.most = 10
    first, *_ = stage.add("a", film).slices
    ended = stage.embed_slice(first)
    assert (ended.status, ended.ready) == ("failed", "a")
    assert stage.work()[1] == 10
    assert stage.embed_slice(first).status == "skipped"
    assert stage.ingest("a").status == "failed"
    error = stage.registry.get("a").error
    assert error is not None
    assert error.type == "SliceFailedError"
    assert "its vectors cannot be kept: the request has 3,000,000 bytes (413)" in error.message
