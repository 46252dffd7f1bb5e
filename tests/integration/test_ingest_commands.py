"""The commands ingest, videos, status, sweep and reindex on a real engine, Redis and worker."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.command_line import Run, runner
from tests.integration.worker import Worker, until
from tests.services import call

from vidsearch.cli.watch import FolderWatch
from vidsearch.config import load_settings
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.registry import Registry
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services

pytestmark = pytest.mark.integration


@pytest.fixture
def env(
    elasticsearch_9: SearchNode,
    redis_url: str,
    index_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, str]:
    """Settings in the environment, as a person would set them."""
    values = {
        "VIDSEARCH_ENGINE__URL": elasticsearch_9.url,
        "VIDSEARCH_BROKER__URL": redis_url,
        "VIDSEARCH_BROKER__QUEUE": f"q-{uuid.uuid4().hex[:8]}",
        "VIDSEARCH_INDEX__NAME": index_name,
        "VIDSEARCH_INGEST__RETRY_SECONDS": "0.2",
        "VIDSEARCH_INGEST__LEASE_SECONDS": "5",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    switches = tmp_path / "switches"
    switches.mkdir()
    return {**values, "TEST_SWITCHES": str(switches)}


@pytest.fixture
def run(env: dict[str, str], capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, in this process."""
    return runner(capsys)


@pytest.fixture
def index(env: dict[str, str]) -> None:
    services = Services(load_settings())
    create_videos_index(services.engine, services.settings.index, FakeEncoder().identity)
    services.close()


@pytest.fixture
def worker(env: dict[str, str], index: None, tmp_path: Path) -> Iterator[Worker]:
    with Worker(tmp_path / "worker", env) as running:
        yield running


