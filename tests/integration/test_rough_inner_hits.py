"""Cosines of moments on a version whose inner hits are scored with quantized vectors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from tests.search_index import SEGMENT_SECONDS, TableEncoder, Video, create_index, unit_vectors
from tests.services import RunningServices

from vidsearch.config import EngineSettings
from vidsearch.engines import Engine, connect
from vidsearch.local import SearchNode
from vidsearch.search import VideoSearch

pytestmark = pytest.mark.integration

DIMS = 512


def _near_each_other(at: int) -> Video:
    """Segments of one video are alike, as those of real ones."""
    segments = 18 * unit_vectors(f"centre {at}", 1, dims=DIMS)
    segments = segments + 22 * unit_vectors(f"rough {at}", 6, dims=DIMS)
    segments /= np.linalg.norm(segments, axis=1, keepdims=True)
    return Video(f"v{at:02}", {"title": "x"}, segments.astype(np.float32))


VIDEOS = [_near_each_other(at) for at in range(60)]


@pytest.fixture(scope="module", params=["9.2.2", "9.5.3"])
def engine(request: Any, services: RunningServices) -> Iterator[Engine]:
    version = request.param
    if version == "9.5.3":
        url, own = services.node("es-9.5.3").url, None
    else:
        with services.needs(f"es-{version}"):
            own = SearchNode.start("elasticsearch", version=version, quick=True)
        url = own.url
    engine = connect(EngineSettings(url=url, kind="elasticsearch"))
    yield engine
    engine.close()
    if own is not None:
        own.stop()
    else:
        services.drop("test-rough")


@pytest.mark.parametrize("quantization", ["int8", "int4", "binary"])
def test_quantised_moments_have_exact_cosines_and_thresholds_hold(
    engine: Engine, quantization: Any
) -> None:
    name, encoder = f"test-rough-{quantization}", TableEncoder(dims=DIMS)
    create_index(engine, name, VIDEOS, quantization=quantization, identity=encoder.identity)
    search = VideoSearch(engine, encoder, index=name)
    for at in range(3):
        query = VIDEOS[at].segments[at % 6] + 0.5 * unit_vectors(f"query {at}", 1, dims=DIMS)[0]
        query = (query / np.linalg.norm(query)).astype(np.float32)
        for options in ({"level": "segment"}, {"level": "both"}, {"text": "x", "mode": "hybrid"}):
            result = search.search(vector=query, k=8, moments=6, merge_gap=None, **options)
            assert len(result) == 8
            for hit in result:
                cosines = VIDEOS[int(hit.id[1:])].segments @ query
                assert hit.moments or options.get("level") == "both"
                for moment in hit.moments:
                    true = cosines[round(moment.start / SEGMENT_SECONDS)]
                    assert moment.cosine == pytest.approx(float(true), abs=1e-4)
                if options.get("level") == "segment":
                    assert hit.cosine == pytest.approx(float(cosines.max()), abs=1e-4)
        best = max(float((video.segments @ query).max()) for video in VIDEOS)
        for least, found in ((best - 0.002, 1), (best + 0.002, 0)):
            kept = search.search(vector=query, k=1, min_cosine=least)
            assert [bool(hit.moments) for hit in kept] == [True] * found
