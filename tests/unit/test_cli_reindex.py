"""Which options of ``vidsearch reindex`` go together, and what is said of those that do not."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.command_line import Run, runner
from tests.reindex_runs import reindex_run

from vidsearch.cli import reindex_output
from vidsearch.cli.reindex_output import Narrator, show_run
from vidsearch.errors import BackendUnavailableError
from vidsearch.registry import ErrorRecord
from vidsearch.reindex import Step


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "choose one of --all, --missing, --changed and --ids, or say what the new index"),
        (("--all", "--missing"), "choose one of"),
        (("--all", "--shards", "2"), "choose one of"),
        (("--resume", "--rollback"), "choose one of"),
        (("--resume", "--shards", "2"), "choose one of"),
        (("--throttle", "5"), "choose one of"),
        (("--all", "--throttle", "5"), "--throttle does not go with --all"),
        (("--ids", "a", "--no-swap"), "--no-swap does not go with --ids"),
        (("--missing", "--drop-old"), "--keep-old/--drop-old does not go with --missing"),
        (("--replicas", "0", "--wait"), "--wait does not go with --replicas"),
        (("--resume", "--dry-run"), "--dry-run does not go with --resume"),
        (("--rollback", "--background"), "--background does not go with --rollback"),
        (("--rollback", "--throttle", "5"), "--throttle does not go with --rollback"),
        (("--changed", "--timeout", "3"), "--timeout goes with --wait"),
        (("--all", "--wait", "--dry-run"), "--wait does not go with --dry-run"),
        (("--ids", "a", "b"), "No such command 'b'. For another video, give --ids again."),
        (("lsit",), "No such command 'lsit'."),
        (("--shards", "0"), "0 is not in the range"),
        (("--shards", "2", "--throttle", "0"), "0.0 is not in the range x>=0.1"),
        (("--shards", "2", "--throttle", "1e-300"), "1e-300 is not in the range x>=0.1"),
        (("--shards", "2", "--throttle", "nan"), "nan is no finite number"),
        (("--segment-seconds", "inf"), "inf is no finite number"),
        (("resume", "--throttle", "nan"), "nan is no finite number"),
        (("--quantization", "tiny"), "'tiny' is not one of"),
        (("--shards", "2", "list"), "options of `vidsearch reindex list` go after its name"),
        (("--shards", "2", "--canary", "nowhere.txt"), "nowhere.txt"),
    ],
)
def test_options_that_do_not_go_together_are_named(
    run: Run, args: tuple[str, ...], said: str
) -> None:
    result = run("reindex", *args)
    assert (result.code, result.out) == (2, "")
    assert said in " ".join(result.err.split())


def test_a_file_without_a_query_is_refused(run: Run, tmp_path: Path) -> None:
    empty = tmp_path / "queries.txt"
    empty.write_text("\n \n")
    result = run("reindex", "--shards", "2", "--canary", str(empty))
    assert result.code == 2
    assert "holds no query" in result.err


def test_a_file_of_queries_in_another_encoding_is_refused(run: Run, tmp_path: Path) -> None:
    latin = tmp_path / "queries.txt"
    latin.write_bytes("ein Hafen bei Nacht\nKühe\n".encode("latin-1"))
    result = run("reindex", "--shards", "2", "--canary", str(latin))
    assert result.code == 2
    assert "is not UTF-8 (at byte 21)" in " ".join(result.err.split())


def test_a_run_that_fills_its_index_is_shown_with_the_time_left(
    capsys: pytest.CaptureFixture[str],
) -> None:
    filling = reindex_run(
        updated_at=30.0, step=Step.COPYING, began={"copying": 10.0}, total=1000, done=250
    )
    show_run(filling, as_json=False)
    assert "videos\t250/1000\ntime left\t1 min" in capsys.readouterr().out
    show_run(filling, as_json=True)
    assert json.loads(capsys.readouterr().out)["seconds_left"] == 60.0
    gone_on = filling.changed(filled_since=20.0, filled_before=150)  # after it had broken off
    assert gone_on.seconds_left == 75.0
    stopped = ErrorRecord(type="BulkError", stage="copying", message="rejected")
    assert filling.changed(error=stopped).seconds_left is None
    show_run(filling.changed(step=Step.VERIFIED, done=1000), as_json=False)
    assert "time left" not in capsys.readouterr().out


def test_after_an_outage_the_rate_is_that_of_what_was_not_there_yet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter([0.0, 10.0, 20.0, 30.0, 31.0, 41.0])
    monkeypatch.setattr(reindex_output, "time", SimpleNamespace(monotonic=lambda: next(now)))
    notes: list[str] = []
    narrator = Narrator(lambda done, total=None, note="": notes.append(note))
    for done in (0, 100, 200):
        narrator.progress(done, 400)
    narrator.outage(BackendUnavailableError("away"), 1.5)
    for done in (1, 199, 299):
        narrator.progress(done, 400)
    assert notes == ["", "(10/s, 30 s left)", "(10/s, 20 s left)", "", "", "(10/s, 10 s left)"]
    assert capsys.readouterr().err == "trying again in 2 s: away\n"


def test_what_a_run_waits_for_is_told_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run = reindex_run(step=Step.CATCHING_UP, waits_for="2 videos, such as 'a'")
    Narrator(lambda done, total=None, note="": None).step(run)
    assert capsys.readouterr().err == "waiting for 2 videos, such as 'a'\n"
    show_run(run, as_json=False)
    assert "waits for\t2 videos, such as 'a'" in capsys.readouterr().out
    show_run(run.changed(waits_for=None), as_json=False)
    assert "waits for" not in capsys.readouterr().out


def test_each_step_is_told_with_what_follows_from_it(capsys: pytest.CaptureFixture[str]) -> None:
    made = reindex_run(changes={"quantization": "binary", "mapping": True})
    narrator = Narrator(lambda done, total=None, note="": None)
    for step in Step:
        narrator.step(made.changed(step=step))
    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "reindex run 3 of 'videos': from videos-000001 to videos-000002, with quantization "
        "binary, mapping; documents are copied as they are"
    )
    assert any("`vidsearch reindex clean` deletes it" in line for line in said)
    assert said[-1] == "searches of videos go to videos-000001, videos-000002 is deleted"
    for step, left, told in (
        (Step.DONE, (), "videos-000001 is deleted"),
        (Step.DONE, ("videos-000002",), "videos-000001 is deleted, videos-000002 is left, and not"),
        (Step.DONE, ("videos-000001",), "videos-000001 is left, and not behind the alias videos"),
        (Step.ROLLED_BACK, ("videos-000001",), "videos-000002 is deleted, videos-000001 is left"),
    ):
        narrator.step(made.changed(step=step, left=left))
        assert capsys.readouterr().err.startswith(told)
    narrator.step(made.changed(step=Step.VERIFIED, swap=False))
    assert "`vidsearch reindex swap`" in capsys.readouterr().err