def picture(_: int) -> Any:
    return np.full((48, 64, 3), (255, 0, 0), dtype=np.uint8)


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two good videos with the same content, and a broken one."""
    folder = tmp_path / "clips"
    folder.mkdir()
    one = write_clip(folder / "one.mp4", [i / 5 for i in range(15)], picture=picture, rate=5)
    shutil.copy(one, folder / "two.mp4")
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def test_folder_is_ingested_listed_deleted_and_purged(
    run: Run, worker: Worker, clips: Path
) -> None:
    args = ("ingest", "--folder", str(clips), "--id-from", "name", "--field", "title=Clip")
    ingested = run(*args, "--wait", "--timeout", "120", "--json")
    assert ingested.code == 1, "one of the three is broken"
    states = {record["id"]: record["state"] for record in ingested.data}
    assert states == {"broken": "failed", "one": "indexed", "two": "indexed"}
    assert "2 indexed, 1 failed" in ingested.err
    assert "Ingesting: 3/3" in ingested.err

    again = run("ingest", str(clips / "one.mp4"), "--id-from", "name", "--field", "title=Clip")
    assert (again.code, again.out.splitlines()[1].split("\t")[:2]) == (0, ["one", "indexed"])

    listed = run("videos", "list", "--state", "failed")
    (row,) = listed.out.splitlines()[1:]
    assert row.startswith("broken\tfailed\t-\t")
    assert row.split("\t")[4] == "Clip"
    assert "VideoOpenError (decode)" in row
    assert {r["id"] for r in run("videos", "list", "--json").data} == set(states)

    shown = run("videos", "show", "one", "--json").data
    assert shown["fields"] == {"title": "Clip"}
    assert shown["frames"] == 3

    status = run("status", "--json").data
    assert status["states"]["indexed"] == 2
    assert status["states"]["failed"] == 1
    assert status["searchable"] == 2
    assert status["queued_messages"] == 0
    until(lambda: len(run("status", "--json").data["workers"]) == 1, what="the worker answers")
    assert "failed\t1" in run("status").out

    deleted = run("videos", "delete", "two")
    assert (deleted.code, deleted.out.splitlines()[1]) == (0, "two\tdeleted")
    assert run("status", "--json").data["searchable"] == 1
    for args in (("--dry-run",), ()):
        gone = run("reindex", "--ids", "one", "--ids", "two", *args)
        assert (gone.code, gone.err) == (1, "Error: video 'two' was deleted\n")
    assert run("videos", "show", "one", "--json").data["state"] == "indexed"
    purged = run("videos", "purge", "--failed", "--yes", "--json")
    assert sorted(r["id"] for r in purged.data) == ["broken", "two"]
    assert run("videos", "show", "two").code == 1

    empty = run("videos", "list", "--state", "dead")
    assert "no video is dead" in empty.err
    kept = run("videos", "purge", "one")
    assert kept.code == 1
    assert "1 kept" in kept.err
    assert "one (indexed)" in kept.err


def test_folder_with_odd_entries_registers_the_rest_and_tells(
    run: Run, index: None, clips: Path
) -> None:
    (clips / "caf\udce9.mp4").write_bytes((clips / "one.mp4").read_bytes())
    for name in ("._one.mp4", "notes.txt", "two.mp4.part"):
        (clips / name).touch()
    (clips / "gone.mkv").symlink_to("nowhere.mkv")
    (clips / "broken.mp4").rename(clips / "broken.vob")
    ingested = run("ingest", "--folder", str(clips), "--id-from", "name", "--json")
    assert ingested.code == 1
    states = {each.get("id"): each["state"] for each in ingested.data if "id" in each}
    assert states == dict.fromkeys(("broken", "one"), "queued")
    told = {each["reason"].split(":")[0]: each for each in ingested.data if "id" not in each}
    assert told["with a name that is not UTF-8"]["first"] == ["caf\\xe9.mp4"]
    assert {
        reason: (each["state"], each["count"]) for reason, each in told.items()
    } == dict.fromkeys(
        (
            "without the suffix of a video format",
            "hidden, or left by the system",
            "of a download that is not finished",
            "with a name that is not UTF-8",
            "links that lead nowhere",
        ),
        ("passed over", 1),
    ) | {"of a download that is not finished": ("passed over", 2)}
    assert "error: not registered: 1 with a name that is not UTF-8" in ingested.err
    assert "(two.mp4, two.mp4.part)" in ingested.err

    bad = run("ingest", str(clips / "one.mp4"), str(clips / "caf\udce9.mp4"), "--id-from", "name")
    assert (bad.code, bad.out.splitlines()[1].split("\t")[:2]) == (1, ["one", "queued"])
    assert "caf\\xe9.mp4" in bad.err
    for odd in ("caf\udce9.mp4", "gone.mkv"):
        (clips / odd).unlink()
    assert run("ingest", "--folder", str(clips), "--id-from", "name").code == 0


def test_retry_of_a_repaired_file_indexes_it(run: Run, worker: Worker, clips: Path) -> None:
    path = clips / "broken.mp4"
    assert run("ingest", str(path), "--wait", "--id-from", "name").code == 1
    path.write_bytes((clips / "one.mp4").read_bytes())
    assert run("videos", "retry", "broken", "nobody").code == 1
    assert run("videos", "show", "broken", "--json").data["state"] == "failed", "all or none"
    whole = clips / "whole.mp4"
    whole.write_bytes(path.read_bytes())
    assert run("ingest", str(whole), "--wait", "--id-from", "name").code == 0
    refused = run("videos", "retry", "broken", "whole")
    assert (refused.code, "'whole' is indexed" in refused.err) == (1, True)
    assert run("videos", "show", "broken", "--json").data["state"] == "failed", "all or none"
    assert run("videos", "retry", "--failed", "--json").data[0]["state"] in {"queued", "processing"}
    assert run("ingest", str(path), "--wait", "--id-from", "name").code == 0
    refused = run("videos", "retry", "broken")
    assert (refused.code, refused.err) == (
        1,
        "Error: video 'broken' is indexed; only failed or dead videos are retried\n",
    )


def test_reindex_embeds_all_missing_or_given_videos(
    run: Run, env: dict[str, str], worker: Worker, clips: Path
) -> None:
    for name in ("one", "two"):
        assert run("ingest", str(clips / f"{name}.mp4"), "--wait", "--id-from", "name").code == 0
    before = {r["id"]: r for r in run("videos", "list", "--json").data}

    plan = run("reindex", "--all", "--dry-run", "--json")
    assert plan.data == [
        {"id": id, "state": "indexed", "action": "embed again"}
        for id in [record["id"] for record in plan.data]
    ]
    assert {r["id"]: r for r in run("videos", "list", "--json").data} == before

    unchanged = run("reindex", "--ids", "one", "--wait", "--json")
    assert (unchanged.code, len(unchanged.data)) == (0, 1)
    assert "decode" not in unchanged.data[0]["seconds"]

    everything = run("reindex", "--all", "--wait", "--json")
    assert everything.code == 0
    for record in everything.data:  # read again; what is in the store is not decoded again
        assert "hash" in record["seconds"]
        assert not {"decode", "encode"} & record["seconds"].keys()
    assert run("embeddings", "drop", "--yes").code == 0
    everything = run("reindex", "--all", "--wait", "--json")
    decoded = [record["id"] for record in everything.data if "decode" in record["seconds"]]
    assert len(decoded) == 1, "both have the same content"

    assert run("reindex", "--missing", "--dry-run", "--json").data == []
    with Services(load_settings()) as services:
        index = services.open_index()
        index.remove("two")
    url, place = env["VIDSEARCH_ENGINE__URL"], f"/{index.name}/_doc/one"
    read = call(url, "GET", place)["_source"]  # as an application changes a field
    call(url, "PUT", place, {**read, "title": "New"})
    assert "`vidsearch reindex --missing`" in run("status").err
    missing = run("reindex", "--missing", "--dry-run", "--json").data
    assert {record["id"] for record in missing} == {"one", "two"}
    for clip in clips.iterdir():
        clip.unlink()
    made = run("reindex", "--missing", "--wait", "--json").data
    for record in made:
        kept = record["state"], record["content"]
        assert kept == ("indexed", before[record["id"]]["content"])
        assert not {"hash", "decode", "encode"} & record["seconds"].keys(), "made of what is kept"
    assert {record["id"] for record in made} == {"one", "two"}
    assert run("reindex", "--missing", "--dry-run", "--json").data == []
    assert run("status", "--json").data["searchable"] == 2


@pytest.mark.parametrize("asked_by", ["watch", "reindex"])
def test_whether_a_file_has_changed_waits_for_its_share(
    run: Run, env: dict[str, str], index: None, tmp_path: Path, asked_by: str
) -> None:
    share, away = tmp_path / "share", tmp_path / "away"
    share.mkdir()
    film = write_clip(share / "film.mp4", [i / 5 for i in range(15)], picture=picture, rate=5)
    env = {**env, "VIDSEARCH_SOURCES__ROOTS": json.dumps([str(share)])}

    def wait_for(state: str, error: str | None = None) -> str:
        def is_there() -> bool:
            film = run("videos", "show", "film", "--json").data
            return film["state"] == state and (film["error"] or {}).get("type") == error

        with Worker(tmp_path / f"{state}-{uuid.uuid4().hex[:8]}", env) as worker:
            until(is_there, what=f"the video is {state}", worker=worker)
        content: str = run("videos", "show", "film", "--json").data["content"]
        return content

    with Services(load_settings()) as services:
        watching = FolderWatch(services, share, 0.1, id_from="name")
        for _ in range(2):
            watching.look()
        first = wait_for("indexed")
        write_clip(film, [i / 5 for i in range(10)], picture=solid((0, 0, 255)), rate=5)
        if asked_by == "watch":
            for _ in range(2):
                watching.look()
        else:
            assert run("reindex", "--changed").code == 0
    share.rename(away)
    wait_for("registered", "SourceRootMissingError")
    away.rename(share)
    assert wait_for("indexed") not in {None, first}


def test_video_deleted_during_a_reindex_is_left_out(
    run: Run, index: None, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        assert run("ingest", str(clips / f"{name}.mp4"), "--id-from", "name").code == 0
    reopen = Registry.reopen_many

    def late(registry: Registry, ids: list[str], **options: Any) -> Any:
        registry.delete("one")
        return reopen(registry, ids, **options)

    monkeypatch.setattr(Registry, "reopen_many", late)
    everything = run("reindex", "--all", "--json")
    assert (everything.code, [r["id"] for r in everything.data]) == (0, ["two"])
    assert "left out: video 'one' was deleted\n" in everything.err


def test_wait_without_a_worker_times_out_with_advice(
    run: Run, index: None, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its message does not count as lost by the time of the sweep.
    monkeypatch.setenv("VIDSEARCH_INGEST__LEASE_SECONDS", "600")
    late = run("ingest", str(clips / "one.mp4"), "--wait", "--timeout", "0.5")
    assert late.code == 1
    assert "Error: 1 videos are not done after 0.5 s (1 queued); is a worker running?" in late.err
    status = run("status")
    assert status.code == 0
    assert "workers of this index\t0" in status.out
    assert "celery -A vidsearch_tasks worker" in status.err
    assert "messages in queue" in status.out
    swept = run("sweep")
    assert (swept.code, swept.err) == (0, "0 requeued, 0 sent, 0 dead, 0 cleaned, 0 waiting\n")


def test_a_row_that_cannot_be_registered_does_not_stop_the_others(
    run: Run, index: None, tmp_path: Path
) -> None:
    table = tmp_path / "videos.csv"
    rows = ["one,https://h/1.mp4", f"{'x' * 600},https://h/2.mp4", "three,https://h/3.mp4"]
    table.write_text("\n".join(["id,uri", *rows]))
    ingested = run("ingest", "--csv", str(table), "--json")
    assert ingested.code == 1
    assert ingested.err.count("error:") == 1
    assert "has more than 512 bytes" in ingested.err
    assert {record["id"]: record["state"] for record in ingested.data} == {
        "one": "queued",
        "three": "queued",
    }


def test_a_list_changes_the_fields_of_a_video_whose_file_is_gone(
    run: Run, worker: Worker, clips: Path, tmp_path: Path
) -> None:
    table = tmp_path / "videos.csv"
    table.write_text(f"id,uri,title\none,{clips}/one.mp4,Old\n")
    assert run("ingest", "--csv", str(table), "--wait").code == 0
    (clips / "one.mp4").unlink()
    table.write_text(f"id,uri,title\none,{clips}/one.mp4,New\n")
    assert run("ingest", "--csv", str(table)).code == 0
    with Services(load_settings()) as services:
        document = services.open_index().read("one")
    assert document is not None
    assert document.source["title"] == "New"
    # As the message for a file that is not there says.
    table.write_text(f"id,uri,title\none,{(clips / 'one.mp4').as_uri()},Newer\n")
    (record,) = run("ingest", "--csv", str(table), "--wait", "--json").data
    assert (record["state"], record["fields"]) == ("indexed", {"title": "Newer"})


def test_ingest_without_a_broker_registers_and_reports_it(
    run: Run, index: None, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_BROKER__URL", "redis://:hush@127.0.0.1:1/0")
    monkeypatch.setenv("VIDSEARCH_INGEST__LEASE_SECONDS", "1")
    refused = run("ingest", str(clips / "one.mp4"), "--id-from", "name")
    assert refused.code == 1
    assert "video 'one' is registered but not queued" in refused.err
    assert "redis://:***@127.0.0.1:1/0" in refused.err
    assert run("videos", "show", "one", "--json").data["state"] == "registered"
    assert "Connection refused. Is it running, and is broker.url right?" in refused.err
    assert ".." not in refused.err
    status = run("status", "--json")
    assert (status.code, status.data["queued_messages"]) == (1, None)
    assert status.data["states"]["registered"] == 1
    for result in (refused, status):
        assert "hush" not in result.out + result.err
        assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["ingest"], 2, "name at least one URI"),
        (["ingest", "nosuch.mp4"], 2, "no such file: nosuch.mp4"),
        (["ingest", ""], 2, "a URI is empty"),
        (["ingest", "https://h/a.mp4", "--timeout", "3"], 2, "--timeout goes with --wait"),
        (["ingest", "https://h/a.mp4", "--field", "video=1"], 1, "field 'video' is taken"),
        (["ingest", "https://h/a/x.mp4", "https://h/b/x.mp4", "--id-from", "name"], 2, "same id"),
        (["videos", "show", "nobody"], 1, "no video 'nobody' is registered"),
        (["videos", "retry"], 2, "name at least one ID"),
        (["videos", "retry", "nobody"], 1, "no video 'nobody' is registered"),
        (["videos", "delete", "nobody"], 1, "no video 'nobody' is registered"),
        (["videos", "list", "--limit", "0"], 2, "limit"),
        (["reindex"], 2, "choose one of --all, --missing, --changed and --ids"),
        (["reindex", "--all", "--missing"], 2, "choose one of"),
        (["reindex", "--ids", "nobody"], 1, "no video 'nobody' is registered"),
    ],
)
def test_wrong_arguments_are_reported_without_a_traceback(
    run: Run, index: None, args: list[str], code: int, message: str
) -> None:
    result = run(*args)
    assert result.code == code
    assert message in result.err
    assert result.out == ""
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "args",
    [
        ["ingest", "https://h/a.mp4"],
        ["videos", "list"],
        ["videos", "show", "a"],
        ["status"],
        ["sweep"],
        ["reindex", "--all"],
    ],
)
def test_missing_index_is_reported_with_advice(run: Run, args: list[str]) -> None:
    result = run(*args)
    assert result.code == 1
    assert "vidsearch index create" in result.err
    assert "Traceback" not in result.err


def test_unreachable_engine_is_reported_with_its_url(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_ENGINE__URL", "http://127.0.0.1:1")
    for args in (["status"], ["videos", "list"], ["ingest", "https://h/a.mp4"], ["sweep"]):
        result = run(*args)
        assert result.code == 1
        assert "127.0.0.1:1" in result.err
        assert "Traceback" not in result.err
