"""The vector of an image by itself, and what a search client says of its index."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.page_stage import COLOURS, picture
from tests.search_index import Video, create_index

from vidsearch.errors import ModelMismatchError, QueryError
from vidsearch.media.frames import FrameBatch
from vidsearch.search import VideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine


@pytest.fixture
def search() -> VideoSearch:
    engine, encoder = MemoryEngine(), FakeEncoder()
    videos = []
    for colour, value in COLOURS.items():
        frame = FrameBatch(np.full((1, 4, 4, 3), value, np.uint8), np.zeros(1))
        videos.append(Video(colour, {"title": colour}, encoder.encode_frames(frame)))
    create_index(engine, "videos-000001", videos, alias="videos", identity=encoder.identity)
    return VideoSearch(engine, encoder)


@pytest.mark.parametrize("colour", sorted(COLOURS))
def test_the_vector_of_an_image_finds_what_the_image_finds(
    search: VideoSearch, colour: str
) -> None:
    vector = search.embed_image(picture(colour))
    assert (vector.shape, vector.dtype) == ((32,), np.float32)
    by_vector, by_image = search.search(vector=vector), search.search(image=picture(colour))
    assert [hit.id for hit in by_vector] == [hit.id for hit in by_image]
    assert by_vector.hits[0].id == colour


def test_the_vector_is_of_the_model_of_the_index_that_is_given(search: VideoSearch) -> None:
    index = search.describe_index()
    vector = search.embed_image(picture("red"), index=index)
    assert vector.tolist() == search.embed_image(picture("red")).tolist()
    other = replace(index, identity=replace(index.identity, revision="another"))
    with pytest.raises(ModelMismatchError, match="another"):
        search.embed_image(picture("red"), index=other)


def test_what_is_no_image_is_refused(search: VideoSearch) -> None:
    with pytest.raises(QueryError, match="no image format that is read"):
        search.embed_image(b"no image")


def test_the_index_is_described_with_its_model_and_fields(search: VideoSearch) -> None:
    index = search.describe_index()
    assert index.name == "videos-000001"
    assert index.identity == FakeEncoder().identity
    assert index.properties["year"] == {"type": "integer"}
