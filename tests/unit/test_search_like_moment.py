"""``like`` with ``at``: which segment of a video a second names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.search_index import TableEncoder, Video, create_index, unit_vectors

from vidsearch.engines import Write
from vidsearch.errors import QueryError
from vidsearch.search import VideoSearch
from vidsearch.search.query_vector import stored_vector
from vidsearch.search.request import SearchRequest
from vidsearch.testing.memory_engine import MemoryEngine

Times = Sequence[tuple[float, float]]

FIXED: Times = [(0, 8), (8, 16), (16, 24)]
"""Each ends where the next one begins."""
SHOTS: Times = [(0, 3.2), (3.2, 33.4), (33.4, 34.0)]
OVERLAPPING: Times = [(0, 10), (5, 15), (10, 20)]
APART: Times = [(0, 9.3), (10, 19.3)]
NTSC: Times = [(1001 * n / 30, 1001 * (n + 1) / 30) for n in range(300)]
"""A thousand frames each, of 29.97 a second."""


def document(times: Times) -> dict[str, Any]:
    """The fields of a video whose segments have their number as their vector."""
    segments = [
        {"start": start, "end": end, "vector": [float(number)]}
        for number, (start, end) in enumerate(times)
    ]
    return {"video": {"vector": [0.0], "segments": segments}}


def segment_at(at: float, times: Times) -> int:
    """The number of the segment that is compared with."""
    request = SearchRequest(like="a", at=at)
    (number,) = stored_vector(document(times), request, kind="elasticsearch", field="video")
    return int(number)


@pytest.mark.parametrize("times", [FIXED, SHOTS, OVERLAPPING, APART], ids=str)
def test_the_start_of_a_segment_names_that_segment(times: Times) -> None:
    assert [segment_at(start, times) for start, _ in times] == [*range(len(times))]


@pytest.mark.parametrize(
    ("at", "times", "number"),
    [
        (7.9, FIXED, 0),
        (8.1, FIXED, 1),
        (24, FIXED, 2),
        (33.39, SHOTS, 1),
        (34, SHOTS, 2),
        (7.4, OVERLAPPING, 0),
        (7.6, OVERLAPPING, 1),
        (12.6, OVERLAPPING, 2),
        (9.3, APART, 0),
        (9.9, APART, 1),
    ],
)
def test_a_second_between_starts_names_the_segment_that_holds_it(
    at: float, times: Times, number: int
) -> None:
    assert segment_at(at, times) == number


def test_a_start_names_its_segment_as_engines_and_people_round_it() -> None:
    for number, (start, _) in enumerate(NTSC):
        for written in (start, float(np.float32(start)), round(start, 3)):
            assert segment_at(written, NTSC) == number


def test_an_end_as_an_engine_rounds_it_lies_in_the_video() -> None:
    end = 1000.7
    assert float(np.float32(end)) > end
    assert segment_at(float(np.float32(end)), [(0, end)]) == 0
    with pytest.raises(QueryError, match=r"ends at 1000\.7 s, there is no segment at 1000\.8 s"):
        segment_at(1000.8, [(0, end)])


def test_the_start_of_a_moment_that_was_found_gives_its_own_vector() -> None:
    engine = MemoryEngine()
    film, other = (Video(id, {}, unit_vectors(id, 5)) for id in ("film", "other"))
    create_index(engine, "videos", [other])
    fields = film.document("video")
    for number, segment in enumerate(fields["video"]["segments"]):
        segment |= {"start": 8.0 * number, "end": 8.0 * (number + 1)}
    engine.bulk("videos", [Write("index", "film", fields)], refresh=True)
    search = VideoSearch(engine, TableEncoder())
    for vector in film.segments:
        found = search.search(vector=vector, merge_gap=None, moments=1)
        assert found.hits[0].id == "film"
        (moment,) = found.hits[0].moments
        again = search.search(like="film", at=moment.start)
        (expected,) = search.search(vector=vector, filter={"ids": {"values": ["other"]}})
        assert again.hits[0].cosine == pytest.approx(expected.cosine, abs=1e-6)
