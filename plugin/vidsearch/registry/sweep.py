"""Finds the videos that nobody takes care of any more, and sees to them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from vidsearch.errors import BackendError, BackendUnavailableError, VideoNotRegisteredError
from vidsearch.registry.registry import Registry
from vidsearch_mappings.registry import State

__all__ = ["SweepReport", "sweep"]

_log = logging.getLogger(__name__)
_OUTCOMES = {State.DELETED: "cleaned", State.DEAD: "dead", State.REGISTERED: "waiting"}


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did, by video id."""

    requeued: tuple[str, ...] = ()
    """A message is in the queue again."""
    dead: tuple[str, ...] = ()
    """Out of attempts."""
    cleaned: tuple[str, ...] = ()
    """Deleted, and what was left of the document is removed now."""
    waiting: tuple[str, ...] = ()
    """The broker did not take the message, or the engine did not remove the document; the next
    sweep tries again."""
    slices: int = 0
    """Slices of long videos that are in the queue again."""
    problem: str | None = None
    """Why not; the first reason of several."""

    def to_json(self) -> dict[str, Any]:
        """For people and their scripts."""
        return asdict(self)


def sweep(
    registry: Registry,
    *,
    enqueue: Callable[[str], object],
    clean: Callable[[str], object],
    depth: Callable[[], int],
) -> SweepReport:
    """Requeue what was lost. Safe to run often and in several places at once.

    A video whose message waits in a long queue looks like one whose message was lost. As long as
    at least as many messages wait as videos are queued, none of them counts as lost.

    Args:
        registry: of the videos.
        enqueue: puts a message for one video id into the queue and marks it queued;
            ``BackendUnavailableError`` where the broker does not answer.
        clean: removes the document of one deleted video; see ``remove_document``.
        depth: number of messages that wait in the queue; ``BackendUnavailableError`` as above.
    """
    try:
        queued_may_be_lost = depth() < registry.counts()[State.QUEUED]
    except BackendUnavailableError as error:
        _log.warning("sweep: %s", error)
        queued_may_be_lost = False
    found: dict[str, list[str]] = {"requeued": [], "dead": [], "cleaned": [], "waiting": []}
    away: str | None = None
    blocked: str | None = None
    for candidate in registry.sweepable():
        if candidate.state is State.QUEUED and not queued_may_be_lost:
            continue
        if candidate.state is State.DELETED:
            # First the document, then the mark: a sweep that dies in between is repeated.
            try:
                clean(candidate.id)
            except BackendError as error:  # it must not keep the others waiting
                _log.warning("sweep: document of %r is not removed: %s", candidate.id, error)
                blocked = blocked or str(error)
                found["waiting"].append(candidate.id)
                continue
        with suppress(VideoNotRegisteredError):  # purged meanwhile
            if record := registry.recover(candidate.id):
                outcome = _OUTCOMES[record.state]
                if record.state is State.DEAD:
                    _log.warning("video %r is dead: %s", record.id, record.error)
                elif record.state is State.REGISTERED and away is None:
                    try:
                        enqueue(record.id)
                        outcome = "requeued"
                    except BackendUnavailableError as error:
                        away = str(error)
                found[outcome].append(record.id)
    problem = away or blocked
    ids = {name: tuple(each) for name, each in found.items()}
    return SweepReport(
        ids["requeued"], ids["dead"], ids["cleaned"], ids["waiting"], problem=problem
    )
