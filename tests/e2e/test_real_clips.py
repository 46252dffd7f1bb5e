"""The shared clips, from every corner of the field, through our own worker and the demo model."""

from __future__ import annotations

import json
import uuid
from pathlib import Path

import numpy as np
import pytest
from tests.integration.worker import Worker, until

from vidsearch.config import load_settings
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch_tasks import Services, register_video

pytestmark = [pytest.mark.e2e, pytest.mark.integration, pytest.mark.timeout(600)]

# What nobody can read, and what each must say of itself.
_FAILED = {
    "mp4parse_opus_audioinit.mp4": ("VideoOpenError", "no video stream"),
    "mp4parse_zero_empty_stsc.mp4": ("NoFramesError", "frames"),
}


def test_every_clip_is_indexed_or_failed_with_a_reason(
    shared: Path,
    elasticsearch_9: SearchNode,
    redis_url: str,
    index_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    env = {
        "VIDSEARCH_ENGINE__URL": elasticsearch_9.url,
        "VIDSEARCH_BROKER__URL": redis_url,
        "VIDSEARCH_BROKER__QUEUE": f"q-{uuid.uuid4().hex[:8]}",
        "VIDSEARCH_INDEX__NAME": index_name,
        "VIDSEARCH_MODEL__NAME": "demo",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    manifest = (shared / "clips" / "MANIFEST.jsonl").read_text(encoding="utf-8").splitlines()
    clips = {item["file"]: item for item in map(json.loads, manifest)}
    services = Services(load_settings())
    try:
        create_videos_index(services.engine, services.settings.index, services.encoder.identity)
        for file, item in clips.items():
            uri = str(shared / "clips" / file)
            register_video(file, uri=uri, fields={"title": item["shows"]}, services=services)
        with Worker(tmp_path / "worker", env, app="vidsearch_tasks") as worker:
            ends = (State.INDEXED, State.FAILED, State.DEAD)
            until(
                lambda: sum(services.registry.counts()[end] for end in ends) == len(clips),
                what="every clip is through",
                worker=worker,
                seconds=500,
            )
        records = {record.id: record for record in services.registry.scan()}
        failed = {id: record for id, record in records.items() if record.state is State.FAILED}
        assert failed.keys() == _FAILED.keys()
        for id, (kind, reason) in _FAILED.items():
            error = failed[id].error
            assert error is not None
            assert error.type == kind
            assert reason in error.message
        indexed = {id for id, record in records.items() if record.state is State.INDEXED}
        assert indexed == clips.keys() - _FAILED.keys()
        index = services.open_index()
        services.engine.refresh(index.name)
        assert index.count() == len(indexed)
        for id in indexed:
            document = index.read(id)
            assert document is not None
            ours = document.source["video"]
            vectors = np.array([ours["vector"], *(s["vector"] for s in ours["segments"])])
            np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
            assert (ours["segments"][0]["start"], ours["segments"][-1]["end"]) == (
                0,
                pytest.approx(ours["duration"], abs=1e-3),
            )
            # Points whose frame is damaged are left out, and counted (decord_corrupted.mp4).
            points = (records[id].frames or 0) + (records[id].damaged or 0)
            assert points == pytest.approx(ours["duration"], abs=1.01)
    finally:
        services.close()
