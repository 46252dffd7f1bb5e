"""``ingest --watch`` and ``--prune``: what is new, changed or gone below a folder."""

from __future__ import annotations

import json
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
from vidsearch.cli.gone import delete_gone, gone_line, videos_gone
from vidsearch.cli.ingest import ingest
from vidsearch.cli.unmounted import Missing, deleted_among
from vidsearch.cli.watch import FolderWatch
from vidsearch.config import IndexSettings
from vidsearch.errors import BackendUnavailableError, LeaseLostError
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


def index(stage: Stage, path: Path, *, id: str | None = None, **known: Any) -> None:
    """What a worker does with a video."""
    lease = stage.registry.claim(id or stable_id(str(path)), owner="w")
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


def test_a_replaced_file_is_ingested_again_though_its_fields_are_others_too(
    stage: Stage, folder: Path
) -> None:
    path, watching = folder / "old.mp4", watch(stage, folder, fields={"lang": "en"})
    watching.look()
    index(stage, path)
    stage.registry.set_fields(stable_id(str(path)), {"lang": "de"})
    put(path, 30)
    for _ in range(2):
        watching.look()
    record = stage.registry.get(stable_id(str(path)))
    assert (record.state, record.fields["lang"]) == (State.QUEUED, "en")
    index(stage, path)
    for _ in range(2):
        watching.look()
    assert states(stage) == {"old.mp4": State.INDEXED}


def test_a_file_that_changes_while_a_worker_has_it_is_taken_from_it_and_ingested_again(
    stage: Stage, folder: Path
) -> None:
    path, watching = folder / "old.mp4", watch(stage, folder)
    watching.look()
    lease = stage.registry.claim(stable_id(str(path)), owner="w")
    put(path, 30)
    for _ in range(3):
        watching.look()
    assert states(stage) == {"old.mp4": State.QUEUED}
    with pytest.raises(LeaseLostError):
        stage.registry.complete(lease, fingerprint="f")
    assert stage.waiting == 2, "it is told once"


def test_nothing_that_was_known_of_a_changed_file_counts(stage: Stage, folder: Path) -> None:
    path, watching = folder / "old.mp4", watch(stage, folder)
    watching.look()
    index(stage, path, content="1" * 64)
    put(path, 30)
    for _ in range(2):
        watching.look()
    record = stage.registry.get(stable_id(str(path)))
    assert (record.state, record.content, record.fingerprint) == (State.QUEUED, None, "f")


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
            NewVideo("odd-uri", uri("gone-caf%E9.mp4", "file://")),
            NewVideo("odd-there", uri("caf%E9.mp4", "file://")),
            NewVideo("there-too", uri("old.mp4", "file://localhost")),
            NewVideo("sibling", f"{folder}2/gone.mp4"),
            NewVideo("web", "https://h/gone.mp4"),
            NewVideo("deleted", uri("deleted.mp4")),
        ]
    )
    stage.registry.delete("deleted")
    (folder / "caf\udce9.mp4").touch()

    for id in ("below", "below-a-file"):
        lease = stage.registry.claim(id, owner="w")
        validator = f"{folder.stat().st_dev:x}-7 10 1000"
        stage.registry.complete(lease, fingerprint="f", source={"validator": validator})

    def gone(**chosen: Any) -> dict[str, str]:
        found = videos_gone(stage.registry, folder, Selection(**chosen))
        assert found.problems == []
        return {record.id: os.path.relpath(path, folder) for record, path in found.videos}

    assert gone() == {
        "gone": "gone.mp4",
        "below": "deep/er/gone.mp4",
        "below-a-file": "old.mp4/gone.mp4",
        "file-uri": "g one.mp4",
        "odd-uri": "gone-caf\udce9.mp4",
    }
    found = videos_gone(stage.registry, folder, Selection())
    lines = [gone_line(record, path) for record, path in found.videos]
    assert f"gone: {folder}/gone-caf\\xe9.mp4 (video 'odd-uri', queued)" in lines
    assert gone(depth=1, globs=["gone.*"]) == {"gone": "gone.mp4"}
    assert set(gone(excludes=["deep", "old.mp4"])) == {"gone", "file-uri", "odd-uri"}


