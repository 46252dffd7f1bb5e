"""Function words in the keyword leg, on real analysers and BM25."""

from __future__ import annotations

import pytest
from tests.search_index import TableEncoder, Video, create_index, unit_vectors

from vidsearch.engines import Engine
from vidsearch.search import VideoSearch

pytestmark = pytest.mark.integration

TITLES = [
    *("Pigs in a polka", "The Who", "To be, or not to be", "A cow on the moon", "Who is it?"),
    *("Being there", "The cow of the who", "In the mood for love"),
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a cow in a field", ["A cow on the moon", "The cow of the who"]),
        ("the who", ["The Who", "The cow of the who"]),
        ("To be or not to be", ["To be, or not to be"]),
        ("in the mood", ["In the mood for love"]),
        ("there is one", []),
        ("of in by", []),
        ("being there", ["Being there"]),
        ("There's a cow that isn't there", ["A cow on the moon", "The cow of the who"]),
    ],
)
def test_function_words_alone_find_nothing_but_names_do(
    engine: Engine, index_name: str, text: str, found: list[str]
) -> None:
    videos = [Video(title, {"title": title}, unit_vectors(title, 1)) for title in TITLES]
    create_index(engine, index_name, videos, shards=2)
    search = VideoSearch(engine, TableEncoder(), index=index_name)
    hits = search.search(text, mode="keyword", highlight=True).hits
    assert sorted(hit.id for hit in hits) == sorted(found)
    if text == "the who":
        assert hits[0].id == "The Who"
    if text == "a cow in a field":
        assert hits[0].highlights["title"] == ("A <em>cow</em> on the moon",)
