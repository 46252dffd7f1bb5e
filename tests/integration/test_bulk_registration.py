"""Lists of many videos, pruned and watched folders: ``vidsearch ingest`` on real services."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.command_line import Run, runner
from tests.integration.relay import Relay
from tests.waiting import until

from vidsearch.config import load_settings
from vidsearch.index import create_videos_index
from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch.testing.fake_encoder import FakeEncoder
from vidsearch_tasks import Services, queue_depth

# Commands; what they call of the engine is held to all three nodes by test_registry_engines.py.
pytestmark = [pytest.mark.integration, pytest.mark.one_node("es-9.5.3")]


@pytest.fixture
def application(
    search_node: SearchNode, redis_url: str, index_name: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """An empty index, and settings in the environment, as a person would set them."""
    values = {
        "ENGINE__URL": search_node.url,
        "BROKER__URL": redis_url,
        "BROKER__QUEUE": f"q-{uuid.uuid4().hex[:8]}",
        "INDEX__NAME": index_name,
        "INDEX__REPLICAS": "0",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"VIDSEARCH_{name}", value)
    with Services(load_settings()) as application:
        create_videos_index(application.engine, application.settings.index, FakeEncoder().identity)
        yield application


@pytest.fixture
def run(application: Services, capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def waiting(application: Services) -> int:
    return queue_depth(application.app, queue=application.settings.broker.queue)


def long_list(folder: Path, rows: int) -> Path:
    path = folder / "long.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("id,uri,title,year\n")
        file.writelines(f"v{n},https://h/{n}.mp4,Clip {n},{1990 + n % 30}\n" for n in range(rows))
    return path


def started(*args: object, **env: str) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    command = [sys.executable, "-m", "vidsearch.cli", *map(str, args)]
    # A runner in the background ignores Ctrl-C, and so would the command that inherits that.
    with_interrupts = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        env={**os.environ, **env},
        preexec_fn=with_interrupts,
    )


def test_bad_and_repeated_rows_are_counted_and_the_others_registered(
    run: Run, application: Services, tmp_path: Path
) -> None:
    path = tmp_path / "videos.csv"
    rows = [
        "a,https://h/a.mp4,1999,2024-01-31,Red",
        "b,,2000,,",
        "a,https://h/a.mp4,1999,2024-01-31,Red",
        f"{'x' * 600},https://h/c.mp4,,,",
        "d,https://h/d.mp4,2001,unknown,Blue",
        "d,https://h/other.mp4,2001,unknown,Blue",
    ]
    path.write_text("\n".join(["id,link,year,taken,title", *rows]))
    done = run("ingest", "--csv", str(path), "--map", "link=uri", "--json")
    assert done.code == 1
    assert {record["id"]: record["state"] for record in done.data} == {"a": "queued", "d": "queued"}
    said = done.err.splitlines()
    assert said[1].startswith("Registering: ")
    assert [said[0], *said[2:]] == [
        "read year as numbers; all other columns as text (--as-text: every column)",
        "Registering: 6/6 2 queued",
        f"error: {path}, line 3: the uri is empty",
        f"error: {path}, line 7: the id 'd' stands in line 6 with other values",
        f"error: {path}, line 5: the id '{'x' * 40}'… has more than 512 bytes",
        "2 registered, 1 repeated, 3 bad (2 queued)",
    ]
    assert application.registry.get("a").fields == {
        "year": 1999,
        "taken": "2024-01-31",
        "title": "Red",
    }
    assert application.open_index().properties["taken"]["type"] == "text"

    path.write_text("\n".join(["id,link,year,taken,title", rows[0], rows[4]]))
    again = run("ingest", "--csv", str(path), "--map", "link=uri")
    assert (again.code, again.err.splitlines()[-1]) == (0, "2 unchanged (2 queued)")
    assert again.out == "id\tstate\treason\na\tqueued\t\nd\tqueued\t\n"
    assert waiting(application) == 2


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_list_in_stdin_is_registered(
    run: Run, application: Services, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "videoid,contentUrl,name\n7,https://h/7.mp4,Red\n"
    if format == "jsonl":
        text = '{"videoid": 7, "contentUrl": "https://h/7.mp4", "name": "Red"}\n{"bad\n'
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    done = run("ingest", f"--{format}", "-")
    assert done.err.startswith(
        "stdin is a list of WebVid: videoid is id, contentUrl is uri, name is title; --map COLUMN="
    )
    assert application.registry.get("7").fields == {"title": "Red"}
    assert done.code == (1 if format == "jsonl" else 0)
    assert ("error: stdin, line 2: no JSON: " in done.err) == (format == "jsonl")


def test_without_a_broker_all_rows_are_registered_and_queued_by_the_next_run(
    run: Run,
    application: Services,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = long_list(tmp_path, 1200)
    relay = Relay(redis_url)
    monkeypatch.setenv("VIDSEARCH_BROKER__URL", relay.url)
    relay.down()
    away = run("ingest", "--csv", str(path))
    assert away.code == 1
    assert away.err.count("error:") == 1
    assert "error: 1200 videos are registered but not queued; the sweep queues them" in away.err
    assert away.err.splitlines()[-1] == "1200 registered (1200 registered)"
    assert application.registry.counts()[State.REGISTERED] == 1200
    relay.up()
    try:
        back = run("ingest", "--csv", str(path))
    finally:
        relay.down()
    assert (back.code, back.err.splitlines()[-1]) == (0, "1200 unchanged (1200 queued)")
    assert waiting(application) == 1200


def test_a_killed_registration_is_resumed_without_a_second_message(
    run: Run, application: Services, redis_url: str, tmp_path: Path
) -> None:
    path = long_list(tmp_path, 3000)
    # Through this process, so that it comes no further while this one is held up.
    relay = Relay(redis_url)
    process = started("ingest", "--csv", path, VIDSEARCH_BROKER__URL=relay.url)
    try:
        until(lambda: waiting(application) >= 500, what="the first messages are sent")
    finally:
        process.kill()
        relay.down()
    process.communicate()
    sent = waiting(application)
    counts = application.registry.counts()
    assert 500 <= sent < 3000
    assert counts[State.REGISTERED] <= 500, "of one batch it was in the middle of"
    resumed = run("ingest", "--csv", str(path))
    assert resumed.code == 0
    known = sum(counts.values())
    assert resumed.err.splitlines()[-1] == (
        f"{3000 - known} registered, {known} unchanged (3000 queued)"
    )
    # The messages of one batch, of which the registry does not know yet, may be sent again.
    assert 3000 <= waiting(application) <= 3000 + counts[State.REGISTERED]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("one.mp4", "two.mp4", "raw.mkv"):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, (1e9, 1e9))
    return folder


def test_videos_whose_file_is_gone_are_listed_and_then_deleted(
    run: Run, application: Services, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    args = ("ingest", "--folder", str(folder), "--id-from", "name")
    assert run(*args, "--exclude", "*.mkv").code == 0
    (folder / "one.mp4").rename(folder / "three.mp4")
    listed = run(*args, "--prune", "--dry-run", "--json")
    assert (listed.code, [record["id"] for record in listed.data]) == (0, ["one"])
    assert "1 registered videos of " in listed.err
    assert {record.id for record in application.registry.scan()} == {"one", "two"}

    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    refused = run(*args, "--prune")
    assert refused.code == 130
    assert f"gone: {folder / 'one.mp4'} (video 'one', queued)" in refused.err
    assert {r.id for r in application.registry.scan()} == {"one", "two", "three", "raw"}

    pruned = run(*args, "--prune", "--yes", "--json")
    assert pruned.code == 0
    states = {record["id"]: record["state"] for record in pruned.data}
    assert states == {**dict.fromkeys(("raw", "two", "three"), "queued"), "one": "deleted"}
    assert {r.id for r in application.registry.scan()} == {"two", "three", "raw"}
    assert "every registered video of" in run(*args, "--prune", "--yes").err


def test_a_watched_folder_registers_until_interrupted(application: Services, folder: Path) -> None:
    process = started("ingest", "--folder", folder, "--watch", "0.3", "--id-from", "name")
    try:
        until(lambda: len(list(application.registry.scan())) == 3, what="all are registered")
        # In this order: the look that registers the new one comes after one that misses the other.
        (folder / "one.mp4").unlink()
        (folder / "four.mp4").write_bytes(b"y")
        until(lambda: application.registry.find("four"), what="the new one is registered")
        until(lambda: waiting(application) == 4, what="each has its message")
    finally:
        process.send_signal(signal.SIGINT)
        try:
            _, said = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 0, said
    assert f"gone: {folder / 'one.mp4'} (video 'one', queued)" in said
    assert said.endswith("Stopped watching; the workers go on.\n")
    assert application.registry.get("one").state is State.QUEUED


def test_parquet_is_registered(run: Run, application: Services, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow (extra parquet) is not installed")
    from pyarrow import parquet

    rows = [{"uri": f"https://h/{n}.mp4", "id": f"v{n}", "n": n} for n in range(1200)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "list.parquet")
    done = run("ingest", "--parquet", str(tmp_path / "list.parquet"))
    assert (done.code, done.err.splitlines()[-1]) == (0, "1200 registered (1200 queued)")
    assert application.registry.get("v1199").fields == {"n": 1199}


def test_a_list_that_cannot_be_read_registers_nothing(
    run: Run, application: Services, tmp_path: Path
) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text(json.dumps({"link": "https://h/a.mp4"}))
    for args, message in (
        (["--csv", str(path)], "has no column 'uri' in its first line (found: {\"link\": "),
        (["--jsonl", str(path)], "has no column 'uri' (found: link): --map COLUMN=uri names"),
        (["--jsonl", str(path), "--map", "x=uri"], "has no column 'x' (found: link)"),
    ):
        done = run("ingest", *args)
        assert (done.code, done.out) == (2, "")
        assert message in done.err
        assert "Traceback" not in done.err
    assert list(application.registry.scan()) == []