def gone_of(stage: Stage, folder: Path) -> tuple[set[str], list[str]]:
    """The names of files that are taken for gone, and what is said of others."""
    found = videos_gone(stage.registry, folder, Selection())
    return {Path(path).name for _, path in found.videos}, list(found.problems)


def embedded(stage: Stage, path: Path, device: int) -> None:
    """A video whose file is recorded to be on a file system, whether or not it is there."""
    stage.register([NewVideo(stable_id(str(path)), str(path))])
    index(stage, path, source={"validator": f"{device:x}-7 10 1000"})


def test_files_of_an_empty_folder_are_not_taken_for_gone_until_it_is_deleted(
    stage: Stage, folder: Path
) -> None:
    shares = [folder / name for name in ("a", "b", "c")]
    stage.register(
        [NewVideo(f"{at.name}{n}", f"{at}/{n}.mp4") for at in shares[:2] for n in (1, 2)]
    )
    put(shares[0] / "1.mp4")
    shares[1].mkdir()
    (shares[1] / "deep").mkdir()
    stage.register([NewVideo("deep", f"{shares[1]}/deep/deep.mp4")])
    (shares[1] / "1.mp4").touch()
    shares[2].mkdir()
    for n in (1, 2):
        embedded(stage, shares[2] / f"{n}.mp4", folder.stat().st_dev)
    gone, problems = gone_of(stage, folder)
    assert gone == {"2.mp4"}
    empty = "is empty: is it mounted? Where the files are deleted for good,"
    assert problems == [
        (
            f"error: 1 video is not taken for gone: {shares[1]}/deep {empty} "
            "`vidsearch videos delete deep` deletes the videos"
        ),
        f"error: 2 videos are not taken for gone: {shares[2]} {empty} delete the folder as well",
    ]
    shares[2].rmdir()
    (shares[1] / "deep").rmdir()
    gone, problems = gone_of(stage, folder)
    assert gone == {"1.mp4", "2.mp4"}
    assert [f"{shares[1]}/deep" in problem for problem in problems] == [True]


def test_a_link_into_what_is_not_mounted_is_not_taken_for_gone(stage: Stage, folder: Path) -> None:
    outside = folder.parent / "share"
    (folder / "linked.mp4").symlink_to(outside / "a.mp4")
    (folder / "films").symlink_to(outside / "films")
    for name in ("linked.mp4", "films/b.mp4"):
        embedded(stage, folder / name, folder.stat().st_dev)
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
    here = folder.stat().st_dev
    embedded(stage, folder / "share" / "a.mp4", here + 1)
    embedded(stage, folder / "share" / "deep" / "b.mp4", here + 1)
    stage.register([NewVideo("waits", f"{folder}/share/waits.mp4")])
    embedded(stage, folder / "deleted" / "c.mp4", here)
    stage.register([NewVideo("with-c", f"{folder}/films/with-c.mp4")])
    embedded(stage, folder / "d.mp4", here + 2)  # by a worker that numbers it so
    stage.register([NewVideo("old", f"{folder}/old.mp4")])
    old = (folder / "old.mp4").stat()
    lease = stage.registry.claim("old", owner="w")
    validator = f"{here + 2:x}-7 {old.st_size} {old.st_mtime_ns}"
    stage.registry.complete(lease, fingerprint="f", source={"validator": validator})
    gone, problems = gone_of(stage, folder)
    assert gone == {"c.mp4", "d.mp4"}
    ids = sorted(["waits", *(stable_id(f"{folder}/share/{n}.mp4") for n in ("a", "deep/b"))])
    advice = "Where the files are deleted for good, `vidsearch videos delete"
    assert problems == [
        (
            f"error: 1 video is not taken for gone: {folder}/films is not there, and may have been "
            f"on another file system than {folder}: is it mounted? {advice} with-c` deletes the "
            "videos"
        ),
        (
            f"error: 3 videos are not taken for gone: {folder}/share is not there, and was on "
            f"another file system than {folder}: is it mounted? {advice} {' '.join(ids)}` deletes "
            "the videos"
        ),
    ]
    stage.register([NewVideo("with-c-too", f"{folder}/deleted/with-c-too.mp4")])
    assert gone_of(stage, folder)[0] == {"c.mp4", "d.mp4"}, "another is suspect"


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


