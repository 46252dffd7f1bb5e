"""What is told while the model is not loaded, and whether it is worth while to try again."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from vidsearch.errors import BackendUnavailableError, EncoderError
from vidsearch.search import AsyncVideoSearch
from vidsearch.web.problems import Problem
from vidsearch.web.readiness import Readiness


class _Failing:
    """A search whose model cannot be loaded."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def embed(self, text: str) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "retry_after"),
    [
        (BackendUnavailableError("away"), 5),
        (EncoderError("no such folder"), None),
        (RuntimeError("of an encoder of the user"), None),
    ],
    ids=("outage", "setup", "unknown"),
)
def test_a_time_to_retry_is_told_only_where_it_may_pass_by_itself(
    error: Exception, retry_after: int | None
) -> None:
    async def failed() -> Readiness:
        readiness = Readiness()
        assert readiness.problem is not None
        assert readiness.problem.retry_after == 5, "it is being loaded"
        search = cast(AsyncVideoSearch, _Failing(error))
        loading = asyncio.create_task(readiness.load(search))
        await readiness.wait(60)
        loading.cancel()
        return readiness

    readiness = asyncio.run(failed())
    assert readiness.state == "failed"
    with pytest.raises(Problem, match="as the log of the server says") as raised:
        readiness.require_ready()
    assert (raised.value.status, raised.value.retry_after) == (503, retry_after)
