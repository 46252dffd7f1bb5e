"""Videos whose place is away: what goes on without it, and what is asked when it is back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.http_stub import Reply, http_stub
from tests.ingest_stage import SETTINGS, Stage, aged, assert_same_vectors
from tests.memory_stage import Stage as Application

from vidsearch.errors import DocumentRejectedError
from vidsearch.index import attach_index, create_videos_index, open_videos_index
from vidsearch.ingest import scan_index, update_fields
from vidsearch.registry import NewVideo, Registry, State
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import register_video


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    return stage


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return aged(write_clip(tmp_path / "clip.mp4", [i / 10 for i in range(60)], rate=10))


@pytest.fixture
def share(stage: Stage, clip: Path, tmp_path: Path) -> Path:
    """A folder of its own for the clip, as it is mounted on some workers only."""
    share = tmp_path / "share"
    share.mkdir()
    clip.rename(share / clip.name)
    stage.sources = stage.sources.model_copy(update={"roots": (share,)})
    return share


@pytest.mark.parametrize("asked", ["ask", "forget"])
def test_whether_a_file_has_changed_is_asked_again_where_its_place_is_away(
    stage: Stage, share: Path, asked: str
) -> None:
    clip = share / "clip.mp4"
    stage.add("a", clip)
    first = stage.registry.get("a").content
    away = share.rename(share.with_name("away"))
    stage.registry.reopen_many(["a"], **{asked: True})
    assert stage.ingest("a").status == "retry"
    record = stage.registry.get("a")
    assert (record.state, record.attempts) == (State.REGISTERED, 0)
    assert record.error is not None
    assert record.error.type == "SourceRootMissingError"
    away.rename(share)
    write_clip(clip, [i / 10 for i in range(30)], picture=solid((0, 0, 255)), rate=10)
    assert stage.ingest("a").status == "indexed"
    record = stage.registry.get("a")
    assert record.content != first
    assert "must_answer" not in record.source


def test_an_outage_of_http_leaves_open_whether_the_file_has_changed(
    stage: Stage, clip: Path
) -> None:
    status, content = [200], clip.read_bytes()
    with http_stub(lambda asked: Reply(status[0], content, {"etag": '"1"'})) as stub:
        stage.add("a", f"{stub.url}/clip.mp4")
        status[0] = 503
        stage.registry.reopen_many(["a"], ask=True)
        assert stage.ingest("a").status == "retry"
        status[0] = 404
        assert stage.ingest("a").status == "unchanged", "gone is an answer"
        assert "must_answer" not in stage.registry.get("a").source


def test_a_lost_document_comes_back_while_the_place_of_its_file_is_away(
    stage: Stage, share: Path
) -> None:
    stage.add("a", share / "clip.mp4")
    share.rename(share.with_name("away"))
    stage.engine.delete("videos", "a")
    assert stage.again("a").status == "indexed"


def test_a_scan_of_all_documents_asks_whether_files_have_changed_and_restores_lost_vectors(
    stage: Stage, share: Path
) -> None:
    mappings = {"properties": {"url": {"type": "keyword"}}}
    engine = stage.engine = MemoryEngine()
    stage.registry = Registry(engine, index=SETTINGS.registry, max_attempts=2)
    engine.create_index("videos", {"mappings": mappings})
    attach_index(engine, SETTINGS, stage.encoder.identity, uri_field="url")
    for id in ("current", "lost"):
        engine.put("videos", id, {"url": str(share / "clip.mp4")})
        stage.registry.register(id, uri=str(share / "clip.mp4"))
        assert stage.ingest(id).status == "indexed"
    engine.put("videos", "lost", {"url": str(share / "clip.mp4")})
    index = open_videos_index(engine, SETTINGS)
    found = scan_index(stage.registry, index, enqueue=list, everything=True)
    assert {one.id: one.reason for one in found} == {"lost": "new", "current": "check"}
    share.rename(share.with_name("away"))
    assert stage.ingest("lost").status == "indexed"
    assert stage.ingest("current").status == "retry"
    engine.put("videos", "current", {"url": str(share / "clip.mp4"), "title": "rewritten"})
    assert stage.ingest("current").status == "retry"
    rewritten = engine.get("videos", "current")
    assert rewritten is not None
    assert rewritten.source["title"] == "rewritten"
    assert_same_vectors(stage.video("current"), stage.video("lost"))


@pytest.fixture
def application(stage: Stage) -> Iterator[Application]:
    application = Application(stage.registry, stage.engine)
    yield application
    application.app.close()


@pytest.fixture
def away(stage: Stage, share: Path) -> Path:
    """Where the share is that has the file of ``a``, of which it was asked whether it changed."""
    stage.add("a", share / "clip.mp4", title="old")
    away = share.rename(share.with_name("away"))
    stage.registry.reopen_many(["a"], ask=True)
    assert stage.ingest("a").status == "retry"
    return away


def answer(stage: Stage, away: Path) -> str:
    """How the next ingest ends after the share came back with another file in it."""
    share = away.rename(away.with_name("share"))
    write_clip(share / "clip.mp4", [i / 10 for i in range(30)], picture=solid((0, 0, 255)), rate=10)
    return stage.ingest("a").status


def document(stage: Stage) -> dict[str, Any]:
    found = stage.engine.get("videos", "a")
    assert found is not None
    return found.source


def by_register_video(application: Application, uri: str) -> None:
    register_video("a", uri=uri, fields={"title": "new"}, services=application)  # type: ignore[arg-type]


def by_register_videos(application: Application, uri: str) -> None:
    (one,) = application.register([NewVideo("a", uri, {"title": "new"})])
    assert (one.error, one.changed, one.record.state) == (None, True, State.QUEUED)


def by_a_row_with_defaults(application: Application, uri: str) -> None:
    (one,) = application.register([NewVideo("a", uri, {"title": "new"}, defaults={"year": 2020})])
    assert one.error is None


def by_update_fields(application: Application, uri: str) -> None:
    update_fields(application.registry, application.open_index(), "a", {"title": "new"})


WAYS = [by_register_video, by_register_videos, by_a_row_with_defaults, by_update_fields]
Way = Callable[[Application, str], None]


@pytest.mark.parametrize("way", WAYS)
def test_a_title_is_shown_at_once_and_the_question_whether_the_file_has_changed_stays_open(
    stage: Stage, away: Path, application: Application, way: Way
) -> None:
    before, content = stage.video("a"), stage.registry.get("a").content
    way(application, str(away.with_name("share") / "clip.mp4"))
    assert document(stage) == {"title": "new", "video": before}
    assert stage.ingest("a").status == "retry"
    assert answer(stage, away) == "indexed"
    assert stage.registry.get("a").content != content
    assert document(stage)["title"] == "new"
    assert document(stage)["video"]["vector"] != before["vector"]


def gone(stage: Stage, away: Path) -> None:
    (away / "clip.mp4").rename(away / "moved.mp4")  # an empty folder counts as not mounted
    away.rename(away.with_name("share"))
    stage.registry.reopen("a", forget=True)
    stage.store = None
    assert stage.ingest("a").status == "failed"


def given_up(stage: Stage, away: Path) -> None:
    lease = stage.registry.claim("a", owner="w")
    error = stage.registry.get("a").error
    assert error is not None
    stage.registry.release(lease, error, counted=False, give_up_after=0.0)
    assert stage.registry.get("a").state is State.DEAD


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("become", [gone, given_up])
def test_a_title_of_a_video_that_was_given_up_is_shown_at_once(
    stage: Stage, away: Path, application: Application, become: Callable[..., None], way: Way
) -> None:
    become(stage, away)
    way(application, str(away.with_name("share") / "clip.mp4"))
    assert document(stage)["title"] == "new"


@pytest.mark.parametrize("way", WAYS[:3])
def test_a_title_of_another_file_comes_with_the_vectors_of_that(
    stage: Stage, away: Path, application: Application, way: Way
) -> None:
    way(application, str(away / "clip.mp4"))
    assert document(stage)["title"] == "old"


def test_a_refused_title_of_a_video_that_waits_is_told_and_taken_back(
    stage: Stage, away: Path, application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, refused = str(away.with_name("share") / "clip.mp4"), DocumentRejectedError("no text")

    def refuse(*_: Any, **__: Any) -> None:
        raise refused

    monkeypatch.setattr("vidsearch.ingest.field_update.refuse_changed_numbers", refuse)
    with pytest.raises(DocumentRejectedError):
        by_register_video(application, uri)
    record = stage.registry.get("a")
    assert (record.state, record.fields) == (State.QUEUED, {"title": "old"})
    assert document(stage)["title"] == "old"
    (one,) = application.register([NewVideo("a", uri, {"title": "new"})])
    assert one.error is refused
    assert stage.registry.get("a").fields == {"title": "old"}
    stage.ingest("a")
    given_up(stage, away)
    other = NewVideo("b", "/b.mp4", {"title": "b"})
    one, two = application.register([NewVideo("a", uri, {"title": "new"}), other])
    assert (one.error, two.error) == (refused, None)
    assert one.record is not None
    assert (one.record.state, stage.registry.get("a").state) == (State.QUEUED, State.QUEUED)
    assert stage.registry.get("b").state is State.QUEUED


def test_fields_whose_registration_broke_off_are_written_while_the_place_is_away(
    stage: Stage, away: Path
) -> None:
    stage.registry.register(
        "a", uri=str(away.with_name("share") / "clip.mp4"), fields={"title": "new"}
    )
    assert document(stage)["title"] == "old"
    assert stage.ingest("a").status == "retry"
    assert document(stage)["title"] == "new"
    error = stage.registry.get("a").error
    assert error is not None
    assert (error.type, error.stage) == ("SourceRootMissingError", "fetch")


def rewritten(stage: Stage) -> None:
    stage.engine.put("videos", "a", {"title": "old"})


def lost(stage: Stage) -> None:
    stage.engine.delete("videos", "a")


@pytest.mark.parametrize("lose", [rewritten, lost])
def test_a_document_that_is_lost_while_the_question_is_open_comes_back_and_the_question_stays(
    stage: Stage, away: Path, lose: Callable[[Stage], None]
) -> None:
    before, content = document(stage), stage.registry.get("a").content
    lose(stage)
    stage.work()
    assert stage.ingest("a").status == "retry"
    assert document(stage)["title"] == "old"
    assert_same_vectors(document(stage)["video"], before["video"])
    assert stage.ingest("a").status == "retry"
    assert stage.work() == (0, 0)
    assert answer(stage, away) == "indexed"
    assert stage.registry.get("a").content != content


def retitled(stage: Stage) -> None:
    stage.registry.register("a", uri=stage.registry.get("a").uri, fields={"title": "new"})


@pytest.mark.parametrize("change", [rewritten, lost, retitled])
def test_deletion_after_a_write_that_leaves_the_question_open_leaves_no_document(
    stage: Stage,
    away: Path,
    change: Callable[[Stage], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    change(stage)
    videos, put = open_videos_index(stage.engine, SETTINGS).name, stage.engine.put
    written: list[str] = []

    def put_then_delete(index: str, id: str, source: Any, **options: Any) -> Any:
        revision = put(index, id, source, **options)
        if index == videos:
            written.append(id)
            stage.registry.delete(id)
        return revision

    monkeypatch.setattr(stage.engine, "put", put_then_delete)
    assert stage.ingest("a").status == "skipped"
    assert written == ["a"]
    assert stage.engine.get("videos", "a") is None
    assert stage.registry.get("a").state is State.DELETED


def test_a_retry_leaves_the_question_open(stage: Stage, away: Path) -> None:
    content = stage.registry.get("a").content
    given_up(stage, away)
    stage.registry.retry("a")
    assert stage.ingest("a").status == "retry"
    assert answer(stage, away) == "indexed"
    assert stage.registry.get("a").content != content