def test_videos_beside_those_of_another_file_system_are_kept(
    stage: Stage, folder: Path, share: Path
) -> None:
    subprocess.run(["umount", share], check=True)
    (share / ".keep").touch()
    (share / "c").mkdir()
    (share / "c" / ".keep").touch()
    here = folder.stat().st_dev
    embedded(stage, share / "y.mp4", here + 1)
    embedded(stage, share / "b" / "y.mp4", here + 1)
    names = ("x.mp4", "a/x.mp4", "b/x.mp4", "c/x.mp4")
    stage.register([NewVideo(name.replace("/", "-"), f"{share}/{name}") for name in names])
    stage.register([NewVideo("other", f"{folder}/other.mp4")])
    gone, problems = gone_of(stage, folder)
    assert gone == {"other.mp4"}
    assert "videos delete x.mp4` deletes" not in "".join(problems), "told with y.mp4"
    assert [
        problem.partition(" not taken for gone: ")[2].partition(":")[0] for problem in problems
    ] == [
        f"{share} is on another file system than it was",
        f"{share}/a is not there, and may have been on another file system than {share}",
        f"{share}/b is not there, and was on another file system than {share}",
        f"{share}/c may be on another file system than it was",
    ]


def test_files_that_are_not_those_recorded_tell_nothing_of_their_file_system(
    stage: Stage, folder: Path, share: Path
) -> None:
    names = ("a.mp4", "b.mp4")
    for name in names:
        path = put(share / name, age=3600)
        stage.register([NewVideo(stable_id(str(path)), str(path))])
        index(stage, path, source={"validator": file_validator(path.stat())})
    linked = folder / "linked.mp4"
    linked.symlink_to(folder / "target.mkv")
    put(folder / "target.mkv", age=3600)
    stage.register([NewVideo(stable_id(str(linked)), str(linked))])
    status = linked.stat()
    validator = f"{share.stat().st_dev:x}-7 {status.st_size} {status.st_mtime_ns}"
    index(stage, linked, source={"validator": validator})
    subprocess.run(["umount", share], check=True)
    put(share / "a.mp4", 30, age=3600)
    gone, problems = gone_of(stage, folder)
    assert gone == set()
    assert f"{share} is on another file system than it was" in problems[0]


def test_new_videos_that_are_there_may_tell_more_when_they_are_embedded(
    stage: Stage, folder: Path
) -> None:
    embedded(stage, folder / "a.mp4", folder.stat().st_dev + 1)
    again = "is it mounted? Or try again when the new videos are embedded."
    assert again not in gone_of(stage, folder)[1][0]
    stage.register([NewVideo("new", f"{folder}/old.mp4")])
    assert again in gone_of(stage, folder)[1][0]


