"""What the check before the swap lets pass, and what it refuses, each for its own reason."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.reindex_stage import TwoIndices

from vidsearch.config import IndexSettings
from vidsearch.engines import Json
from vidsearch.errors import BackendUnavailableError
from vidsearch.index import attach_index
from vidsearch.index.targets import open_concrete
from vidsearch.index.videos_index import VideosIndex
from vidsearch.registry import ErrorRecord, Registry
from vidsearch.reindex import side_by_side
from vidsearch.reindex.canary import CanaryReport, check_target
from vidsearch.reindex.side_by_side import SideBySide
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine

IDS = [f"v{number:02}" for number in range(12)]


@pytest.fixture
def stage() -> TwoIndices:
    """Twelve videos, copied to the new index."""
    stage = TwoIndices()
    for id in IDS:
        stage.add(id, f"mark {id}", title=f"title of {id}")
    stage.begin()
    copy(stage)
    return stage


def copy(stage: TwoIndices) -> None:
    for found in list(stage.engine.scan(stage.old)):
        stage.engine.put(stage.new, found.id, found.source)


def checked(
    stage: TwoIndices, pause: Callable[[float], object] = lambda seconds: None, **options: Any
) -> CanaryReport:
    return check_target(
        stage.opened(stage.old),
        stage.opened(stage.new),
        stage.registry,
        encoder_for=lambda index: FakeEncoder(),
        pause=pause,
        # The engine in memory runs no scripts.
        **{"recall_queries": 0, **options},
    )


def change(stage: TwoIndices, id: str, **values: Any) -> None:
    """Change a document of the new index."""
    source = stage.source(stage.new, id)
    assert source is not None
    stage.engine.put(stage.new, id, {**source, **values})


def video(stage: TwoIndices, id: str) -> Json:
    source = stage.source(stage.new, id)
    assert source is not None
    found: Json = source["video"]
    return found


def test_a_faithful_copy_passes(stage: TwoIndices) -> None:
    report = checked(stage)
    assert (report.passed, report.problems, report.sampled) == (True, (), 12)
    assert report.counts == {"indexed": {"videos": 12, "source": 12, "target": 12}}
    assert report.to_json()["counts"] == report.counts


def test_a_missing_document_is_named(stage: TwoIndices) -> None:
    stage.engine.delete(stage.new, "v03")
    report = checked(stage)
    assert report.problems == ("1 document missing in 'videos-000002', such as 'v03'",)
    assert report.counts["indexed"] == {"videos": 12, "source": 12, "target": 11}


def test_one_missing_document_and_one_too_many_are_both_found(stage: TwoIndices) -> None:
    moved = stage.source(stage.new, "v03")
    assert moved is not None
    stage.engine.delete(stage.new, "v03")
    stage.engine.put(stage.new, "other", moved)
    missing, extra = checked(stage).problems
    assert "missing in 'videos-000002', such as 'v03'" in missing
    assert extra == "1 document in 'videos-000002' that 'videos-000001' lacks, such as 'other'"


def test_a_deleted_video_that_came_back_is_named(stage: TwoIndices) -> None:
    stage.registry.delete("v05")
    stage.engine.delete(stage.old, "v05")
    report = checked(stage)
    assert report.problems == ("1 document of deleted videos in 'videos-000002', such as 'v05'",)
    assert report.counts["deleted"] == {"videos": 1, "source": 0, "target": 1}


def test_a_deleted_video_that_is_gone_everywhere_passes(stage: TwoIndices) -> None:
    stage.registry.delete("v05")
    for index in (stage.old, stage.new):
        stage.engine.delete(index, "v05")
    assert checked(stage).problems == ()


def test_a_document_that_the_source_lost_as_well_is_no_fault_of_a_copy(stage: TwoIndices) -> None:
    for index in (stage.old, stage.new):
        stage.engine.delete(index, "v05")
    report = checked(stage)
    assert report.problems == ()
    assert report.counts["indexed"] == {"videos": 12, "source": 11, "target": 11}


def test_very_many_missing_documents_are_counted_all(
    stage: TwoIndices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidsearch.reindex.presence._MANY", 3)
    for id in IDS:
        stage.engine.delete(stage.new, id)
    (problem,) = checked(stage).problems
    assert problem == (
        "12 documents missing in 'videos-000002', such as 'v00', 'v01', 'v02', 'v03', 'v04', …"
    )


def test_a_document_without_a_record_is_missed_like_any_other(stage: TwoIndices) -> None:
    whole = stage.source(stage.old, "v01")
    assert whole is not None
    stage.engine.put(stage.old, "of another tool", whole)
    report = checked(stage)
    assert report.counts["without a record"] == {"videos": 0, "source": 1, "target": 0}
    assert "'of another tool'" in report.problems[0]


def test_a_changed_field_is_named(stage: TwoIndices) -> None:
    change(stage, "v04", title="another", tags=["new"])
    (problem,) = checked(stage).problems
    assert problem == (
        "1 of 12 sampled documents of 'videos-000002' differ from those of 'videos-000001' in "
        "tags, title, such as 'v04'"
    )


def test_changed_times_of_a_segment_are_a_difference_of_segments(stage: TwoIndices) -> None:
    found = video(stage, "v02")
    segments = [{**each, "end": 3.5} for each in found["segments"]]
    change(stage, "v02", video={**found, "segments": segments})
    (problem,) = checked(stage).problems
    assert "in video.segments, such as 'v02'" in problem


def test_shuffled_vectors_are_not_those_of_the_source(stage: TwoIndices) -> None:
    videos = [video(stage, id) for id in IDS]
    for at, id in enumerate(IDS):
        other = videos[(at + 1) % len(IDS)]
        segments = [
            {**each, "vector": other["segments"][0]["vector"]} for each in videos[at]["segments"]
        ]
        change(stage, id, video={**videos[at], "vector": other["vector"], "segments": segments})
    (problem,) = checked(stage).problems
    assert problem.startswith("the vectors of 12 of 12 sampled documents of 'videos-000002'")


def test_vectors_of_a_wrong_quantization_are_not_those_of_the_source(stage: TwoIndices) -> None:
    for id in IDS:
        found = video(stage, id)
        signs = np.sign(found["vector"]).tolist()
        change(stage, id, video={**found, "vector": signs})
    (problem,) = checked(stage).problems
    assert "the vectors of 12 of 12 sampled documents" in problem
    lowest = float(problem.partition("lowest cosine ")[2].partition(")")[0])
    assert 0.5 < lowest < 0.95


def test_a_missing_vector_is_found(stage: TwoIndices) -> None:
    found = video(stage, "v02")
    change(stage, "v02", video={**found, "segments": []})
    segments, vectors = checked(stage).problems
    assert "in video.segments" in segments
    assert "lowest cosine 0.000" in vectors


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (1.0, 0.85, "find 85.0% of the 10 nearest videos by the vectors of each segment (100.0%"),
        (1.0, 0.85, "take another quantization"),
        (0.87, 0.85, None),
        (1.0, 0.93, None),
    ],
)
def test_a_recall_that_is_low_and_was_higher_before_is_refused(
    stage: TwoIndices,
    monkeypatch: pytest.MonkeyPatch,
    before: float,
    after: float,
    said: str | None,
) -> None:
    def recall_of(index: Any, *args: Any, **options: Any) -> Any:
        assert index.alias == index.name, "the alias stands for the source"
        found = after if index.name == stage.new else before
        measured = [SimpleNamespace(level="segment", recall=found, present=True, tied=0.0)]
        return SimpleNamespace(measured=measured)

    monkeypatch.setattr("vidsearch.reindex.canary.recall_of", recall_of)
    report = checked(stage, recall_queries=30)
    assert report.recall == {"segment": after}
    assert len(report.problems) == (said is not None)
    assert said is None or said in report.problems[0]


def test_a_recall_that_is_low_for_equal_vectors_says_so(
    stage: TwoIndices, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recall_of(index: Any, *args: Any, **options: Any) -> Any:
        found = 0.7 if index.name == stage.new else 1.0
        measured = [SimpleNamespace(level="segment", recall=found, present=True, tied=0.1)]
        return SimpleNamespace(measured=measured)

    monkeypatch.setattr("vidsearch.reindex.canary.recall_of", recall_of)
    (problem,) = checked(stage, recall_queries=30).problems
    assert "10% of the vectors searched for have more than 10 equal ones" in problem
    assert "`--quantization flat`" in problem


# -- while others write


def test_what_a_writer_brings_to_both_meanwhile_is_no_problem(stage: TwoIndices) -> None:
    stage.engine.delete(stage.new, "v03")
    change(stage, "v04", title="not yet")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            copy(stage)

    assert checked(stage, pause).problems == ()
    assert pauses == [1.0, 1.0]


def test_a_difference_that_stays_is_looked_at_for_five_seconds(stage: TwoIndices) -> None:
    stage.engine.delete(stage.new, "v03")
    pauses: list[float] = []
    assert len(checked(stage, pauses.append).problems) == 1
    assert pauses == [1.0] * 5


# -- another model


@pytest.fixture
def embedded() -> TwoIndices:
    """Twelve videos, of which the new index has vectors of another model."""
    stage = TwoIndices()
    for id in IDS:
        stage.add(id, f"mark {id}", title=f"title of {id}")
    stage.begin(identity=FakeEncoder(revision="2").identity)
    for at, id in enumerate(IDS):
        vector = np.eye(32, dtype=np.float32)[at].tolist()
        made = {"uri": f"/{id}.mp4", "fingerprint": f"new {id}", "vector": vector, "segments": []}
        stage.engine.put(stage.new, id, {"title": f"title of {id}", "video": made})
    return stage


def test_vectors_of_another_model_are_not_compared(embedded: TwoIndices) -> None:
    assert checked(embedded).problems == ()


def test_a_vector_of_another_model_that_is_no_unit_vector_is_found(embedded: TwoIndices) -> None:
    change(embedded, "v07", video={**video(embedded, "v07"), "vector": [2.0] * 32})
    (problem,) = checked(embedded).problems
    assert "the vectors of 1 of 12 sampled documents" in problem
    assert "'v07'" in problem


def test_a_video_that_workers_are_still_to_embed_is_not_missed_yet(
    embedded: TwoIndices, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded.engine.delete(embedded.new, "v07")
    assert checked(embedded).problems == (), "its record is a few seconds old"
    monkeypatch.setattr("vidsearch.reindex.presence._RECENT_SECONDS", -60.0)
    (problem,) = checked(embedded).problems
    assert "missing in 'videos-000002', such as 'v07'" in problem


def test_a_failed_video_with_an_old_document_is_missed_in_a_copy_alone(
    stage: TwoIndices, embedded: TwoIndices
) -> None:
    for each in (stage, embedded):
        each.registry.register("v07", uri="/another.mp4", fields={"title": "title of v07"})
        lease = each.registry.claim("v07", owner="w")
        each.registry.fail(lease, ErrorRecord("NoFramesError", "decode", "nothing in it"))
        each.engine.delete(each.new, "v07")
    assert len(checked(stage).problems) == 1
    report = checked(embedded)
    assert report.problems == ()
    assert report.counts["failed"] == {"videos": 1, "source": 1, "target": 0}


# -- queries of the user


def test_queries_are_shown_side_by_side(stage: TwoIndices) -> None:
    report = checked(stage, queries=("title of v03", "red"))
    first, second = report.comparisons
    assert (first.query, second.query) == ("title of v03", "red")
    assert first.old == first.new
    assert first.same == len(first.old) == 10
    rank, old, new = next(first.rows())
    assert (rank, old) == (1, new)
    id, cosine = first.old[0]
    assert old == f"{id} ({cosine:.3f})"
    assert [SideBySide.from_json(each) for each in report.to_json()["comparisons"]] == [
        first,
        second,
    ]


def test_a_query_that_finds_nothing_has_its_row() -> None:
    assert list(SideBySide("red").rows()) == [(1, "nothing", "nothing")]
    assert list(SideBySide("red", old=(("a", None), ("b", 0.5))).rows()) == [
        (1, "a", "nothing"),
        (2, "b (0.500)", ""),
    ]


def test_a_target_that_cannot_be_searched_is_a_problem(embedded: TwoIndices) -> None:
    report = checked(embedded, queries=("red",))  # with the encoder of the old index alone
    (problem,) = report.problems
    assert "'videos-000002' cannot be searched for 'red'" in problem
    assert "fake@2" in problem
    assert report.comparisons[0].old
    assert report.comparisons[0].new == ()
    assert next(report.comparisons[0].rows())[2] == "cannot be searched"


def test_a_target_that_is_away_for_a_moment_is_no_problem_of_its_own(
    stage: TwoIndices, monkeypatch: pytest.MonkeyPatch
) -> None:
    searching = side_by_side._search

    def away(*args: Any, **options: Any) -> Any:
        raise BackendUnavailableError("videos-000002 is overloaded or failing (429)")

    def search(index: VideosIndex, *rest: Any) -> Any:
        return SimpleNamespace(search=away) if index.name == stage.new else searching(index, *rest)

    monkeypatch.setattr(side_by_side, "_search", search)
    with pytest.raises(BackendUnavailableError):  # which is outlasted, where a problem is not
        checked(stage, queries=("red",))


# -- an attached index


def test_documents_of_an_application_are_compared_with_and_without_vectors() -> None:
    engine = MemoryEngine()
    mapping = {"properties": {"title": {"type": "text"}, "url": {"type": "keyword"}}}
    engine.create_index("shop-1", {"mappings": mapping, "aliases": {"shop": {}}})
    settings = IndexSettings(name="shop")
    attach_index(engine, settings, FakeEncoder().identity, uri_field="url")
    engine.create_index("shop-2", {"mappings": engine.mapping("shop-1")})
    vector = np.eye(32, dtype=np.float32)[0].tolist()
    made = {"uri": "/a.mp4", "fingerprint": "of it", "vector": vector, "segments": []}
    for id in ("seen", "lost", "whole", "gone"):
        document = {"title": id, "url": "/a.mp4"}
        engine.put("shop-1", id, {**document, "video": made} if id != "gone" else document)
        if id != "gone":
            engine.put("shop-2", id, {**document, "video": made} if id != "lost" else document)
    source, target = (open_concrete(engine, name, alias="shop") for name in ("shop-1", "shop-2"))
    report = check_target(
        source,
        target,
        Registry(engine, index=settings.registry),
        encoder_for=lambda index: FakeEncoder(),
        recall_queries=0,
        pause=lambda seconds: None,
    )
    assert report.problems[0] == "2 documents missing in 'shop-2', such as 'gone', 'lost'"
    assert report.counts == {"without a record": {"videos": 0, "source": 3, "target": 2}}
    assert report.sampled == 3
