"""A process that reindexes is killed at every step: then resume finishes, or rollback undoes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.integration.killed_reindex import BEGUN, LEASE, UNDONE, killed
from tests.integration.reindexed import Reindexed, small_index

from vidsearch.errors import ReindexError
from vidsearch.local import SearchNode
from vidsearch.reindex import Step
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


@pytest.fixture
def reindexed(search_node: SearchNode, index_name: str) -> Iterator[Reindexed]:
    with small_index(search_node, index_name) as reindexed:
        yield reindexed


@pytest.mark.parametrize("moment", [BEGUN[0], *UNDONE])
def test_a_killed_run_is_resumed_to_its_end(reindexed: Reindexed, moment: str) -> None:
    run = killed(reindexed.services, moment)
    assert run.is_open
    reindexed.write()
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.SWAPPED
    reindexed.write()
    reindexer(reindexed.services).clean()
    reindexed.check(Step.DONE, behind=run.target)


@pytest.mark.parametrize("moment", [*BEGUN, UNDONE[-1]])
def test_a_killed_run_is_rolled_back(reindexed: Reindexed, moment: str) -> None:
    run = killed(reindexed.services, moment)
    reindexed.write()
    reindexer(reindexed.services, lease_seconds=LEASE).roll_back()
    reindexed.check(Step.ROLLED_BACK, behind=run.source)
    with pytest.raises(ReindexError, match="no reindex of"):
        reindexer(reindexed.services).resume()


@pytest.mark.parametrize("moment", ["begun:rolling_back", "undone:rolled_back"])
def test_a_killed_rollback_is_resumed_to_its_end(reindexed: Reindexed, moment: str) -> None:
    killed(reindexed.services, "begun:swapped")
    run = killed(reindexed.services, moment)
    assert run.step is Step.ROLLING_BACK
    reindexed.write()
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.ROLLED_BACK
    reindexed.check(Step.ROLLED_BACK, behind=run.source)


def test_a_killed_clean_is_resumed_to_its_end(reindexed: Reindexed) -> None:
    run = killed(reindexed.services, "undone:done")
    assert run.step is Step.SWAPPED
    reindexed.write()
    assert reindexer(reindexed.services, lease_seconds=LEASE).resume().step is Step.DONE
    reindexed.check(Step.DONE, behind=run.target)
