"""What the tools of the MCP server give of documents as others may have written them."""

from __future__ import annotations

from typing import Any

import pytest

from vidsearch.config import Settings
from vidsearch.search import Hit, Moment, SearchResult, Total
from vidsearch.web.mcp_answers import FoundVideo, VideosFound
from vidsearch.web.public import public_result


def shown(own: Any, **fields: Any) -> FoundVideo:
    """The only video of a result, whose document has these fields."""
    hit = Hit(
        id="a",
        score=1.0,
        cosine=0.4,
        bm25=None,
        rank_per_leg={},
        fields={**fields, "video": own},
        moments=(Moment(0.0, 9.5, 0.4, "ab/cd.webp"),),
    )
    result = SearchResult((hit,), "vector", "segment", "videos", took=1.0, total=Total(1, "eq", 1))
    settings = Settings()
    plain = public_result(
        result, settings, tells=lambda name: False, thumbnail_url=lambda id, moment: None
    )
    (video,) = VideosFound.of(result, plain, settings).videos
    return video


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        (12, 12.0),
        (12.5, 12.5),
        ([12.5], 12.5),
        ([12.5, 13.0], None),
        ([], None),
        ([[12.5]], None),
        ("00:12", None),
        ("12.5", None),
        ({"seconds": 12}, None),
        (True, None),
        (None, None),
        (float("inf"), None),
        pytest.param(10**400, None, id="more than a float"),
    ],
)
def test_only_a_number_is_a_duration(written: Any, seconds: float | None) -> None:
    assert shown({"duration": written}).duration == seconds


@pytest.mark.parametrize("own", [None, "text", 7, [], [{"duration": 12.5}]])
def test_a_video_whose_object_has_another_form_is_shown_without_a_duration(own: Any) -> None:
    video = shown(own, title="boat")
    assert (video.duration, video.fields) == (None, {"title": "boat"})


@pytest.mark.parametrize("odd", [["a", "b"], {"en": "a"}, 7, None, True])
def test_other_fields_are_shown_as_they_were_written(odd: Any) -> None:
    assert shown({"duration": 3}, title=odd, tags=[1, "x"]).fields == {
        "title": odd,
        "tags": [1, "x"],
    }
    assert shown({"duration": 3, "uri": odd}, tags=["x", "y"]).fields == {"tags": ["x", "y"]}
