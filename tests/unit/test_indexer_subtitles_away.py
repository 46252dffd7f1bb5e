"""Subtitles whose place is half away: the video answers, and they do not."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from typing import Any

import fsspec
import pytest
from tests.ingest_stage import SETTINGS, Stage, aged

from vidsearch.config import IngestSettings
from vidsearch.index import create_videos_index
from vidsearch.media.sources import local
from vidsearch.registry import State
from vidsearch.testing.clips import write_clip

_URI = "gs://bucket/clip.mp4"
_SRT = b"1\n00:00:00,000 --> 00:00:05,000\nA red fox.\n"


class _Bucket:
    """The objects of a bucket; a name in ``throttled`` is answered with 503."""

    objects: dict[str, bytes]
    throttled: set[str]

    def invalidate_cache(self) -> None: ...

    def info(self, path: str) -> dict[str, Any]:
        data = self._read(path)
        return {"type": "file", "size": len(data), "etag": str(hash(data))}

    def open(self, path: str, mode: str, **options: Any) -> Any:
        return io.BytesIO(self._read(path))

    def cat_file(self, path: str, **options: Any) -> bytes:
        return self._read(path)

    def find(self, path: str, *, prefix: str) -> list[str]:
        self._answer("LIST")
        return [f"{path}/{name}" for name in self.objects if name.startswith(prefix)]

    def _read(self, path: str) -> bytes:
        name = path.rpartition("/")[2]
        self._answer(name)
        return self.objects[name]

    def _answer(self, name: str) -> None:
        if name in self.throttled:
            error: Any = type("HttpError", (Exception,), {})("slow down")
            error.code = 503
            raise error


@pytest.fixture
def stage() -> Stage:
    stage = Stage()
    create_videos_index(stage.engine, SETTINGS, stage.encoder.identity)
    return stage


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return aged(write_clip(tmp_path / "clip.mp4", [i / 10 for i in range(60)], rate=10))


@pytest.fixture
def bucket(clip: Path, monkeypatch: pytest.MonkeyPatch) -> type[_Bucket]:
    members = {"objects": {"clip.mp4": clip.read_bytes(), "clip.srt": _SRT}, "throttled": set()}
    kind = type("Bucket", (_Bucket,), members)
    monkeypatch.setattr(fsspec, "get_filesystem_class", lambda scheme: kind)
    return kind


@pytest.mark.parametrize("throttled", ["LIST", "clip.srt"])
def test_subtitles_that_do_not_answer_stay_in_the_document(
    stage: Stage, bucket: type[_Bucket], throttled: str
) -> None:
    assert stage.add("a", _URI).status == "indexed"
    before = stage.video("a")
    assert before["subtitles"] == "A red fox."
    bucket.throttled.add(throttled)
    assert stage.again("a").status == "unchanged"
    assert stage.video("a") == before
    stage.engine.delete("videos", "a")
    assert stage.again("a").status == "indexed"
    assert stage.video("a")["subtitles"] == "A red fox.", "of what was kept"


@pytest.mark.parametrize("throttled", ["LIST", "clip.srt"])
def test_whether_subtitles_have_changed_is_asked_again_later(
    stage: Stage, bucket: type[_Bucket], throttled: str
) -> None:
    stage.add("a", _URI)
    bucket.throttled.add(throttled)
    stage.registry.reopen_many(["a"], ask=True)
    assert stage.ingest("a").status == "retry"
    assert stage.registry.get("a").attempts == 0
    bucket.throttled.clear()
    bucket.objects["clip.srt"] = _SRT.replace(b"fox", b"dog")
    assert stage.ingest("a").status == "indexed"
    assert stage.video("a")["subtitles"] == "A red dog."


def test_a_document_is_not_made_without_subtitles_that_it_had_before(
    stage: Stage, bucket: type[_Bucket]
) -> None:
    stage.add("a", _URI)
    bucket.throttled.add("LIST")
    stage.ingest_settings = IngestSettings(subtitle_languages=("en",))  # so they are read again
    assert stage.again("a").status == "retry"
    assert stage.video("a")["subtitles"] == "A red fox."


def test_a_video_without_known_subtitles_goes_without(stage: Stage, bucket: type[_Bucket]) -> None:
    bucket.throttled.add("LIST")
    assert stage.add("a", _URI).status == "indexed"
    assert stage.again("a").status == "unchanged"


def test_subtitles_that_are_taken_away_leave_the_document(
    stage: Stage, bucket: type[_Bucket]
) -> None:
    stage.add("a", _URI)
    del bucket.objects["clip.srt"]
    assert stage.again("a").status == "indexed"
    assert "subtitles" not in stage.video("a")


@pytest.mark.parametrize(
    ("error", "status"), [(OSError(errno.EIO, "I/O error"), "unchanged"), (None, "indexed")]
)
def test_a_share_that_fails_takes_no_subtitles_away(
    stage: Stage,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: OSError | None,
    status: str,
) -> None:
    clip.with_suffix(".srt").write_bytes(_SRT)
    stage.add("a", clip)
    clip.with_suffix(".srt").unlink()

    def scandir(path: Any) -> Any:
        if error is not None:
            raise error
        return os.scandir(path)

    monkeypatch.setattr(local, "os", _Os(scandir))
    assert stage.again("a").status == status
    assert ("subtitles" in stage.video("a")) is (error is not None)
    assert stage.registry.get("a").state is State.INDEXED


class _Os:
    """The module, but for one function."""

    def __init__(self, scandir: Any) -> None:
        self.scandir = scandir

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)