def test_a_file_that_is_back_is_not_deleted(
    stage: Stage, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.register([NewVideo(name, f"{folder}/{name}.mp4") for name in ("a", "b")])
    gone = videos_gone(stage.registry, folder, Selection())
    put(folder / "a.mp4")
    delete_gone(stage, folder, gone, yes=True)  # type: ignore[arg-type]
    assert set(states(stage)) == {"a.mp4"}
    assert f"kept, as its file is back: {folder}/a.mp4" in capsys.readouterr().err
    back = Missing(f"{folder}/a.mp4", "a", recorded=folder.stat().st_dev)
    assert deleted_among([back], str(folder)) == (set(), [])


def test_what_is_another_video_by_the_time_of_the_answer_is_not_deleted(
    stage: Stage, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.register([NewVideo(name, f"{folder}/{name}.mp4") for name in ("a", "b", "c")])
    gone = videos_gone(stage.registry, folder, Selection())
    elsewhere = put(folder / "below" / "a.mp4")
    stage.register([NewVideo("a", str(elsewhere))])
    stage.registry.delete("c")
    stage.registry.mark_removed("c")
    assert stage.registry.purge("c")
    delete_gone(stage, folder, gone, yes=True)  # type: ignore[arg-type]
    assert set(states(stage)) == {"a.mp4"}
    said = capsys.readouterr().err
    assert f"kept: video 'a', as it is {elsewhere} now" in said
    assert "kept: video 'c', as it is not registered any more" in said
    assert "1 deleted" in said


def test_the_last_file_of_a_folder_that_the_watch_saw_is_gone(stage: Stage, folder: Path) -> None:
    last = put(folder / "below" / "last.mp4", age=3600)
    watching = watch(stage, folder, prunes=True)
    watching.look()
    last.unlink()
    watching.look()
    assert set(states(stage)) == {"old.mp4"}
    assert not watching.has_problems


def test_a_file_beneath_a_mount_does_not_stand_for_that_of_the_mount(
    stage: Stage, folder: Path, share: Path
) -> None:
    put(share / "a.mp4", age=3600)
    watching = watch(stage, folder, prunes=True)
    watching.look()
    subprocess.run(["umount", share], check=True)
    put(share / "stays.mp4")
    beneath = put(share / "a.mp4", 30)
    watching.look()
    beneath.unlink()
    watching.look()
    watching.look()
    assert set(states(stage)) == {"old.mp4", "a.mp4", "stays.mp4"}
    assert watching.has_problems


def test_videos_that_the_first_look_spares_are_looked_at_again(
    stage: Stage, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    share = folder / "share"
    share.mkdir()
    embedded(stage, share / "a.mp4", folder.stat().st_dev)
    watching = watch(stage, folder, prunes=True)
    for _ in range(2):
        watching.look()
        assert set(states(stage)) == {"old.mp4", "a.mp4"}
    assert capsys.readouterr().err.count(f"{share} is empty: is it mounted?") == 1
    assert watching.has_problems
    share.rmdir()
    watching.look()
    assert set(states(stage)) == {"old.mp4"}


@pytest.mark.parametrize("away", ["find", "delete"])
def test_what_is_gone_while_the_engine_is_away_is_deleted_later(
    stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    put(folder / "stays.mp4", age=3600)
    watching = watch(stage, folder, prunes=True)
    watching.look()
    (folder / "old.mp4").unlink()

    def raising(*args: Any, **kwargs: Any) -> Any:
        raise BackendUnavailableError("the engine is away")

    with monkeypatch.context() as patch:
        patch.setattr(Registry, away, raising)
        with pytest.raises(BackendUnavailableError):
            watching.look()
    watching.look()
    assert set(states(stage)) == {"stays.mp4"}


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
    as_json = CliRunner().invoke(ingest, [*args[:3], "--dry-run", "--json"])
    place = f"{folder}/share"
    assert [one["id"] for one in json.loads(as_json.stdout)[:-1]] == ["gone"]
    assert json.loads(as_json.stdout)[-1] == {
        "state": "not taken for gone",
        "place": place,
        "reason": "is empty: is it mounted?",
        "ids": ["share"],
    }
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


def test_file_with_the_id_of_another_one_that_is_there_is_named_and_replaces_nothing(
    stage: Stage, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = put(folder / "b" / "clip.mp4", age=3600)
    watching = watch(stage, folder, id_from="name")
    watching.look()
    index(stage, first, id="clip")
    second = put(folder / "a" / "clip.mp4", age=3600)
    third = put(folder / "c" / "clip.mp4", age=3600)
    for later in (watching, watch(stage, folder, id_from="name")):  # also where it begins anew
        capsys.readouterr()
        for _ in range(4):
            later.look()
        record = stage.registry.get("clip")
        assert (record.uri, record.state) == (str(first), State.INDEXED)
        told = capsys.readouterr().err
        for path in (second, third):
            assert told.count(f"not registered: {path} has the id 'clip' of {first}") == 1
        assert later.has_problems
    first.unlink()
    for _ in range(3):
        watching.look()
    assert stage.registry.get("clip").uri == str(second)


def test_of_two_new_files_with_one_id_the_first_is_registered(stage: Stage, folder: Path) -> None:
    for name in ("a", "b"):
        put(folder / name / "clip.mp4", age=3600)
    watching = watch(stage, folder, id_from="name")
    for _ in range(3):
        watching.look()
    assert stage.registry.get("clip").uri == str(folder / "a" / "clip.mp4")
    assert watching.has_problems
