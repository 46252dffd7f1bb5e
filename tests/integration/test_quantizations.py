"""Every way of keeping vectors that a node has: made, compared with itself, filled, searched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.search_index import Video, make_videos, unit_vectors
from tests.services import RunningServices

from vidsearch.config import IndexSettings
from vidsearch.encoders.identity import ModelIdentity
from vidsearch.engines import Engine, Write
from vidsearch.errors import BackendError, ConfigError, MappingConflictError
from vidsearch.index import create_videos_index, videos_index_body
from vidsearch.index.diff import apply_changes, diff_videos_index
from vidsearch_mappings.queries import vector_query
from vidsearch_mappings.scores import Similarity, cosine_from_score
from vidsearch_mappings.vectors import oversample_of, presets_of

pytestmark = pytest.mark.integration

DIMS = 512
IDENTITY = ModelIdentity("table", "1", DIMS, image_size=1)
VIDEOS = make_videos(40, dims=DIMS)


def of(name: str, preset: str, **changes: Any) -> IndexSettings:
    values = {"quantization": preset, "shards": 2, "replicas": 0, **changes}
    return IndexSettings(name=name, **values)


def near(video: Video) -> Any:
    """A near-duplicate of the first segment of a video: cosine about 0.95."""
    segment = video.segments[0] + 0.33 * unit_vectors(f"noise {video.id}", 1, dims=DIMS)[0]
    return segment / np.linalg.norm(segment)


@pytest.mark.newest_nodes
@pytest.mark.parametrize("level", ["segment", "video"])
def test_every_available_preset_finds_near_duplicates(
    engine: Engine, index_name: str, level: Any
) -> None:
    presets = sorted(engine.features().quantizations)
    assert {"float", "int8", "flat"} <= set(presets)
    for preset in presets:
        name = f"{index_name}-{preset}"
        settings = of(name, preset)
        create_videos_index(engine, settings, IDENTITY)
        assert diff_videos_index(engine, settings, IDENTITY) == (), preset
        writes = [Write("index", video.id, video.document("video")) for video in VIDEOS]
        engine.bulk(name, writes, refresh=True)
        for video in VIDEOS:
            query = near(video) if level == "segment" else video.mean
            body = vector_query(
                engine.kind,
                field="video",
                vector=query.tolist(),
                level=level,
                k=5,
                num_candidates=50,
                oversample=oversample_of(preset),
            )
            scripted = engine.kind == "opensearch" and oversample_of(preset) is not None
            similarity: Similarity = "half_inner_product" if scripted else "cosine"
            hits = engine.search(name, body)["hits"]["hits"]
            assert hits[0]["_id"] == video.id, preset
            for hit in hits:
                found = cosine_from_score(hit["_score"], similarity=similarity)
                other = VIDEOS[int(hit["_id"][1:])]
                # Which segment speaks for a video is decided by the shortened vectors; how near
                # that one is, by the exact ones.
                every = other.segments @ query if level == "segment" else [other.mean @ query]
                assert min(abs(found - true) for true in every) < 1e-3, preset
            best = cosine_from_score(hits[0]["_score"], similarity=similarity)
            assert best == pytest.approx(video.cosine(query, level=level), abs=1e-3), preset


def test_unavailable_preset_is_refused_before_anything_is_created(
    engine: Engine, index_name: str
) -> None:
    features = engine.features()
    lacking = set(presets_of(engine.kind)) - features.quantizations
    if not lacking and engine.kind == "opensearch":
        pytest.skip("it has k-NN's native libraries, and so every preset")
    assert lacking, "the nodes of the tests have no licence"
    for preset in lacking:
        settings = of(index_name, preset)
        with pytest.raises(ConfigError, match=f"cannot keep vectors as '{preset}'.*it has float"):
            create_videos_index(engine, settings, IDENTITY)
        assert engine.indices_of(settings.registry) == ()


# -- what can be changed


def test_index_type_is_changed_in_place_where_the_engine_allows_it(
    engine: Engine, index_name: str, services: RunningServices
) -> None:
    if engine.kind == "opensearch":
        pytest.skip("it has no index_options; see the next test")
    presets = [p for p in presets_of("elasticsearch") if p in engine.features().quantizations]
    accepted = set()
    for old in presets:
        for new in presets:
            if old == new:
                continue
            name = f"{index_name}-{old}-{new}"
            create_videos_index(engine, of(name, old), IDENTITY)
            wanted = of(name, new)
            found = diff_videos_index(engine, wanted, IDENTITY)
            # What a graph is searched by is an index setting, and any index takes it.
            settings = {change for change in found if change.path.startswith("settings.")}
            assert {change.how for change in settings} <= {"in place"}
            changes = set(found) - settings
            hows = {change.how for change in changes}
            assert len(hows) == 1, changes
            if hows == {"in place"}:
                accepted.add((old, new))
                assert apply_changes(engine, wanted, IDENTITY) == ()
            else:
                assert set(apply_changes(engine, wanted, IDENTITY)) == changes
                body = videos_index_body(engine, wanted, IDENTITY)["mappings"]["properties"]
                with pytest.raises(MappingConflictError):
                    engine.put_mapping(name, {"properties": body})
            services.drop(name)
    assert {("float", "int8"), ("int8", "binary"), ("flat", "float")} <= accepted
    assert not {("int8", "float"), ("float", "flat"), ("binary", "int8")} & accepted


def test_changes_that_need_a_new_index_are_refused_by_the_node(
    engine: Engine, index_name: str
) -> None:
    create_videos_index(engine, of(index_name, "float"), IDENTITY)
    engine.put_mapping(index_name, {"properties": {"price": {"type": "float"}}})
    assert diff_videos_index(engine, of(index_name, "float"), IDENTITY) == ()

    wider = ModelIdentity("table", "1", 2 * DIMS, image_size=1)
    changes = diff_videos_index(engine, of(index_name, "float"), wider)
    assert {change.how for change in changes} == {"new index", "new vectors"}
    body = videos_index_body(engine, of(index_name, "float"), wider)["mappings"]
    with pytest.raises(MappingConflictError):
        engine.put_mapping(index_name, {"properties": body["properties"]})

    (shards,) = diff_videos_index(engine, of(index_name, "float", shards=3), IDENTITY)
    assert (shards.path, shards.how) == ("settings.index.number_of_shards", "new index")
    with pytest.raises(BackendError):
        engine.put_settings(index_name, {"number_of_shards": 3})


def test_replicas_are_changed_in_place(engine: Engine, index_name: str) -> None:
    create_videos_index(engine, of(index_name, "int8"), IDENTITY)
    (change,) = diff_videos_index(engine, of(index_name, "int8", replicas=2), IDENTITY)
    assert change.how == "in place"
    assert apply_changes(engine, of(index_name, "int8", replicas=2), IDENTITY) == ()
    assert engine.settings(f"{index_name}-000001")["number_of_replicas"] == "2"
