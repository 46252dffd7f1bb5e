"""An engine that keeps which hits it answered, and from which index each came."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from vidsearch.config import EngineSettings
from vidsearch.engines import connect
from vidsearch.engines.rest import RestEngine
from vidsearch.engines.steps import Answer, Request

__all__ = ["Answers"]


class Answers:
    """What an engine answers to one thread, as it comes over the wire."""

    def __init__(self, settings: EngineSettings) -> None:
        engine = connect(settings)
        assert isinstance(engine, RestEngine)
        self.engine = engine
        self._found: list[set[tuple[str, str]]] = []
        send = engine._send

        def watched(request: Request) -> Answer:
            answer = send(request)
            if found := {*_hits_in(answer.body)}:
                self._found.append(found)
            return answer

        engine._send = watched  # type: ignore[method-assign]

    def taken(self) -> list[set[tuple[str, str]]]:
        """Index and id of the hits of each answer with hits, since the last call."""
        taken, self._found = self._found, []
        return taken


def _hits_in(body: Any) -> Iterator[tuple[str, str]]:
    """Of a search, or of several."""
    if isinstance(body, dict):
        for each in body.get("responses", [body]):
            hits = each.get("hits")
            if isinstance(hits, dict):
                yield from ((hit["_index"], hit["_id"]) for hit in hits.get("hits", ()))
