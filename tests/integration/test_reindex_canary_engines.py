"""The check before the swap on real nodes: what passes, and what is refused for which reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.search_index import unit_vectors

from vidsearch.config import IndexSettings
from vidsearch.encoders import Encoder, ModelIdentity
from vidsearch.engines import Engine, Json, Write
from vidsearch.index import VideosIndex, create_videos_index, videos_index_body
from vidsearch.index.targets import open_concrete
from vidsearch.registry import Registry
from vidsearch.reindex.canary import CanaryReport, check_target
from vidsearch.testing.fake_encoder import FakeEncoder

# The presets are held to all three nodes by test_quantizations.py, the searches by those of theirs.
pytestmark = [pytest.mark.integration, pytest.mark.newest_nodes]

DIMS = 128
IDS = [f"v{number:02}" for number in range(60)]


@dataclass
class Stage:
    """Sixty videos in an index, and the target of a reindex."""

    engine: Engine
    settings: IndexSettings
    registry: Registry
    old: str
    new: str

    @classmethod
    def create(cls, engine: Engine, name: str, new: ModelIdentity, **changes: Any) -> Stage:
        settings = IndexSettings(name=name, side_prefix=f"{name}-", replicas=0)
        old = create_videos_index(engine, settings, FakeEncoder(dims=DIMS).identity)
        body = videos_index_body(engine, settings.model_copy(update=changes), new)
        target = f"{name}-000002"
        engine.create_index(target, body)
        stage = cls(engine, settings, Registry(engine, index=settings.registry), old, target)
        videos = [{"id": id, "uri": f"/{id}.mp4", "fields": _fields(id)} for id in IDS]
        stage.registry.register_many(videos)
        for id in IDS:
            stage.registry.complete(stage.registry.claim(id, owner="w"), fingerprint=f"of {id}")
        stage.write(old, "first")
        return stage

    def write(self, index: str, model: str, ids: list[str] = IDS, **videos: Json) -> None:
        documents = {id: {**_fields(id), "video": videos.get(id, _video(id, model))} for id in ids}
        writes = [Write("index", id, document) for id, document in documents.items()]
        self.engine.bulk(index, writes, refresh=True)

    def index(self, name: str) -> VideosIndex:
        return open_concrete(self.engine, name, alias=self.settings.name)

    def check(self, **options: Any) -> CanaryReport:
        def encoder_for(index: VideosIndex) -> Encoder:
            return FakeEncoder(dims=DIMS, revision=index.identity.revision)

        return check_target(
            self.index(self.old),
            self.index(self.new),
            self.registry,
            encoder_for=encoder_for,
            pause=lambda seconds: None,
            **options,
        )


def _fields(id: str) -> Json:
    return {"title": f"title of {id}"}


def _video(id: str, model: str) -> Json:
    middle = unit_vectors(f"cluster {int(id[1:]) % 3} by {model}", 1, dims=DIMS)
    segments = middle + 0.15 * unit_vectors(f"{id} by {model}", 3, dims=DIMS)
    segments /= np.linalg.norm(segments, axis=1, keepdims=True)
    mean = segments.mean(axis=0)
    return {
        "uri": f"/{id}.mp4",
        "fingerprint": f"of {id}",
        "vector": mean / np.linalg.norm(mean),
        "segments": [
            {"start": 10.0 * at, "end": 10.0 * at + 10, "vector": vector}
            for at, vector in enumerate(segments)
        ],
    }


def test_a_copy_with_another_quantization_passes_with_its_recall(
    engine: Engine, index_name: str
) -> None:
    stage = Stage.create(engine, index_name, FakeEncoder(dims=DIMS).identity, quantization="int8")
    stage.write(stage.new, "first")
    report = stage.check(queries=("title of v07",))
    assert report.problems == ()
    assert report.counts == {"indexed": {"videos": 60, "source": 60, "target": 60}}
    assert report.sampled == 60
    assert report.recall.keys() == {"segment", "video"}
    assert min(report.recall.values()) >= 0.9
    (compared,) = report.comparisons
    assert len(compared.old) == len(compared.new) == 10
    assert compared.same >= 8


def test_each_fault_of_a_target_is_named(engine: Engine, index_name: str) -> None:
    stage = Stage.create(engine, index_name, FakeEncoder(dims=DIMS).identity)
    stage.write(stage.new, "first", IDS[1:], v20=_video("v21", "first") | {"uri": "/v20.mp4"})
    engine.update(stage.new, "v30", {"title": "another"})
    missing, differs, vectors = stage.check(recall_queries=0).problems
    assert missing == (f"1 document missing in {stage.new!r}, such as 'v00'")
    assert "differ" in differs
    assert "in title, video.fingerprint, such as 'v20', 'v30'" in differs
    assert vectors.startswith(f"the vectors of 1 of 60 sampled documents of {stage.new!r}")
    assert vectors.endswith("such as 'v20'")


@pytest.mark.one_node("es-9.5.3")
def test_another_model_is_compared_by_documents_and_by_queries_each_with_its_own(
    engine: Engine, index_name: str
) -> None:
    stage = Stage.create(engine, index_name, FakeEncoder(dims=DIMS, revision="2").identity)
    stage.write(stage.new, "second")
    report = stage.check(queries=("red", "v11"))
    assert report.problems == ()
    assert [each.query for each in report.comparisons] == ["red", "v11"]
    assert all(len(each.new) == len(each.old) == 10 for each in report.comparisons)
    stage.write(stage.new, "second", v05=_video("v05", "second") | {"uri": "/else.mp4"})
    (problem,) = stage.check(recall_queries=0).problems
    assert "in video.uri, such as 'v05'" in problem
