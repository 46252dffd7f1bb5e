"""What an application calls, on a real engine, Redis and worker."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from tests.integration.stage import Stage
from tests.integration.worker import Worker

from vidsearch import VideoSearch
from vidsearch.errors import DocumentRejectedError, RegistryError, VideoNotRegisteredError
from vidsearch.testing.clips import write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import (
    NewVideo,
    State,
    aio,
    delete_video,
    register_video,
    register_videos,
    update_fields,
    video_status,
)

pytestmark = pytest.mark.integration


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    red = np.full((48, 64, 3), (255, 0, 0), dtype=np.uint8)
    return write_clip(path, [i / 5 for i in range(15)], picture=lambda _: red, rate=5)


def found(stage: Stage, text: str) -> list[str]:
    index = stage.services.settings.index.name
    stage.services.engine.refresh(index)
    videos = VideoSearch(stage.services.engine, FakeEncoder(), index=index)
    result = videos.search(text, mode="keyword")
    json.dumps(result.to_dict())
    return [hit.id for hit in result]


def test_the_life_of_a_video_by_calls_alone(stage: Stage, clip: Path) -> None:
    services = stage.services
    with stage.worker() as worker:
        done = register_videos(
            [
                NewVideo("a", str(clip), {"title": "harbour", "year": 2020, "draft": True}),
                {"id": "b", "uri": str(clip)},
                {"id": "c", "url": str(clip)},
            ],
            services=services,
        )
        assert [one.id for one in done] == ["a", "b", "c"]
        assert "video 'c': 'url' is none of id, uri, fields, routing" in str(done[2].error)
        stage.until("a", State.INDEXED, worker=worker)
        stage.until("b", State.INDEXED, worker=worker)
        assert video_status("a", services=services).fields["title"] == "harbour"
        clip.rename(clip.with_name("elsewhere.mp4"))  # nothing below may read it
        before = stage.document("a")

        record = update_fields("a", {"title": "forest", "draft": None}, services=services)

        assert (record.state, record.attempts) == (State.INDEXED, 1)
        assert record.fields == {"title": "forest", "year": 2020}
        after = stage.document("a")
        assert before is not None
        assert after == {"title": "forest", "year": 2020, "video": before["video"]}
        assert (found(stage, "forest"), found(stage, "harbour")) == (["a"], [])

        assert delete_video("a", services=services).state is State.DELETED
        assert found(stage, "forest") == []
        assert stage.document("a") is None
        with pytest.raises(VideoNotRegisteredError, match="'a' was deleted"):
            update_fields("a", {"title": "x"}, services=services)
        with pytest.raises(VideoNotRegisteredError, match="'none'"):
            video_status("none", services=services)


def test_fields_that_change_before_and_during_the_work_reach_the_document(
    stage: Stage, clip: Path
) -> None:
    register_video("a", uri=str(clip), fields={"title": "one"}, services=stage.services)
    record = update_fields("a", {"title": "two"}, services=stage.services)
    assert (record.state, record.fields) == (State.QUEUED, {"title": "two"})
    lease = stage.services.registry.claim("a", owner="somebody")
    record = update_fields("a", {"title": "three"}, services=stage.services)
    assert (record.state, record.owner) == (State.QUEUED, None)
    with pytest.raises(RegistryError, match="lease"):
        stage.services.registry.renew(lease)
    with stage.worker() as worker:
        stage.until("a", State.INDEXED, worker=worker)
    document = stage.document("a")
    assert document is not None
    assert document["title"] == "three"


def test_fields_of_a_failed_video_reach_the_document_that_is_still_found(
    stage: Stage, clip: Path
) -> None:
    with stage.worker() as worker:
        stage.register("a", clip, title="harbour", year=2020)
        stage.until("a", State.INDEXED, worker=worker)
        broken = clip.with_name("broken.mp4")
        broken.write_bytes(b"no video")
        register_video("a", uri=str(broken), services=stage.services)
        stage.until("a", State.FAILED, worker=worker)
    assert found(stage, "harbour") == ["a"]
    record = update_fields("a", {"title": "forest", "public": False}, services=stage.services)
    assert record.state is State.FAILED
    assert (found(stage, "forest"), found(stage, "harbour")) == (["a"], [])
    assert (stage.document("a") or {})["public"] is False
    with pytest.raises(DocumentRejectedError, match=r"year.*setting index\.mapping"):
        update_fields("a", {"title": "x", "year": "of the dragon"}, services=stage.services)
    assert (video_status("a", services=stage.services).fields, found(stage, "forest")) == (
        {"title": "forest", "year": 2020, "public": False},
        ["a"],
    )


def test_a_value_that_the_index_does_not_take_is_refused_by_name(stage: Stage, clip: Path) -> None:
    with stage.worker() as worker:
        stage.register("a", clip, year=2020)
        stage.until("a", State.INDEXED, worker=worker)
        with pytest.raises(DocumentRejectedError, match=r"year.*setting index\.mapping"):
            update_fields("a", {"year": "of the dragon"}, services=stage.services)
        update_fields("a", {"year": 2021}, services=stage.services)
        assert (stage.document("a") or {})["year"] == 2021


def test_a_field_that_cannot_be_stored_is_named(stage: Stage) -> None:
    holds_itself: list[object] = []
    holds_itself.append(holds_itself)
    for value, reason in [
        (2**70, "whole numbers of 64 bits"),
        ({"parts": ["a", "\ud800"]}, "'parts', item 1 is no text in Unicode"),
        (float("nan"), "which JSON lacks"),
        (datetime(2026, 1, 1), "a datetime, which JSON lacks: give its text, value.isoformat"),
        (np.int64(3), "an int64, which JSON lacks: give Python's own number"),
        (holds_itself, "has more than 32 lists and objects inside each other"),
    ]:
        expected = rf"field 'odd' of video 'a'.*{reason}"
        fields = {"odd": value}
        with pytest.raises(RegistryError, match=expected):
            register_video("a", uri="/a.mp4", fields=fields, services=stage.services)
        call = aio.register_video("a", uri="/a.mp4", fields=fields, services=stage.services)
        with pytest.raises(RegistryError, match=expected):
            asyncio.run(call)
    assert stage.services.registry.find("a") is None


def test_async_calls_do_the_same(stage: Stage, clip: Path) -> None:
    async def use(worker: Worker) -> None:
        services = stage.services
        record = await aio.register_video("a", uri=str(clip), services=services)
        assert record.state is State.QUEUED
        (one,) = await aio.register_videos([NewVideo("b", str(clip))], services=services)
        assert one.require().state is State.QUEUED
        while (await aio.video_status("a", services=services)).state is not State.INDEXED:
            assert worker.alive()
            await asyncio.sleep(0.05)
        record = await aio.update_fields("a", {"title": "forest"}, services=services)
        assert record.fields == {"title": "forest"}
        assert (await aio.delete_video("a", services=services)).state is State.DELETED

    with stage.worker() as worker:
        asyncio.run(use(worker))


def test_registering_again_with_other_fields_changes_documents_at_once(
    stage: Stage, clip: Path
) -> None:
    services = stage.services
    videos = [{"id": id, "uri": str(clip), "fields": {"title": "old"}} for id in ("a", "b", "c")]
    with stage.worker() as worker:
        register_videos(videos, services=services)
        for id in ("a", "b", "c"):
            stage.until(id, State.INDEXED, worker=worker)
    clip.unlink()
    for video in videos:
        video["fields"] = {"title": "forest"}
    done = register_videos(videos, services=services)
    assert [one.require().state for one in done] == [State.INDEXED] * 3
    record = register_video("a", uri=str(clip), fields={"title": "sea"}, services=services)
    assert (record.state, record.due_at) == (State.INDEXED, None)
    assert (found(stage, "forest"), found(stage, "sea"), found(stage, "old")) == (
        ["b", "c"],
        ["a"],
        [],
    )
