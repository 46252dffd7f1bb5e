"""The numbers of the writes of an index, and an index whose shards do not tell them yet."""

from __future__ import annotations

import pytest

from vidsearch.engines import Json
from vidsearch.engines.calls import Calls
from vidsearch.engines.opensearch import OpenSearchDialect
from vidsearch.engines.steps import Answer, run
from vidsearch.errors import BackendUnavailableError


def _checkpoints(shards: dict[str, list[Json]]) -> dict[int, int]:
    # The engines leave an index out none of whose shards is on a node.
    body = {"indices": {"shop-1": {"shards": shards}} if shards else {}}
    calls = Calls(OpenSearchDialect("http://there"))
    return run(calls.checkpoints("shop-1"), lambda request: Answer(200, body))


def _copy(state: str, number: int | None, *, primary: bool = True) -> Json:
    told = {} if number is None else {"seq_no": {"global_checkpoint": number}}
    return {"routing": {"state": state, "primary": primary}, **told}


def test_those_of_primary_shards_count() -> None:
    replicas = [_copy("STARTED", 3, primary=False), _copy("INITIALIZING", None, primary=False)]
    shards = {"0": [*replicas, _copy("STARTED", 4)], "1": [_copy("RELOCATING", -1)]}
    assert _checkpoints(shards) == {0: 4, 1: -1}


@pytest.mark.parametrize(
    "shards", [{}, {"0": [_copy("STARTED", 4)], "1": [_copy("INITIALIZING", None)]}]
)
def test_an_index_whose_node_has_just_started_is_unavailable(shards: dict[str, list[Json]]) -> None:
    with pytest.raises(BackendUnavailableError, match="not every shard of index 'shop-1'"):
        _checkpoints(shards)


def test_an_engine_that_does_not_tell_numbers_at_all_is_no_outage() -> None:
    with pytest.raises(KeyError, match="seq_no"):
        _checkpoints({"0": [_copy("STARTED", None)]})
