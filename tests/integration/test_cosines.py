"""The cosine that is read from a score, for every similarity of the engines, against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.search_index import Video, make_videos, unit_vectors

from vidsearch.engines import Engine, Write
from vidsearch_mappings import cosine_from_score, index_meta, similarity_of, videos_index
from vidsearch_mappings.queries import SEGMENT_HITS, vector_query

pytestmark = pytest.mark.integration

DIMS = 512
QUERY = unit_vectors("query", 1, dims=DIMS)[0]
SIMILARITIES = {
    "elasticsearch": ("cosine", "dot_product", "max_inner_product", "l2_norm"),
    "opensearch": ("cosinesimil", "innerproduct", "l2"),
}


def turned(at: int, *, of: int) -> Video:
    """One segment at a known angle to the query, from the same to the opposite direction."""
    cosine = np.cos(np.pi * at / (of - 1))
    aside = unit_vectors(f"aside {at}", 1, dims=DIMS)[0]
    aside -= (aside @ QUERY) * QUERY
    aside /= np.linalg.norm(aside)
    segment = cosine * QUERY + np.sqrt(1 - cosine**2) * aside
    segment = (segment / np.linalg.norm(segment)).astype(np.float32)
    return Video(f"t{at:02}", {"title": "turned"}, segment[None, :])


VIDEOS = [*make_videos(20, dims=DIMS), *(turned(at, of=21) for at in range(21))]
BY_ID = {video.id: video for video in VIDEOS}


def body(engine: Engine, similarity: str) -> dict[str, Any]:
    made = videos_index(
        engine.kind,
        version=engine.info().version,
        dims=DIMS,
        field="video",
        meta=index_meta(model={}, quantization="float", field="video", segment_seconds=10),
        quantization="float",
        shards=3,
        replicas=0,
    )
    ours = made["mappings"]["properties"]["video"]["properties"]
    for vector in (ours["vector"], ours["segments"]["properties"]["vector"]):
        if engine.kind == "elasticsearch":
            vector["similarity"] = similarity
        else:
            vector["method"]["space_type"] = similarity
    return made


def test_cosines_equal_those_of_numpy(engine: Engine, index_name: str) -> None:
    for name in SIMILARITIES[engine.kind]:
        index = f"{index_name}-{name}"
        engine.create_index(index, body(engine, name))
        engine.bulk(
            index, [Write("index", v.id, v.document("video")) for v in VIDEOS], refresh=True
        )
        ours = engine.mapping(index)["properties"]["video"]["properties"]
        for level in ("segment", "video"):
            similarity = similarity_of(ours["vector"])
            query = vector_query(
                engine.kind,
                field="video",
                vector=QUERY.tolist(),
                level=level,
                k=len(VIDEOS),
                num_candidates=500,
                moments=10,
            )
            hits = engine.search(index, query)["hits"]["hits"]
            found = {
                hit["_id"]: cosine_from_score(hit["_score"], similarity=similarity) for hit in hits
            }
            true = {video.id: video.cosine(QUERY, level=level) for video in VIDEOS}
            assert min(true.values()) == pytest.approx(-1, abs=1e-5)
            assert found == pytest.approx(true, abs=1e-3), (name, level)
            assert list(found.values()) == sorted(found.values(), reverse=True)
            if level == "segment":
                for hit in hits:
                    moments = hit["inner_hits"][SEGMENT_HITS]["hits"]["hits"]
                    cosines = [
                        cosine_from_score(m["_score"], similarity=similarity) for m in moments
                    ]
                    each = sorted(BY_ID[hit["_id"]].segments @ QUERY, reverse=True)
                    assert cosines == pytest.approx(each, abs=1e-3), name
