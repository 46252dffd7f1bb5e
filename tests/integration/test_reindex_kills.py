"""A process that reindexes is killed at every step: then resume finishes, or rollback undoes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.killed_reindex import BEGUN, LEASE, UNDONE
from tests.integration.reindexed import Reindexed, small_index

from vidsearch.errors import ReindexError
from vidsearch.local import SearchNode
from vidsearch.reindex import ReindexRun, Step
from vidsearch_tasks import reindexer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.parametrize(
        "search_node",
        ["es-9.5.3", pytest.param("os-2.19.1", marks=pytest.mark.drill)],
        indirect=True,
        scope="session",
    ),
]

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def reindexed(search_node: SearchNode, index_name: str) -> Iterator[Reindexed]:
    with small_index(search_node, index_name) as reindexed:
        yield reindexed


def killed(reindexed: Reindexed, when: str) -> ReindexRun:
    """The record after a process was killed at that moment."""
    command = [sys.executable, "-m", "tests.integration.killed_reindex", when]
    path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, **reindexed.env, "PYTHONPATH": path}
    ended = subprocess.run(command, env=env, capture_output=True, timeout=200, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    return reindexer(reindexed.services).runs.all()[0]


@pytest.mark.parametrize("moment", [BEGUN[0], *UNDONE])
def test_a_killed_run_is_resumed_to_its_end(reindexed: Reindexed, moment: str) -> None:
    run = killed(reindexed, moment)
    assert run.is_open
    reindexed.write()
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.SWAPPED
    reindexed.write()
    reindexer(reindexed.services).clean()
    reindexed.check(Step.DONE, behind=run.target)


@pytest.mark.parametrize("moment", [*BEGUN, UNDONE[-1]])
def test_a_killed_run_is_rolled_back(reindexed: Reindexed, moment: str) -> None:
    run = killed(reindexed, moment)
    reindexed.write()
    reindexer(reindexed.services, lease_seconds=LEASE).roll_back()
    reindexed.check(Step.ROLLED_BACK, behind=run.source)
    with pytest.raises(ReindexError, match="no reindex of"):
        reindexer(reindexed.services).resume()


@pytest.mark.parametrize("moment", ["begun:rolling_back", "undone:rolled_back"])
def test_a_killed_rollback_is_resumed_to_its_end(reindexed: Reindexed, moment: str) -> None:
    killed(reindexed, "begun:swapped")
    run = killed(reindexed, moment)
    assert run.step is Step.ROLLING_BACK
    reindexed.write()
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.ROLLED_BACK
    reindexed.check(Step.ROLLED_BACK, behind=run.source)


def test_a_killed_clean_is_resumed_to_its_end(reindexed: Reindexed) -> None:
    run = killed(reindexed, "undone:done")
    assert run.step is Step.SWAPPED
    reindexed.write()
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.DONE
    reindexed.check(Step.DONE, behind=run.target)
