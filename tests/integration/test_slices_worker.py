"""A film in slices with real workers: a killed one, an outage of the broker, the commands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests.command_line import runner
from tests.integration.stage import Stage
from tests.integration.worker import until
from tests.tls_proxy import tls_proxy

from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch.testing.clips import solid, write_clip
from vidsearch_tasks.maintenance import run_sweep

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

_SLICED = {"VIDSEARCH_INGEST__SLICE_SECONDS": "10"}


@pytest.fixture
def film(tmp_path: Path) -> Path:
    times = [i / 5 for i in range(40 * 5)]
    path = tmp_path / "film.mp4"
    shade = lambda i: solid((255, 5 * (i // 25), 0))(i)  # noqa: E731
    return write_clip(path, times, picture=shade, rate=5, options={"g": "5"})


def slices(stage: Stage) -> dict[str, int]:
    from vidsearch.ingest import Slice

    return stage.services.board.counts(Slice.of_video(stage.record("film")))


def test_two_workers_embed_slices_and_one_that_is_killed_costs_its_slice_only(
    stage: Stage, film: Path
) -> None:
    (stage.switches / "slow").touch()  # half a second per batch
    stage.register("film", film, title="Film")
    first, second = stage.worker(**_SLICED), stage.worker(**_SLICED)
    with first, second:
        until(lambda: slices(stage).get("indexed", 0) >= 1, what="a slice is done", worker=second)
        done = slices(stage)["indexed"]
        assert stage.record("film").owner == "slices"
        first.kill()
        (stage.switches / "slow").unlink()

        # A message that the killed worker held, and had not begun with, counts as lost in a minute.
        def is_swept() -> bool:
            run_sweep(services=stage.services)
            return stage.record("film").state is State.INDEXED

        until(is_swept, what="the film is indexed", worker=second, seconds=300)
        second.stop()  # when it has taken the slices off the board
    document = stage.document("film")
    assert document is not None
    assert document["title"] == "Film"
    assert document["video"]["duration"] == pytest.approx(40, abs=0.3)
    assert stage.record("film").frames == 40
    # A worker says it once the slice is done; of its last one the killed one may not have said it.
    embedded = re.findall(r"slice (.*) embedded: FrameVectors\(", first.text() + second.text())
    assert len(embedded) in {3, 4}, f"{done} were done"
    assert len({*embedded}) == len(embedded), "none of them twice"
    assert list(stage.services.board.entries.scan(*State)) == []


def test_sliced_and_unsliced_films_have_the_same_vectors_and_progress_is_shown(
    stage: Stage,
    film: Path,
    elasticsearch_9: SearchNode,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in stage.env.items():
        monkeypatch.setenv(name, value)
    run = runner(capsys)
    (stage.switches / "slow").touch()
    stage.register("film", film)
    # Small batches, so that slices are left while it is asked for them.
    with stage.worker(**_SLICED, VIDSEARCH_MODEL__BATCH_SIZE="2") as worker:
        until(lambda: slices(stage).get("indexed", 0) >= 1, what="a slice is done", worker=worker)
        (stage.switches / "held").touch()  # the commands may take long on a busy machine
        shown = run("videos", "show", "film", "--json").data["slices"]
        assert sum(shown.values()) == 4
        assert shown["indexed"] >= 1
        status = run("status", "--json").data
        assert sum(status["slices"].values()) >= 1
        assert "slices " in run("status").out
        (stage.switches / "slow").unlink()
        (stage.switches / "held").unlink()
        stage.until("film", State.INDEXED, worker=worker)
        worker.stop()
    sliced = stage.document("film")
    plain = {"VIDSEARCH_EMBEDDINGS__KEEP": "false"}
    stage.register("plain", film)
    with stage.worker(**plain) as worker:
        stage.until("plain", State.INDEXED, worker=worker)
    whole = stage.document("plain")
    assert sliced is not None
    assert whole is not None
    ours, theirs = sliced["video"], whole["video"]
    assert len(ours["segments"]) == len(theirs["segments"]) == 20
    for one, other in zip([ours, *ours["segments"]], [theirs, *theirs["segments"]], strict=True):
        assert np.dot(one["vector"], other["vector"]) >= 0.999999
        assert {k: one[k] for k in ("start", "end") if k in one} == {
            k: other[k] for k in ("start", "end") if k in other
        }


def test_a_film_whose_vectors_the_engine_takes_in_no_size_fails_once_with_the_size(
    stage: Stage, film: Path, elasticsearch_9: SearchNode
) -> None:
    files = stage.services.settings.index.embeddings
    with tls_proxy(
        elasticsearch_9.url,
        certificate=None,
        max_body=lambda path: 500 if f"/{files}/_doc/" in path else None,
    ) as proxy:
        stage.register("film", film)
        with stage.worker(**_SLICED, VIDSEARCH_ENGINE__URL=proxy.url) as worker:
            failed = stage.until("film", State.FAILED, State.DEAD, worker=worker)
    assert (failed.state, failed.attempts) == (State.FAILED, 1)
    assert failed.error is not None
    assert failed.error.type == "SliceFailedError"
    assert re.search(r"cannot be kept: .*413.* The request has [\d,]+ bytes", failed.error.message)
