"""``ingest --watch`` and ``--prune``: what is new, changed or gone below a folder."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.memory_stage import Stage

from vidsearch.cli.folder import Selection
from vidsearch.cli.gone import videos_gone
from vidsearch.cli.ingest import ingest
from vidsearch.cli.watch import FolderWatch
from vidsearch.config import IndexSettings
from vidsearch.errors import BackendUnavailableError
from vidsearch.index import create_videos_index
from vidsearch.media.sources.local import file_validator
from vidsearch.registration import stable_id
from vidsearch.registry import NewVideo, Registry, State
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch.testing.memory_engine import MemoryEngine


@pytest.fixture
def stage() -> Iterator[Stage]:
    engine, settings = MemoryEngine(), IndexSettings()
    create_videos_index(engine, settings, FakeEncoder().identity)
    stage = Stage(Registry(engine, index=settings.registry), engine)
    yield stage
    stage.app.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    put(folder / "old.mp4", age=3600)
    return folder


def put(path: Path, size: int = 10, *, age: float = 0.0) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * size)
    changed = time.time() - age
    os.utime(path, (changed, changed))
    return path


def watch(stage: Stage, folder: Path, **options: Any) -> FolderWatch:
    return FolderWatch(stage, folder, 10.0, **options)  # type: ignore[arg-type]


def states(stage: Stage) -> dict[str, State]:
    return {Path(record.uri).name: record.state for record in stage.registry.scan()}


def index(stage: Stage, path: Path, **known: Any) -> None:
    """What a worker does with a video."""
    lease = stage.registry.claim(stable_id(str(path)), owner="w")
    stage.registry.complete(lease, fingerprint="f", **known)


def test_files_at_rest_are_registered_at_once_and_others_when_they_stop_growing(
    stage: Stage, folder: Path
) -> None:
    copied = put(folder / "new.mp4", 10)
    watching = watch(stage, folder, fields={"lang": "en"})
    watching.look()
    assert states(stage) == {"old.mp4": State.QUEUED}
    assert stage.registry.get(stable_id(str(folder / "old.mp4"))).fields == {
        "title": "old",
        "lang": "en",
    }
    put(copied, 20)
    watching.look()
    assert set(states(stage)) == {"old.mp4"}, "it has grown since the look before"
    watching.look()
    assert set(states(stage)) == {"old.mp4", "new.mp4"}
    late = put(folder / "below" / "late.mp4", age=3600)
    watching.look()
    assert len(states(stage)) == 2, "a copy may get its old time at the beginning"
    watching.look()
    assert states(stage)[late.name] is State.QUEUED
    assert (stage.waiting, watching.has_problems) == (3, False)


def test_a_changed_file_is_ingested_again_when_it_is_stable(
    stage: Stage, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, watching = folder / "old.mp4", watch(stage, folder)
    watching.look()
    index(stage, path)
    watching.look()
    assert states(stage) == {"old.mp4": State.INDEXED}
    put(path, 30)
    watching.look()
    assert states(stage) == {"old.mp4": State.INDEXED}
    watching.look()
    assert states(stage) == {"old.mp4": State.QUEUED}
    assert stage.waiting == 2
    assert "1 changed" in capsys.readouterr().err
    index(stage, path)
    watching.look()
    assert states(stage) == {"old.mp4": State.INDEXED}


def test_a_file_that_changes_while_a_worker_has_it_is_ingested_again_afterwards(
    stage: Stage, folder: Path
) -> None:
    path, watching = folder / "old.mp4", watch(stage, folder)
    watching.look()
    lease = stage.registry.claim(stable_id(str(path)), owner="w")
    put(path, 30)
    for _ in range(3):
        watching.look()
    assert states(stage) == {"old.mp4": State.PROCESSING}
    stage.registry.complete(lease, fingerprint="f")
    for _ in range(2):
        watching.look()
    assert states(stage) == {"old.mp4": State.QUEUED}


def test_a_file_that_changed_while_nobody_watched_is_ingested_again(
    stage: Stage, folder: Path
) -> None:
    path, other = folder / "old.mp4", put(folder / "other.mp4", age=3600)
    watch(stage, folder).look()
    for each in (path, other):
        index(stage, each, source={"validator": file_validator(each.stat())})
    put(path, 30, age=1800)
    watch(stage, folder).look()
    assert states(stage) == {"old.mp4": State.QUEUED, "other.mp4": State.INDEXED}


def test_a_file_that_is_gone_is_told_once_and_stays(
    stage: Stage, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    put(folder / "stays.mp4", age=3600)
    watching = watch(stage, folder)
    watching.look()
    (folder / "old.mp4").unlink()
    capsys.readouterr()
    watching.look()
    watching.look()
    assert capsys.readouterr().err.count(f"gone: {folder / 'old.mp4'} (video 'old-") == 1
    assert states(stage)["old.mp4"] is State.QUEUED
    watch(stage, folder).look()
    assert "gone: " in capsys.readouterr().err, "it was gone before this watch began"


def test_a_file_that_is_gone_is_deleted_with_prune(stage: Stage, folder: Path) -> None:
    put(folder / "stays.mp4", age=3600)
    watching = watch(stage, folder, prunes=True)
    watching.look()
    (folder / "old.mp4").unlink()
    watching.look()
    assert set(states(stage)) == {"stays.mp4"}
    put(folder / "old.mp4")
    watching.look()
    watching.look()
    assert states(stage)["old.mp4"] is State.QUEUED, "it came back"


def test_nothing_is_taken_for_gone_in_a_folder_without_videos(
    stage: Stage, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watching = watch(stage, folder, prunes=True)
    watching.look()
    (folder / "old.mp4").rename(folder.parent / "unmounted.mp4")
    watching.look()
    watching.look()
    assert capsys.readouterr().err.count(f"no video file is below {folder}, so none is taken") == 1
    folder.rename(folder.parent / "elsewhere")
    watching.look()
    assert f"error: {folder} cannot be read: No such file" in capsys.readouterr().err
    assert states(stage) == {"old.mp4": State.QUEUED}


def test_an_outage_does_not_end_the_watch_and_an_interrupt_does(
    stage: Stage,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    looks = 0

    def sleep(seconds: float) -> None:
        nonlocal looks
        looks += 1
        assert seconds == 10.0
        if looks == 2:
            monkeypatch.undo()
        if looks == 4:
            raise KeyboardInterrupt

    def away(*args: Any) -> Any:
        raise BackendUnavailableError("the engine is away")

    monkeypatch.setattr(MemoryEngine, "mget", away)
    watch(stage, folder, sleep=sleep).run()
    said = capsys.readouterr().err
    assert said.count("error: the engine is away") == 1
    assert said.endswith("\nStopped watching; the workers go on.\n")
    assert states(stage) == {"old.mp4": State.QUEUED}


# -- prune


def test_gone_are_registered_videos_of_the_folder_and_selection_without_a_file(
    stage: Stage, folder: Path
) -> None:
    def uri(name: str, scheme: str = "") -> str:
        return f"{scheme}{folder / name}"

    stage.register(
        [
            NewVideo("there", uri("old.mp4")),
            NewVideo("gone", uri("gone.mp4")),
            NewVideo("below", uri("deep/er/gone.mp4")),
            NewVideo("below-a-file", uri("old.mp4/gone.mp4")),
            NewVideo("file-uri", uri("g%20one.mp4", "file://")),
            NewVideo("there-too", uri("old.mp4", "file://localhost")),
            NewVideo("sibling", f"{folder}2/gone.mp4"),
            NewVideo("web", "https://h/gone.mp4"),
            NewVideo("deleted", uri("deleted.mp4")),
        ]
    )
    stage.registry.delete("deleted")

    def gone(**chosen: Any) -> dict[str, str]:
        found = videos_gone(stage.registry, folder, Selection(**chosen))
        assert found.problems == []
        return {record.id: os.path.relpath(path, folder) for record, path in found.videos}

    assert gone() == {
        "gone": "gone.mp4",
        "below": "deep/er/gone.mp4",
        "below-a-file": "old.mp4/gone.mp4",
        "file-uri": "g one.mp4",
    }
    assert gone(depth=1, globs=["gone.*"]) == {"gone": "gone.mp4"}
    assert set(gone(excludes=["deep", "old.mp4"])) == {"gone", "file-uri"}


def gone_of(stage: Stage, folder: Path) -> tuple[set[str], list[str]]:
    """The names of files that are taken for gone, and what is said of others."""
    found = videos_gone(stage.registry, folder, Selection())
    return {Path(path).name for _, path in found.videos}, list(found.problems)


def test_files_of_an_empty_folder_are_not_taken_for_gone_until_it_is_deleted(
    stage: Stage, folder: Path
) -> None:
    shares = [folder / name for name in ("a", "b", "c")]
    stage.register([NewVideo(f"{at.name}{n}", f"{at}/{n}.mp4") for at in shares for n in (1, 2)])
    put(shares[0] / "1.mp4")
    shares[1].mkdir()
    (shares[1] / "deep").mkdir()
    stage.register([NewVideo("deep", f"{shares[1]}/deep/deep.mp4")])
    (shares[1] / "1.mp4").touch()
    shares[2].mkdir()
    gone, problems = gone_of(stage, folder)
    assert gone == {"2.mp4"}
    empty = "is empty: is it mounted? Where its files are deleted for good, delete the folder as"
    assert problems == [
        f"error: 1 video is not taken for gone: {shares[1]}/deep {empty} well",
        f"error: 2 videos are not taken for gone: {shares[2]} {empty} well",
    ]
    shares[2].rmdir()
    (shares[1] / "deep").rmdir()
    assert gone_of(stage, folder) == ({"1.mp4", "2.mp4", "deep.mp4"}, [])


def test_a_link_into_what_is_not_mounted_is_not_taken_for_gone(stage: Stage, folder: Path) -> None:
    outside = folder.parent / "share"
    (folder / "linked.mp4").symlink_to(outside / "a.mp4")
    (folder / "films").symlink_to(outside / "films")
    stage.register(
        [NewVideo("file", f"{folder}/linked.mp4"), NewVideo("below", f"{folder}/films/b.mp4")]
    )
    gone, problems = gone_of(stage, folder)
    assert gone == set()
    assert {
        f"{folder}/{name} is a link that leads nowhere" in "".join(problems)
        for name in ("linked.mp4", "films")
    } == {True}
    (folder / "linked.mp4").unlink()
    (folder / "films").unlink()
    assert gone_of(stage, folder) == ({"linked.mp4", "b.mp4"}, [])


def test_a_folder_that_is_gone_with_another_file_system_is_not_taken_for_deleted(
    stage: Stage, folder: Path
) -> None:
    def embedded(path: Path, device: int) -> None:
        stage.register([NewVideo(stable_id(str(path)), str(path))])
        index(stage, path, source={"validator": f"{device:x}-7 10 1000"})

    here = folder.stat().st_dev
    embedded(folder / "share" / "a.mp4", here + 1)
    embedded(folder / "share" / "deep" / "b.mp4", here + 1)
    stage.register([NewVideo("waits", f"{folder}/share/waits.mp4")])
    embedded(folder / "deleted" / "c.mp4", here)
    embedded(folder / "d.mp4", here + 2)  # by a worker that numbers it so
    embedded(folder / "old.mp4", here + 2)
    gone, problems = gone_of(stage, folder)
    assert gone == {"c.mp4", "d.mp4"}
    (problem,) = problems
    assert problem == (
        f"error: 3 videos are not taken for gone: {folder}/share is not there, and was on another "
        f"file system than {folder}: is it mounted? Where the files are deleted for good, "
        "`vidsearch videos delete ID…` deletes the videos"
    )


@pytest.fixture
def share(folder: Path) -> Iterator[Path]:
    """A folder in the folder that is a file system of its own."""
    share = folder / "share"
    share.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "none", share], check=False, capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    yield share
    if share.is_mount():
        subprocess.run(["umount", share], check=True)


def test_a_link_to_a_file_of_another_file_system_that_is_deleted_is_gone(
    stage: Stage, folder: Path, share: Path
) -> None:
    put(share / "stays.mp4", age=3600)
    (folder / "linked.mp4").symlink_to(put(share / "target.mkv", age=3600))
    watching = watch(stage, folder, prunes=True)
    watching.look()
    (folder / "linked.mp4").unlink()
    watching.look()
    assert set(states(stage)) == {"old.mp4", "stays.mp4", "target.mkv"}


@pytest.mark.parametrize("beneath", [False, True], ids=["empty", "with files beneath"])
def test_a_mount_that_goes_away_costs_no_video_of_it(
    stage: Stage, folder: Path, share: Path, capsys: pytest.CaptureFixture[str], beneath: bool
) -> None:
    put(share / "on-share.mp4", age=3600)
    stays = put(folder / "stays.mp4", age=3600)
    watching = watch(stage, folder, prunes=True)
    watching.look()
    for path in (share / "on-share.mp4", stays):
        index(stage, path, source={"validator": file_validator(path.stat())})
    subprocess.run(["umount", share], check=True)
    if beneath:
        put(share / "beneath.mp4", age=3600)
    (folder / "old.mp4").unlink()
    capsys.readouterr()
    watching.look()
    watching.look()
    assert set(states(stage)) - {"beneath.mp4"} == {"on-share.mp4", "stays.mp4"}
    why = "is on another file system than it was" if beneath else "is empty: is it mounted?"
    assert capsys.readouterr().err.count(f"1 video is not taken for gone: {share} {why}") == 1
    assert gone_of(stage, folder)[0] == set(), "nor by one that begins now"


def test_prune_of_a_folder_that_may_not_be_mounted_deletes_the_others_and_ends_with_code_1(
    stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "share").mkdir()
    stage.register(
        [NewVideo("gone", f"{folder}/gone.mp4"), NewVideo("share", f"{folder}/share/a.mp4")]
    )
    monkeypatch.setattr("vidsearch_tasks.Services", lambda: nullcontext(stage))
    args = ["--folder", str(folder), "--prune", "--yes"]
    listed = CliRunner().invoke(ingest, [*args[:3], "--dry-run"])
    assert listed.exit_code == 1
    pruned = CliRunner().invoke(ingest, args)
    assert pruned.exit_code == 1
    for result in (listed, pruned):
        assert f"1 video is not taken for gone: {folder}/share is empty" in result.output
    assert {record.id for record in stage.registry.scan()} == {
        "share",
        stable_id(f"{folder}/old.mp4"),
    }


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--glob", "*.mp4"], "--glob, --exclude and --depth go with --folder"),
        (["--watch", "5"], "--watch and --prune go with --folder"),
        (["--prune"], "--watch and --prune go with --folder"),
        (["--folder", ".", "--yes"], "--dry-run and --yes go with --prune"),
        (["--folder", ".", "--watch", "5", "--json"], "--watch does not go with --wait"),
        (["--folder", ".", "--watch", "5", "https://h/a.mp4"], "--watch goes with --folder alone"),
        (["--folder", ".", "--watch", "5", "--prune"], "deletes without a question: add --yes"),
        (["--folder", ".", "--prune", "--dry-run", "--wait"], "--dry-run registers nothing"),
        (["https://h/a.mp4", "--as-text"], "--as-text goes with --csv"),
        (["https://h/a.mp4", "--map", "a=b"], "--map and --base go with --csv"),
        (["--parquet", "-"], "Parquet cannot be read from stdin"),
        (["--csv", "-", "--jsonl", "-"], "one list only can be read from stdin"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_options_that_do_not_go_together_raise(args: list[str], message: str) -> None:
    result = CliRunner().invoke(ingest, args)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


def test_prune_of_a_folder_without_videos_raises(tmp_path: Path) -> None:
    result = CliRunner().invoke(ingest, ["--folder", str(tmp_path), "--prune", "--yes"])
    assert result.exit_code == 2
    assert "so none is taken for gone: is it mounted?" in " ".join(result.output.split())
