"""The demo model finds as well as it did when the figures below were measured.

They come from ``python -m benchmarks.quality``: real H.264 files of scenes that training never saw,
decoded, embedded, and searched for in a real index. A change that makes frames, colours, sampling,
pooling, tokens, quantization or ranking worse shows here, whichever it is.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.quality import draw_gallery, measure_quality
from tests.services import WHOLE_WAYS, RunningServices

from vidsearch.config import EngineSettings
from vidsearch.engines import connect

pytestmark = pytest.mark.e2e

MEASURED = {
    "text-to-video": 0.6809,
    "video-to-text": 0.8404,
    "text-to-video in an index, int8": 0.6809,
}
MOST_LOST = 0.02


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_gallery(tmp_path_factory.mktemp("gallery"))


@pytest.mark.parametrize("node", WHOLE_WAYS)
def test_share_of_captions_that_find_their_clip_first_has_not_dropped(
    node: str, captions: Path, services: RunningServices
) -> None:
    running = services.node(node)
    engine = connect(EngineSettings(url=running.url, kind=running.kind))
    try:
        found = measure_quality(engine, captions)
    finally:
        engine.close()
    assert found.keys() == MEASURED.keys()
    lost = {name: MEASURED[name] - value for name, value in found.items()}
    assert max(lost.values()) <= MOST_LOST, found
