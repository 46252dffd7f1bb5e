"""Which contents the registered videos need of the store of embeddings."""

# ruff: noqa: F811  (fixtures)

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.status_stage import Put, now, put, services  # noqa: F401

from vidsearch.cli.embeddings import needed_contents
from vidsearch.cli.root import main
from vidsearch.embeddings import EmbeddingStore
from vidsearch.media.file_store import FileStore
from vidsearch.registry import State
from vidsearch_tasks import Services

ONE, OTHER = "1" * 64, "2" * 64


def test_contents_of_registered_videos_are_needed_whatever_their_state(
    services: Services, put: Put
) -> None:
    put("indexed", State.INDEXED, content=ONE, indexed_at=1.0)
    put("failed", State.FAILED, content=OTHER)
    put("new", State.REGISTERED)
    needed = needed_contents(services, ())
    assert needed.contents == {bytes.fromhex(ONE), bytes.fromhex(OTHER)}
    assert needed.unknown == 0


def test_moved_and_replaced_videos_that_wait_are_counted_as_what_they_need_is_unknown(
    services: Services, put: Put
) -> None:
    put("moved", State.INDEXED, content=ONE, indexed_at=1.0)
    services.registry.register("moved", uri="/elsewhere/a.mp4")
    put("replaced", State.INDEXED, content=OTHER, indexed_at=1.0)
    services.registry.reopen_many(["replaced"], replaced=True)
    put("gone", State.FAILED, indexed_at=1.0)
    needed = needed_contents(services, ())
    assert (needed.contents, needed.unknown) == (set(), 2)
    assert needed.why_unknown.startswith("2 videos that were indexed wait to be ingested again")


def test_what_is_to_be_embedded_again_needs_what_it_had_as_its_file_may_be_gone(
    services: Services, put: Put
) -> None:
    put("again", State.INDEXED, content=ONE, indexed_at=1.0)
    services.registry.reopen("again", forget=True)
    needed = needed_contents(services, ())
    assert (needed.contents, needed.unknown) == ({bytes.fromhex(ONE)}, 0)


def test_prune_refuses_while_that_is_unknown_and_a_dry_run_says_so(
    services: Services,
    put: Put,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("vidsearch_tasks.Services", lambda: services)
    put("again", State.INDEXED, content=OTHER, indexed_at=1.0)
    services.registry.reopen_many(["again"], replaced=True)
    with pytest.raises(SystemExit, match="1"):
        main(["embeddings", "prune", "--yes"])
    assert "ingested again, and it is not known" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="0"):
        main(["embeddings", "prune", "--dry-run"])
    assert "note: 1 videos that were indexed wait" in capsys.readouterr().err


def test_prune_tells_what_is_unused_but_too_new(
    services: Services,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = EmbeddingStore(FileStore(str(tmp_path), setting="embeddings.url"))
    vars(services)["embeddings"] = store
    monkeypatch.setattr("vidsearch_tasks.Services", lambda: services)
    for content in (ONE, OTHER):
        store.keep_facts(content, {"shots": {"": [1.0]}})

    def prune(*args: str) -> str:
        with pytest.raises(SystemExit, match="0"):
            main(["embeddings", "prune", *args])
        return capsys.readouterr().err

    why = "no registered video of videos has their content"
    too_new = "but they are not older than 24 hours (--older-than)"
    assert prune("--yes") == f"nothing to remove\nspared 2 files, 44 bytes: {why}, {too_new}\n"
    os.utime(next(tmp_path.glob(f"*/{ONE}/*")), (time.time() - 2 * 24 * 3600.0,) * 2)
    spared = f"spared 1 files, 22 bytes: {why}, {too_new}\n"
    assert prune("--dry-run") == f"1 files, 22 bytes: {why}\n{spared}"
    assert prune("--yes") == f"removed 1 files, 22 bytes\n{spared}"
    assert prune("--older-than", "0", "--yes") == "removed 1 files, 22 bytes\n"
    assert prune("--yes") == "nothing to remove\n"
