"""Whether the model is loaded, which takes a while after the start."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from vidsearch.error_texts import first_line, logger
from vidsearch.errors import VidsearchError
from vidsearch.web.problems import RETRY_SECONDS, Problem

if TYPE_CHECKING:
    from vidsearch.search import AsyncVideoSearch

__all__ = ["Readiness"]

_log = logger(__name__)
_PROBE = "a boat"
_OUTAGE_PAUSE, _SETUP_PAUSE = 2.0, 30.0
"""Seconds until it is tried again."""


class Readiness:
    """Loads the model in the background, and again where that failed."""

    def __init__(self) -> None:
        self.state: Literal["loading", "failed", "ready"] = "loading"
        self._decided = asyncio.Event()
        self._passes = False
        """Whether what it failed by may pass by itself."""

    async def load(self, search: AsyncVideoSearch) -> None:
        """Have the model loaded; ends when it is."""
        while True:
            try:
                await search.embed(_PROBE)
            except VidsearchError as error:
                _log.error("the model is not loaded yet: %s", first_line(error))
                self._passes = error.fault == "outage"
            except Exception:  # any error at all: it may be an encoder of the user
                _log.exception("the model is not loaded yet")
                self._passes = False
            else:
                self.state = "ready"
                self._decided.set()
                return
            self.state = "failed"
            self._decided.set()
            await asyncio.sleep(_OUTAGE_PAUSE if self._passes else _SETUP_PAUSE)

    async def wait(self, seconds: float) -> None:
        """Wait until the model is loaded, or loading it has failed once."""
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._decided.wait(), seconds)

    @property
    def problem(self) -> Problem | None:
        """Why nothing can be embedded now; ``None`` where the model is loaded."""
        if self.state == "ready":
            return None
        if self.state == "loading":
            detail = "the model is being loaded; searches by words (mode=keyword) work already"
            return Problem.of_status(503, detail, retry_after=RETRY_SECONDS)
        detail = "the model is not loaded, as the log of the server says; it is tried again"
        return Problem.of_status(503, detail, retry_after=RETRY_SECONDS if self._passes else None)

    def require_ready(self) -> None:
        """Refuse what needs the model.

        Raises:
            Problem: it is not loaded.
        """
        if self.problem:
            raise self.problem
