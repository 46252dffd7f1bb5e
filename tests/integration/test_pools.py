"""Pools other than prefork, which all other tests use: threads and none, in an application that
sends pickle; those of greenlets, which are refused."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from tests.integration.stage import running_stage
from tests.integration.worker import Worker, until

from vidsearch.local import SearchNode
from vidsearch.registry import State
from vidsearch_tasks import WorkerState, broker_state

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_pool_ingests_and_its_app_is_checked(
    pool: str,
    elasticsearch_9: SearchNode,
    redis_url: str,
    index_name: str,
    tmp_path: Path,
    red: Path,
) -> None:
    app, options = "tests.integration.pickle_app", ("--pool", pool)
    with running_stage(elasticsearch_9, redis_url, index_name, tmp_path) as stage:
        settings = stage.services.settings
        env = {**stage.env, "VIDSEARCH_INGEST__TIME_LIMIT": "3600", "C_FORCE_ROOT": "1"}
        queue = ("--queues", settings.broker.queue)
        with Worker(tmp_path / pool, env, app=app, options=(*options, *queue)) as worker:
            stage.register("a", red)
            stage.until("a", State.INDEXED, worker=worker)
            answers: list[WorkerState] = []
            until(
                lambda: answers.extend(broker_state(settings).of_queue) or answers,
                what="an answer",
                worker=worker,
            )
            (found,) = answers
            conflicts = " ".join(found.conflicts or ())
            assert "worker_prefetch_multiplier is 4" in conflicts
            assert "is 3600: a message is delivered again" in conflicts
            assert "set it above 3660" in conflicts
            assert "worker_prefetch_multiplier is 4" in worker.text()


@pytest.mark.parametrize("pool", ["gevent", "eventlet"])
def test_worker_with_a_pool_of_greenlets_ends_with_the_reason(pool: str, tmp_path: Path) -> None:
    if find_spec(pool) is None:
        pytest.skip(f"{pool} is not installed (pip install {pool})")
    env = {"VIDSEARCH_BROKER__URL": "memory://"}
    worker = Worker(tmp_path / pool, env, options=("--pool", pool))
    try:
        until(lambda: not worker.alive(), what="the worker ended")
    finally:
        worker.kill()
    assert f"this worker cannot start: the pool {pool} cannot run vidsearch's tasks: decod" in (
        worker.text()
    )
    assert "Traceback" not in worker.text()
