"""A new index that is bad, as somebody altered it behind vidsearch's back, is not swapped in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.command_line import Run, runner
from tests.integration.reindexed import Reindexed, small_index
from tests.services import WHOLE_WAYS

from vidsearch.engines import Engine
from vidsearch.local import SearchNode
from vidsearch.reindex import Step
from vidsearch.search import VideoSearch
from vidsearch.testing.fake_encoder import FakeEncoder

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize("search_node", WHOLE_WAYS, indirect=True, scope="session"),
]


@pytest.fixture
def reindexed(
    search_node: SearchNode, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Reindexed]:
    with small_index(search_node, index_name) as reindexed:
        for name, value in reindexed.env.items():
            monkeypatch.setenv(name, value)
        for module in ("presence", "samples"):  # nobody writes, who would have to be waited for
            monkeypatch.setattr(f"vidsearch.reindex.{module}.PAUSE_SECONDS", 0.05)
        yield reindexed


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def spoil(engine: Engine, index: str) -> None:
    """A document is missing, one too many, one altered, and one has the vectors of another."""
    engine.delete(index, "video-1")
    altered, other, vectors = (engine.get(index, f"video-{number}") for number in (2, 3, 4))
    assert altered
    assert other
    assert vectors
    engine.put(index, "stranger", other.source)
    engine.put(index, altered.id, {**altered.source, "title": "altered"})
    theirs, ours = other.source["video"], vectors.source["video"]
    segments = [
        {**mine, "vector": each["vector"]}
        for mine, each in zip(ours["segments"], theirs["segments"], strict=True)
    ]
    video = {**ours, "vector": theirs["vector"], "segments": segments}
    engine.put(index, vectors.id, {**vectors.source, "video": video})
    engine.refresh(index)


def test_a_bad_index_is_refused_at_the_swap_with_what_differs_and_is_rolled_back(
    reindexed: Reindexed, run: Run
) -> None:
    engine, name = reindexed.services.engine, reindexed.name
    old, new = f"{name}-000001", f"{name}-000002"
    stopped = run("reindex", "--quantization", "flat", "--no-swap", "--json")
    assert (stopped.code, stopped.data["step"]) == (0, "verified"), stopped.err
    spoil(engine, new)
    for command in (("reindex", "swap"), ("reindex", "--resume")):
        refused = run(*command)
        assert refused.code == 1
        said = " ".join(refused.err.split())
        differ = f"1 of 12 sampled documents of {new!r} differ from those of {old!r}"
        for problem in (
            f"{new!r} did not pass the check, and searches still go to {old!r}",
            f"1 document missing in {new!r}, such as 'video-1'",
            f"1 document in {new!r} that {old!r} lacks, such as 'stranger'",
            f"{differ} in title, such as 'video-2'",
            f"the vectors of 1 of 12 sampled documents of {new!r} are not what they should be",
            "`vidsearch reindex rollback` deletes it",
        ):
            assert problem in said
        assert engine.indices_of(name) == (old,)
    shown = run("reindex", "show", "--json").data
    assert (shown["step"], shown["report"]["passed"]) == ("catching_up", False)
    assert len(shown["report"]["problems"]) == 4
    with VideoSearch(engine, FakeEncoder(), index=name) as search:
        assert search.search(text="everywhere", k=20).index == old
    reindexed.write()
    back = run("reindex", "--rollback", "--yes", "--json")
    assert (back.code, back.data["step"]) == (0, "rolled_back"), back.err
    reindexed.check(Step.ROLLED_BACK, behind=old)


def test_what_the_engine_refuses_and_what_it_has_already_leave_nothing_behind(
    reindexed: Reindexed, run: Run
) -> None:
    old = f"{reindexed.name}-000001"
    reindexed.write()
    for shards, why in (
        ("2000", "takes 1024 of an index"),
        ("1000", "cluster.max_shards_per_node"),
    ):
        (problem,) = run("reindex", "--shards", shards, "--dry-run", "--json").data["problems"]
        assert problem.startswith("the cluster will refuse the target: ")
        assert why in problem
    many = run("reindex", "--shards", "1000")
    assert many.code == 1
    assert "would add" in many.err
    refused = run("reindex", "--shards", "2000")
    assert refused.code == 1
    said = " ".join(refused.err.split())
    assert "must be <= 1024" in said
    assert f"{reindexed.name}-000002 could not be made, and nothing was changed" in said
    assert "reindex rollback" not in said
    listed, _ = before = run("reindex", "list", "--json").data
    assert (listed["step"], listed["error"]["stage"]) == ("rolled_back", "planned")
    present = reindexed.services.open_index()
    same = run(
        *("reindex", "--quantization", present.quantization, "--shards", "1"),
        *("--segment-seconds", f"{present.segment_seconds:g}"),
    )
    assert (same.code, same.out) == (0, "")
    assert f"nothing to do: {old} has that already" in same.err
    assert run("reindex", "list", "--json").data == before
    reindexed.check(Step.ROLLED_BACK, behind=old)
