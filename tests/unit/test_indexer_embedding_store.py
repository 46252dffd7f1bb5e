"""What the embedding store saves: each test counts what is fetched, decoded and encoded."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.http_stub import Asked, Reply, http_stub
from tests.ingest_stage import SETTINGS, Stage, aged, assert_same_vectors

from vidsearch.config import IngestSettings
from vidsearch.embeddings.index_files import drop_embeddings_index
from vidsearch.index import attach_index, create_videos_index, open_videos_index
from vidsearch.ingest import Outcome, missing_videos, scan_index
from vidsearch.media import ThumbnailStore
from vidsearch.registry import Registration, Registry, State
from vidsearch.testing.clips import moving_frame, solid, write_clip


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    return stage


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return aged(write_clip(tmp_path / "clip.mp4", [i / 10 for i in range(60)], rate=10))


def test_a_copy_under_another_id_and_a_moved_file_are_not_decoded(
    stage: Stage, clip: Path, tmp_path: Path
) -> None:
    assert stage.add("a", clip).status == "indexed"
    readings, frames = stage.work()
    assert readings > 0
    assert frames == 6
    copy = Path(shutil.copy(clip, tmp_path / "copy.mp4"))
    assert stage.add("b", copy).status == "indexed"
    assert_same_vectors(stage.video("b"), stage.video("a"))
    moved = clip.rename(tmp_path / "moved.mp4")
    stage.add("a", moved)
    assert stage.video("a")["uri"] == str(moved)
    assert stage.work() == (0, 0)


def test_the_log_tells_new_videos_from_documents_that_are_written_again(
    stage: Stage, clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="vidsearch.ingest"):
        stage.add("a", clip)
        stage.add("copy", clip)
        stage.engine.delete("videos", "a")
        stage.again("a")
    first, copy, again = (line for line in caplog.messages if "VideoEmbedding" in line)
    assert first.startswith("video 'a' indexed: ")
    assert "from kept embeddings" not in first
    assert copy.startswith("video 'copy' indexed: ")
    assert "from kept embeddings" in copy
    assert again.startswith("video 'a' written again: ")
    assert "from kept embeddings" in again


@pytest.mark.parametrize(
    "changed",
    [
        {"segment_seconds": 3.0},
        {"segments": "semantic"},
        {"segments": "fixed", "segment_overlap": 1.0},
        {"max_segments": 2},
    ],
    ids=str,
)
def test_other_segments_are_made_without_decoding(
    stage: Stage, clip: Path, changed: dict[str, Any]
) -> None:
    stage.add("a", clip)
    stage.work()
    other = SETTINGS.model_copy(update={"name": "others", **changed})
    fresh = Stage()
    create_videos_index(fresh.engine, other, fresh.encoder.identity)
    fresh.index, plain = other, fresh.engine
    stage.index = other
    create_videos_index(stage.engine, other, stage.encoder.identity)
    stage.registry = Registry(stage.engine, index=other.registry, lease_seconds=30, max_attempts=2)
    fresh.registry = Registry(plain, index=other.registry, lease_seconds=30, max_attempts=2)
    assert stage.add("a", clip).status == "indexed"
    assert stage.work() == (0, 0)
    fresh.add("a", clip)
    ours, theirs = (one.engine.get("others", "a") for one in (stage, fresh))
    assert ours is not None
    assert theirs is not None
    assert_same_vectors(ours.source["video"], theirs.source["video"])


def test_cuts_are_found_once(stage: Stage, tmp_path: Path) -> None:
    pytest.importorskip("scenedetect")
    clip = aged(
        write_clip(
            tmp_path / "cut.mp4",
            [i / 10 for i in range(80)],
            picture=lambda i: solid((255, 0, 0) if i < 40 else (0, 0, 255))(i),
            rate=10,
        )
    )
    stage.index = SETTINGS.model_copy(update={"segments": "shots"})
    stage.add("a", clip)
    assert [segment["start"] for segment in stage.video("a")["segments"]] == [0.0, 4.0]
    stage.work()
    stage.add("b", clip)
    assert stage.work() == (0, 0)
    assert_same_vectors(stage.video("a"), stage.video("b"))


def test_a_changed_file_is_embedded_and_a_touched_one_is_not(stage: Stage, clip: Path) -> None:
    stage.add("a", clip)
    first = stage.registry.get("a")
    stage.work()
    os.utime(clip)
    assert stage.again("a").status == "unchanged"
    assert stage.work() == (0, 0)
    write_clip(clip, [i / 10 for i in range(30)], picture=solid((0, 0, 255)), rate=10)
    assert stage.again("a").status == "indexed"
    assert stage.work()[1] == 3
    assert stage.registry.get("a").content != first.content


def test_a_file_with_the_same_validator_is_not_read_unless_validators_are_distrusted(
    stage: Stage, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[Path] = []
    from vidsearch.ingest import content

    real = content.content_hash
    monkeypatch.setattr(content, "content_hash", lambda path: hashed.append(path) or real(path))
    stage.add("a", clip)
    assert hashed == [clip]
    assert stage.again("a").status == "unchanged"
    assert hashed == [clip]
    stage.sources = stage.sources.model_copy(update={"trust_validators": False})
    assert stage.again("a").status == "unchanged"
    assert hashed == [clip, clip]


def test_a_file_that_was_just_written_is_hashed_again(stage: Stage, clip: Path) -> None:
    os.utime(clip)
    stage.add("a", clip)
    assert "validator" not in stage.registry.get("a").source


def test_forgetting_reads_the_file_again_but_embeds_only_unknown_content(
    stage: Stage, clip: Path
) -> None:
    stage.add("a", clip)
    stage.work()
    assert stage.again("a", forget=True).status == "indexed"
    assert stage.work() == (0, 0)


def test_a_document_that_was_lost_comes_back_though_the_file_is_gone(
    stage: Stage, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "clip.srt").write_text("1\n00:00:00,000 --> 00:00:05,000\nA red fox.\n")
    stage.add("a", clip, title="Fox")
    before = stage.video("a")
    assert before["segments"][0]["text"] == "A red fox."
    clip.unlink()
    (tmp_path / "clip.srt").unlink()
    stage.engine.delete("videos", "a")
    stage.work()
    assert stage.again("a").status == "indexed"
    assert stage.work() == (0, 0)
    assert {**stage.video("a"), "embedded_at": ""} == {**before, "embedded_at": ""}


def test_what_is_to_be_embedded_again_is_made_of_what_is_kept_where_its_file_is_gone(
    stage: Stage, clip: Path
) -> None:
    stage.add("a", clip)
    before = stage.video("a")
    clip.unlink()
    stage.engine.delete("videos", "a")
    stage.work()
    assert stage.again("a", forget=True).status == "indexed"
    assert stage.work() == (0, 0)
    assert_same_vectors(stage.video("a"), before)


def test_a_file_that_is_gone_and_of_which_nothing_is_kept_can_come_back(
    stage: Stage, clip: Path, tmp_path: Path
) -> None:
    stage.add("a", clip)
    known = stage.registry.get("a").content
    drop_embeddings_index(stage.engine, SETTINGS)
    moved = clip.rename(tmp_path / "moved.mp4")
    assert stage.again("a", forget=True).status == "failed"
    record = stage.registry.get("a")
    assert record.error is not None
    assert (record.error.type, record.content) == ("SourceNotFoundError", known)
    moved.rename(clip)
    stage.registry.retry("a")
    assert stage.ingest("a").status == "indexed"


def test_a_document_that_was_written_back_without_its_vectors_is_missing_and_made_again(
    stage: Stage, clip: Path
) -> None:
    """As engines leave vectors out of what an application reads."""
    stage.add("a", clip)
    stage.add("b", clip)
    video = stage.video("a")
    bare = [{k: v for k, v in one.items() if k != "vector"} for one in video["segments"]]
    read = {**{k: v for k, v in video.items() if k != "vector"}, "segments": bare}
    stage.engine.put("videos", "a", {"title": "New", "video": read})
    index = open_videos_index(stage.engine, SETTINGS)
    assert [record.id for record in missing_videos(stage.registry, index)] == ["a"]
    clip.unlink()
    stage.work()
    assert stage.again("a").status == "indexed"
    assert stage.work() == (0, 0)
    assert_same_vectors(stage.video("a"), video)
    assert list(missing_videos(stage.registry, index)) == []


def test_a_video_whose_file_is_gone_gets_its_new_title(stage: Stage, clip: Path) -> None:
    stage.add("a", clip, title="Old")
    clip.unlink()
    stage.work()
    assert stage.add("a", clip, title="New").status == "unchanged"
    document = stage.engine.get("videos", "a")
    assert document is not None
    assert document.source["title"] == "New"
    assert stage.registry.get("a").state is State.INDEXED
    assert stage.work() == (0, 0)


def test_another_uri_whose_file_is_gone_fails(stage: Stage, clip: Path, tmp_path: Path) -> None:
    stage.add("a", clip)
    assert stage.add("a", tmp_path / "absent.mp4").status == "failed"
    assert stage.registry.get("a").content is None


def test_without_a_store_a_file_that_is_gone_cannot_restore_a_document(
    stage: Stage, clip: Path
) -> None:
    stage.store = None
    stage.add("a", clip)
    clip.unlink()
    stage.engine.delete("videos", "a")
    assert stage.again("a").status == "failed"
    error = stage.registry.get("a").error
    assert error is not None
    assert error.type == "SourceNotFoundError"


def test_a_rewritten_document_of_an_attached_index_gets_its_vectors_back(
    stage: Stage, clip: Path
) -> None:
    stage = Stage()
    mappings = {"properties": {"url": {"type": "keyword"}}}
    stage.engine.create_index("videos", {"mappings": mappings})
    attach_index(stage.engine, SETTINGS, stage.encoder.identity, uri_field="url")

    def scan() -> list[Outcome]:
        index = open_videos_index(stage.engine, SETTINGS)

        def enqueue(batch: Sequence[Registration]) -> Iterator[Registration]:
            for one in batch:
                stage.registry.mark_queued(one.id)
                yield one

        found = list(scan_index(stage.registry, index, enqueue=enqueue))
        return [stage.ingest(finding.id) for finding in found]

    for id in ("a", "b"):
        stage.engine.put("videos", id, {"url": str(clip), "title": id})
    assert [outcome.status for outcome in scan()] == ["indexed", "indexed"]
    before = stage.video("a")
    assert stage.work()[1] == 6, "the second has the same content"
    for id in ("a", "b"):
        stage.engine.put("videos", id, {"url": str(clip), "title": f"{id}, rewritten"})
    assert [outcome.status for outcome in scan()] == ["indexed", "indexed"]
    assert stage.work() == (0, 0)
    assert_same_vectors(stage.video("a"), before)


def test_new_subtitles_are_read_without_decoding_the_frames(
    stage: Stage, clip: Path, tmp_path: Path
) -> None:
    stage.add("a", clip)
    assert "text" not in stage.video("a")["segments"][0]
    stage.work()
    (tmp_path / "clip.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nA red fox.\n")
    assert stage.again("a").status == "indexed"
    assert stage.video("a")["segments"][0]["text"] == "A red fox."
    assert stage.work()[1] == 0


def test_damage_that_the_settings_no_longer_allow_is_refused_from_the_store(
    stage: Stage, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.mp4"
    write_clip(clip, [i / 10 for i in range(60)], picture=moving_frame, rate=10)
    data = bytearray(clip.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    clip.write_bytes(data)
    stage.ingest_settings = IngestSettings(max_damaged=1.0)
    assert stage.add("a", clip).status == "indexed"
    assert (stage.registry.get("a").damaged or 0) > 0
    stage.work()
    stage.ingest_settings = IngestSettings(max_damaged=0.0)
    assert stage.add("b", clip).status == "failed"
    assert stage.work() == (0, 0)
    assert "max_damaged" in str(stage.registry.get("b").error)


class TestThumbnails:
    @pytest.fixture
    def pictures(self, stage: Stage, tmp_path: Path) -> ThumbnailStore:
        stage.thumbnails = ThumbnailStore(str(tmp_path / "pictures"))
        return stage.thumbnails

    def test_a_copy_has_the_same_pictures_without_decoding(
        self, stage: Stage, pictures: ThumbnailStore, clip: Path
    ) -> None:
        stage.add("a", clip)
        stage.work()
        stage.add("b", clip)
        assert stage.work() == (0, 0)
        assert_same_vectors(stage.video("a"), stage.video("b"))
        kept = {picture.key for picture in pictures.pictures()}
        assert {segment["thumbnail"] for segment in stage.video("b")["segments"]} == kept

    def test_pictures_that_are_gone_or_new_are_made_without_encoding(
        self, stage: Stage, pictures: ThumbnailStore, clip: Path
    ) -> None:
        stage.add("a", clip)
        before = stage.video("a")
        pictures.remove([before["segments"][0]["thumbnail"]])
        stage.work()
        stage.add("b", clip)
        readings, encoded = stage.work()
        assert readings == 1
        assert encoded == 0
        assert_same_vectors(stage.video("b"), before)
        assert len(list(pictures.pictures())) == len(
            {segment["thumbnail"] for segment in before["segments"]}
        )


class TestOverHttp:
    @pytest.fixture
    def serve(self, clip: Path) -> Iterator[Callable[..., tuple[str, list[int]]]]:
        """A server of the clip; counts the bytes of each answer."""
        sent: list[int] = []
        headers: dict[str, str] = {}
        content = clip.read_bytes()

        def answer(asked: Asked) -> Reply:
            whole = "Range" not in asked.headers
            body = content if whole else content[:1]
            sent.append(len(body))
            extra = {} if whole else {"Content-Range": f"bytes 0-0/{len(content)}"}
            return Reply(200 if whole else 206, body, {**headers, **extra})

        with http_stub(answer) as stub:

            def start(**given: str) -> tuple[str, list[int]]:
                headers.update({name.replace("_", "-"): value for name, value in given.items()})
                return f"{stub.url}/clip.mp4", sent

            yield start

    def test_an_unchanged_strong_etag_fetches_one_byte(
        self, stage: Stage, serve: Callable[..., tuple[str, list[int]]]
    ) -> None:
        uri, sent = serve(etag='"v1"')
        assert stage.add("a", uri, title="Old").status == "indexed"
        assert len(sent) == 2
        sent.clear()
        stage.work()
        assert stage.add("a", uri, title="New").status == "unchanged"
        assert sent == [1]
        serve(etag='"v2"')
        assert stage.again("a").status == "unchanged", "other ETag, same bytes"
        assert len(sent) == 3
        assert stage.work() == (0, 0)

    def test_a_url_that_is_signed_anew_fetches_one_byte(
        self, stage: Stage, serve: Callable[..., tuple[str, list[int]]]
    ) -> None:
        uri, sent = serve(etag='"v1"')
        signed, anew = (f"{uri}?Expires={at}&Signature={at}&AWSAccessKeyId=k" for at in (1, 2))
        assert stage.add("a", signed).status == "indexed"
        sent.clear()
        stage.work()
        assert stage.add("a", anew).status == "unchanged"
        assert sent == [1]
        assert stage.video("a")["uri"] == anew
        stage.add("a", f"{anew}&versionId=2")
        assert len(sent) == 3, "another object is read"
        assert stage.work() == (0, 0)

    def test_a_weak_etag_proves_nothing(
        self, stage: Stage, serve: Callable[..., tuple[str, list[int]]]
    ) -> None:
        uri, sent = serve(etag='W/"v1"')
        stage.add("a", uri)
        sent.clear()
        assert stage.again("a").status == "unchanged"
        assert max(sent) > 1000


def test_vectors_of_the_store_are_within_a_millionth_of_those_without(
    stage: Stage, clip: Path
) -> None:
    stage.add("a", clip)
    stage.store = None
    stage.add("b", clip)
    for one, other in zip(
        [stage.video("a"), *stage.video("a")["segments"]],
        [stage.video("b"), *stage.video("b")["segments"]],
        strict=True,
    ):
        assert np.dot(one["vector"], other["vector"]) > 0.999999
