"""The fingerprint of a video is the same in every version, or every video is embedded again."""

from __future__ import annotations

import pytest

from vidsearch.embeddings import SegmentPolicy
from vidsearch.encoders import ModelIdentity
from vidsearch.index import VideosIndex
from vidsearch.ingest.document import fingerprint
from vidsearch.testing.memory_engine import MemoryEngine

_MODEL = ModelIdentity(name="demo", revision="1", dims=64, image_size=64)
INDEX = VideosIndex(
    engine=MemoryEngine(),
    alias="videos",
    name="videos-000001",
    field="video",
    model=_MODEL.to_meta(),
    identity=_MODEL,
    layout=1,
    quantization="int8",
    segment_seconds=10.0,
    uri_field=None,
    properties={},
)


def of(segments: SegmentPolicy) -> str:
    return fingerprint(
        "c" * 64, index=INDEX, segments=segments, subtitles=["s" * 64], thumbnails="webp 320"
    )


def test_fingerprint_of_the_same_video_is_that_of_earlier_versions() -> None:
    assert of(SegmentPolicy()) == "284aaa392e2e07111792ac0d3ce8b7fc380566dfe10a471e2bbe46427caaa0d8"


@pytest.mark.parametrize(
    "other",
    [
        SegmentPolicy(method="semantic"),
        SegmentPolicy(length=5.0),
        SegmentPolicy(overlap=1.0),
        SegmentPolicy(limit=100),
    ],
)
def test_fingerprint_differs_for_another_segment_policy(other: SegmentPolicy) -> None:
    assert of(other) != of(SegmentPolicy())
