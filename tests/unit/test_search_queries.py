"""Ways to ask, cuts, moments, filters on segments, highlights and explanations, in memory."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.exports import tiny_export
from tests.http_stub import Asked, Reply, http_stub
from tests.search_index import (
    TableEncoder,
    Video,
    create_index,
    make_videos,
    nearest,
    unit_vectors,
)

from vidsearch.config import Settings, SourceSettings
from vidsearch.encoders import mean_unit
from vidsearch.engines import Write
from vidsearch.engines.vectors import encode_vector
from vidsearch.errors import ModelUnavailableError, QueryError, SourceUnavailableError
from vidsearch.search import Linear, Moment, VideoSearch
from vidsearch.search.filters import build_filters
from vidsearch.search.moments import merge_moments
from vidsearch.search.query_vector import MediaInput, stored_vector
from vidsearch.search.request import SearchRequest
from vidsearch.search.segment_filters import split_segment_filters
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

VIDEOS = make_videos(30)
BY_ID = {video.id: video for video in VIDEOS}
QUERY = unit_vectors("query", 1)[0]
PATH = "video.segments"


@pytest.fixture
def engine() -> MemoryEngine:
    engine = MemoryEngine()
    create_index(engine, "videos", VIDEOS)
    return engine


@pytest.fixture
def search(engine: MemoryEngine) -> VideoSearch:
    return VideoSearch(engine, TableEncoder())


def test_a_vector_is_scaled_and_compared(search: VideoSearch) -> None:
    result = search.search(vector=(7 * QUERY).tolist(), k=30)
    assert (result.mode, result.warnings) == ("vector", ())
    expected = nearest(VIDEOS, QUERY)
    assert [hit.id for hit in result] == [id for id, _ in expected]
    assert [hit.cosine for hit in result] == pytest.approx([c for _, c in expected], abs=1e-6)


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        ([1.0, 2.0], "2 numbers, but the vectors of the index have 64"),
        ([0.0] * 64, "no direction"),
        ([float("nan")] * 64, "not finite"),
        (["x"] * 64, "must be a list of numbers"),
        ([[1.0] * 64], r"the shape \(1, 64\)"),
    ],
)
def test_a_wrong_vector_is_refused(search: VideoSearch, vector: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        search.search(vector=vector)


def test_level_both_takes_the_better_cosine(search: VideoSearch) -> None:
    expected = sorted(
        (-max(v.cosine(QUERY, level="segment"), v.cosine(QUERY, level="video")), v.id)
        for v in VIDEOS
    )
    result = search.search(vector=QUERY, level="both", k=10)
    assert [hit.id for hit in result] == [id for _, id in expected[:10]]
    assert [hit.cosine for hit in result] == pytest.approx([-c for c, _ in expected[:10]], abs=1e-6)
    assert all(hit.moments for hit in result)


@pytest.mark.parametrize("text", [None, "red circle"])
def test_like_excludes_the_video_itself(search: VideoSearch, text: str | None) -> None:
    result = search.search(text, like="v00", k=29)
    assert "v00" not in {hit.id for hit in result}
    if text is None:
        others = nearest(VIDEOS, VIDEOS[0].mean, where=lambda v: v.id != "v00")
        assert [hit.id for hit in result] == [id for id, _ in others]


def test_like_with_at_compares_with_the_moment(search: VideoSearch) -> None:
    moment = BY_ID["v05"].segments[3]
    result = search.search(like="v05", at=34.0, k=29)
    others = nearest(VIDEOS, moment, where=lambda v: v.id != "v05")
    assert [hit.id for hit in result] == [id for id, _ in others]


def test_like_without_stored_vectors_is_refused(engine: MemoryEngine, search: VideoSearch) -> None:
    engine.bulk("videos", [Write("index", "bare", {"title": "no vectors yet"})], refresh=True)
    with pytest.raises(QueryError, match="no video 'nowhere'"):
        search.search(like="nowhere")
    with pytest.raises(QueryError, match="'bare' has no vector yet"):
        search.search(like="bare")
    with pytest.raises(QueryError, match=r"ends at 9\.3 s, there is no segment at 60 s"):
        search.search(like="v00", at=60)


@pytest.mark.parametrize(
    ("kind", "order"), [("elasticsearch", "big"), ("opensearch", "little"), ("opensearch", None)]
)
def test_stored_vectors_are_read_as_numbers_and_as_base64(kind: Any, order: Any) -> None:
    document = BY_ID["v05"].document("video")
    for item in (document["video"], *document["video"]["segments"]):
        if order is not None:
            item["vector"] = encode_vector(np.float32(item["vector"]), order)
    whole, moment = (SearchRequest(like="v05", at=at) for at in (None, 34.0))
    found = [
        stored_vector(document, request, kind=kind, field="video") for request in (whole, moment)
    ]
    assert np.array_equal(np.float32(found), [BY_ID["v05"].mean, BY_ID["v05"].segments[3]])


def test_like_passes_over_segments_that_lack_something() -> None:
    document = BY_ID["v05"].document("video")
    segments = document["video"]["segments"]
    del segments[3]["vector"], segments[2]["end"], segments[5]["end"], segments[0]["start"]
    request = SearchRequest(like="v05", at=34.0)
    found = stored_vector(document, request, kind="elasticsearch", field="video")
    assert np.array_equal(np.float32(found), BY_ID["v05"].segments[4])
    document["video"]["segments"] = [segments[3], {}]
    with pytest.raises(QueryError, match="no segment with start, end and vector, so none at 34 s"):
        stored_vector(document, request, kind="elasticsearch", field="video")


@pytest.mark.parametrize("mode", ["hybrid", "vector"])
def test_pages_neither_overlap_nor_have_gaps(search: VideoSearch, mode: Any) -> None:
    whole = search.search("red circle", k=20, mode=mode)
    pages = [search.search("red circle", k=5, from_=at, mode=mode) for at in (0, 5, 10, 15)]
    assert [hit.id for page in pages for hit in page] == [hit.id for hit in whole]
    with pytest.raises(QueryError, match=r"search\.window"):
        search.search("red circle", k=5, from_=96)


def test_gap_is_measured_from_the_best_cosine(search: VideoSearch) -> None:
    expected = nearest(VIDEOS, QUERY)
    gap = expected[0][1] - expected[4][1] + 1e-6
    result = search.search(vector=QUERY, k=30, gap=gap)
    assert [hit.id for hit in result] == [id for id, _ in expected[:5]]
    floor = expected[0][1] - gap
    assert all(moment.cosine >= floor for hit in result for moment in hit.moments)
    assert len(search.search(vector=QUERY, k=30, gap=gap, min_cosine=expected[1][1] - 1e-6)) == 2


def test_segment_filters_decide_the_moments(search: VideoSearch) -> None:
    where = {"video.segments.start": {"gte": 20}, "video.segments.end": {"lte": 45}, "tags": "odd"}
    matching = {v.id: v.segments[2:4] @ QUERY for v in VIDEOS if "odd" in v.fields["tags"]}
    matching = {id: cosines for id, cosines in matching.items() if len(cosines)}
    expected = sorted(matching, key=lambda id: -matching[id].max())
    result = search.search(vector=QUERY, k=30, filter=where, moments=9)
    assert [hit.id for hit in result] == expected
    for hit in result:
        assert all(m.start >= 20 and m.end <= 45 for m in hit.moments)
        assert hit.cosine == pytest.approx(matching[hit.id].max(), abs=1e-6)
    both = search.search("red circle", k=30, filter=where)
    assert {hit.id for hit in both} == set(expected)
    assert all(m.start >= 20 and m.end <= 45 for hit in both for m in hit.moments)


def test_segment_filters_are_refused_where_the_engine_cannot() -> None:
    class Older(MemoryEngine):
        def info(self) -> Any:
            from vidsearch.engines import EngineInfo

            return EngineInfo("elasticsearch", (8, 19, 0), "memory://")

    engine = Older()
    create_index(engine, "videos", VIDEOS)
    search = VideoSearch(engine, TableEncoder())
    where = {"video.segments.start": {"gte": 30}}
    with pytest.raises(QueryError, match="level=video"):
        search.search(vector=QUERY, filter=where)
    found = search.search(vector=QUERY, filter=where, level="video", k=30)
    assert {hit.id for hit in found} == {v.id for v in VIDEOS if len(v.segments) > 3}


def test_clauses_on_segments_are_split_from_those_on_videos() -> None:
    start = {"range": {f"{PATH}.start": {"gte": 1}}}
    nested = {"nested": {"path": PATH, "query": {"bool": {"filter": [start]}}}}
    tag = {"term": {"tags": "x"}}
    cast = {"nested": {"path": "cast", "query": {"term": {"cast.name": "Ann"}}}}
    assert split_segment_filters([nested, tag], path=PATH) == ([tag], [start])
    assert split_segment_filters([start], path=PATH) == ([], [start])
    for clause in (
        {"bool": {"filter": [start, tag]}},
        {"bool": {"should": [nested, tag]}},
        {"bool": {"filter": [cast, start]}},
        {"bool": {"must_not": [{"nested": {"path": f"{PATH}.words", "query": start}}]}},
        {"nested": {"path": PATH, "query": {"bool": {"should": [cast]}}}},
    ):
        with pytest.raises(QueryError, match="level=video"):
            split_segment_filters([clause], path=PATH)


def test_clauses_on_other_nested_objects_are_clauses_on_videos() -> None:
    start = {"range": {f"{PATH}.start": {"gte": 1}}}
    cast = {"nested": {"path": "cast", "query": {"term": {"cast.name": "Ann"}}}}
    absent = {"bool": {"must_not": [cast]}}
    either = {"bool": {"should": [cast, {"term": {"tags": "x"}}]}}
    assert split_segment_filters([cast, absent, start, either], path=PATH) == (
        [cast, absent, either],
        [start],
    )


def test_conditions_on_one_nested_object_become_one_clause() -> None:
    properties = {
        "cast": {
            "type": "nested",
            "properties": {"name": {"type": "keyword"}, "said": {"type": "text"}},
        }
    }
    (clause,) = build_filters({"cast.name": "Ann", "cast.said": "yes no"}, properties=properties)
    assert clause == {
        "nested": {
            "path": "cast",
            "query": {
                "bool": {
                    "filter": [
                        {"term": {"cast.name": "Ann"}},
                        {"match": {"cast.said": {"query": "yes no", "operator": "and"}}},
                    ]
                }
            },
        }
    }


def test_neighbours_of_about_the_same_cosine_make_one_moment() -> None:
    parts = [
        Moment(0, 10, 0.30, "a"),
        Moment(10, 20, 0.31, "b"),
        Moment(20, 30, 0.20, "c"),
        Moment(40, 50, 0.29, "d"),
    ]
    merged = merge_moments(parts, merge_gap=0.0, limit=3)
    assert merged == (Moment(0, 20, 0.31, "b"), Moment(40, 50, 0.29, "d"), Moment(20, 30, 0.2, "c"))
    assert merge_moments(parts, merge_gap=0.0, limit=1) == merged[:1]
    assert merge_moments(parts, merge_gap=20.0, limit=1) == (Moment(0, 50, 0.31, "b"),)
    assert len(merge_moments(parts, merge_gap=None, limit=9)) == 4
    assert merge_moments([], merge_gap=0.0, limit=3) == ()


def test_a_segment_that_lies_between_two_moments_joins_them() -> None:
    parts = [Moment(0, 10, 0.30), Moment(20, 30, 0.29), Moment(10, 20, 0.28)]
    assert merge_moments(parts, merge_gap=0.0, limit=2) == (Moment(0, 30, 0.30),)


def test_source_selects_fields_of_the_documents(search: VideoSearch) -> None:
    for mode in ("hybrid", "vector", "keyword"):
        some = search.search("red circle", mode=mode, source=["title", "video.duration"])
        assert {frozenset(hit.fields) for hit in some} == {frozenset({"title", "video"})}
        assert {frozenset(hit.fields["video"]) for hit in some} == {frozenset({"duration"})}
        none = search.search("red circle", mode=mode, source=False)
        assert [hit.id for hit in none] == [hit.id for hit in some]
        assert all(hit.fields == {} for hit in none)


def test_highlights_are_safe_and_of_the_keyword_leg_alone(engine: MemoryEngine) -> None:
    engine.bulk("videos", [Write("update", "v00", {"title": "<b>red</b> circle"})], refresh=True)
    search = VideoSearch(engine, TableEncoder())
    result = search.search("circle", k=30, highlight=["title"])
    by_id = {hit.id: hit for hit in result}
    fragments = {"title": ("&lt;b&gt;red&lt;/b&gt; <em>circle</em>",)}
    assert by_id["v00"].highlights == fragments
    unmatched = [hit for hit in result if hit.rank_per_leg["keyword"] is None]
    assert unmatched
    assert all(hit.highlights == {} for hit in unmatched)
    with pytest.raises(QueryError, match="highlight: the index has no field 'nope'"):
        search.search("circle", highlight=["nope"])


@pytest.mark.parametrize("fusion", ["rrf", Linear(), Linear("z_score", {"vector": 3.0})])
def test_contributions_of_the_legs_add_up_to_the_score(search: VideoSearch, fusion: Any) -> None:
    result = search.search("red circle", k=10, explain=True, fusion=fusion)
    for hit in result:
        assert hit.explanation is not None
        shares = hit.explanation.legs
        assert sum(share.contribution for share in shares.values()) == pytest.approx(hit.score)
        assert {leg: share.rank for leg, share in shares.items()} == hit.rank_per_leg
        matched = hit.explanation.matched_fields
        assert bool(matched) == (shares["keyword"].rank is not None)
        assert hit.highlights == {}
    assert "cosine" in str(result.hits[0].explanation)
    assert search.search("red circle").hits[0].explanation is None


def test_a_leg_that_lacks_a_video_contributes_less_than_0_by_z_score(search: VideoSearch) -> None:
    options: Any = {"k": 30, "explain": True}
    by_rank = search.search("red circle", **options)
    by_score = search.search("red circle", fusion=Linear("z_score"), **options)
    for result, said in ((by_rank, "keyword: not found"), (by_score, "keyword: not found -> -")):
        (unmatched, *_) = [hit for hit in result if hit.rank_per_leg["keyword"] is None]
        assert said in str(unmatched.explanation)
    assert "not found ->" not in str([hit.explanation for hit in by_rank])


def test_an_engine_fusion_is_explained_without_legs(search: VideoSearch) -> None:
    (hit, *_) = search.search("red circle", fusion="sum", explain=True)
    assert (hit.rank_per_leg, hit.explanation.legs) == ({}, {})  # type: ignore[union-attr]
    assert str(hit.explanation) == "fused by the engine; words in tags, title"


# -- images and clips


def _encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_every_form_of_an_image_gives_the_same_vector(tmp_path: Path) -> None:
    encoder, media = FakeEncoder(), MediaInput()
    picture = Image.new("RGB", (8, 6), (255, 0, 0))
    file = tmp_path / "red.png"
    file.write_bytes(_encoded(picture))
    expected = encoder.encode_text(["red"])[0]
    for image in (file, str(file), _encoded(picture), picture, np.asarray(picture)):
        vector = media.image(image, encoder=encoder)
        assert float(vector @ expected) > 0.9
        assert vector.tolist() == media.image(picture, encoder=encoder).tolist()


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (b"no image", "in no image format that is read"),
        (np.zeros((4, 4), np.uint8), r"uint8 RGB of shape \(height, width, 3\)"),
        (7, "image must be a path or a URL, bytes"),
        ("/nowhere/at/all.png", "image: "),
        ("ftp://public.example/a.png", "image: .*no reader for the scheme 'ftp'"),
    ],
)
def test_a_wrong_image_is_refused(image: Any, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        MediaInput().image(image, encoder=FakeEncoder())


def test_an_image_beyond_the_limits_is_refused() -> None:
    media = MediaInput(SourceSettings(max_pixels=10))
    with pytest.raises(QueryError, match=r"8x6 pixels, more than sources\.max_pixels"):
        media.image(_encoded(Image.new("RGB", (8, 6))), encoder=FakeEncoder())


@pytest.fixture
def web(red: Path) -> Iterator[str]:
    """URL of a server of this machine with a picture, a clip and a text."""
    content = {
        "/red.png": _encoded(Image.new("RGB", (8, 6), (255, 0, 0))),
        "/red.mp4": red.read_bytes(),
        "/notes.png": b"not a picture, nor a video, but words",
    }

    def answer(asked: Asked) -> Reply:
        body = content.get(asked.path)
        return Reply(404) if body is None else Reply(body=body)

    with http_stub(answer) as server:
        yield server.url


def _in_memory(monkeypatch: pytest.MonkeyPatch, **sources: Any) -> VideoSearch:
    """From settings, over an index of one red and one blue video."""
    encoder, engine = FakeEncoder(), MemoryEngine()
    videos = [Video(name, {}, encoder.encode_text([name])) for name in ("red", "blue")]
    create_index(engine, "videos", videos, identity=encoder.identity)
    monkeypatch.setattr("vidsearch.engines.connect", lambda settings, client=None: engine)
    monkeypatch.setattr("vidsearch.encoders.load_encoder", lambda *a, **o: encoder)
    return VideoSearch.from_settings(Settings(sources=sources))


def test_images_and_clips_by_url(web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    search = _in_memory(monkeypatch, private_hosts=["127.0.0.1"])
    for asked in ({"image": f"{web}/red.png"}, {"clip": f"{web}/red.mp4"}):
        (hit, other) = search.search(**asked)
        assert (hit.id, other.id) == ("red", "blue")
        assert hit.cosine == pytest.approx(1, abs=0.1)
    secret = web.replace("//", "//me:hunter2@")
    for asked, message in (
        ({"image": f"{web}/no.png"}, f"image: {web}/no.png was not found (404)"),
        ({"clip": f"{web}/no.mp4"}, f"clip: {web}/no.mp4 was not found (404)"),
        (
            {"image": f"{web}/red.mp4"},
            "image format that is read, as JPEG and PNG are; a video goes in as clip",
        ),
        ({"image": f"{secret}/notes.png"}, "/notes.png is in no image format that is read"),
        ({"clip": f"{web}/red.png"}, "clip: red.png is a still picture (PNG), not a video"),
        ({"clip": f"{web}/notes.png"}, "clip: notes.png is a text file, not a video"),
    ):
        with pytest.raises(QueryError) as caught:
            search.search(**asked)
        assert message in str(caught.value)
        assert "hunter2" not in str(caught.value)
    for asked in ({"image": "http://127.0.0.1:1/x"}, {"clip": "http://127.0.0.1:1/x"}):
        with pytest.raises(
            SourceUnavailableError, match=r"^(image|clip): http://127.* cannot be reached"
        ):
            search.search(**asked)
    guarded = _in_memory(monkeypatch)
    for asked in ({"image": f"{web}/red.png"}, {"clip": f"{web}/red.mp4"}):
        with pytest.raises(QueryError, match=r"may not be read: .* list it in sources\.private_ho"):
            guarded.search(**asked)


def test_an_export_without_its_vision_tower_raises_with_advice(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from vidsearch.encoders.onnx import OnnxEncoder

    folder = tmp_path / "export"
    shutil.copytree(tiny_export(tmp_path_factory), folder)
    for file in folder.glob("vision.*"):
        file.unlink()
    encoder = OnnxEncoder(str(folder))
    assert encoder.encode_text(["a boat"]).shape == (1, 64)
    with pytest.raises(ModelUnavailableError) as caught:
        MediaInput().image(Image.new("RGB", (8, 6)), encoder=encoder)
    message = str(caught.value)
    assert message.startswith("image: the model cannot embed it: 'vision.fp32.onnx.data' of the ex")
    assert message.endswith("copy the whole folder, or make it again with `vidsearch model export`")


def test_a_clip_is_the_mean_of_its_frames(tmp_path: Path) -> None:
    from vidsearch.media import MediaLimits, open_reader
    from vidsearch.testing.clips import solid, write_clip

    media, encoder = MediaInput(), FakeEncoder()
    path = tmp_path / "clip.mp4"
    write_clip(path, [at / 10 for at in range(30)], picture=solid((0, 0, 255)), rate=10)
    reader = open_reader(media.ingest, limits=MediaLimits())
    frames = np.concatenate([encoder.encode_frames(b) for b in reader.frames(path)])
    reader.close()
    vector = media.clip(path, encoder=encoder)
    assert vector.tolist() == mean_unit(frames).tolist()
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(QueryError, match="clip: "):
        media.clip(tmp_path / "text.mp4", encoder=encoder)


def test_only_the_first_ten_minutes_of_a_clip_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vidsearch.search import query_vector
    from vidsearch.testing.clips import write_clip

    assert query_vector._MAX_CLIP_SECONDS == 600
    monkeypatch.setattr(query_vector, "_MAX_CLIP_SECONDS", 2.0)
    encoder, path = FakeEncoder(), tmp_path / "clip.mp4"

    def picture(number: int) -> np.ndarray:
        colour = (255, 0, 0) if number < 20 else (0, 0, 255)
        return np.full((48, 64, 3), colour, dtype=np.uint8)

    write_clip(path, [at / 10 for at in range(50)], picture=picture, rate=10)
    whole = MediaInput().clip(path, encoder=encoder)
    write_clip(path, [at / 10 for at in range(20)], picture=picture, rate=10)
    short = MediaInput().clip(path, encoder=encoder)
    assert whole @ short > 0.9999
