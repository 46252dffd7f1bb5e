"""Finds the videos that nobody takes care of any more, and sees to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vidsearch.batches import BATCH, in_batches
from vidsearch.errors import BackendError, VideoNotRegisteredError
from vidsearch.registry.registry import Registry
from vidsearch_mappings.registry import PRIORITIES, Priority, State, VideoRecord

__all__ = ["SweepReport", "sweep"]

_log = logging.getLogger(__name__)
_OUTCOMES = {State.DELETED: "cleaned", State.DEAD: "dead", State.REGISTERED: "waiting"}

Sent = tuple[Collection[str], BackendError | None]
"""The ids of those whose messages the broker took, and why it did not take all."""


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did, by video id."""

    requeued: tuple[str, ...] = ()
    """Their worker or message was lost; a message is in the queue again."""
    sent: tuple[str, ...] = ()
    """They waited for a retry, or for room in the queue; their message is in the queue now."""
    dead: tuple[str, ...] = ()
    """Out of attempts."""
    cleaned: tuple[str, ...] = ()
    """Deleted, and what was left of the document is removed now."""
    waiting: tuple[str, ...] = ()
    """Recovered, but the queue is full or the broker did not take the message; or the engine did
    not remove the document. The next sweep tries again."""
    slices: int = 0
    """Slices of long videos whose messages are in the queue again."""
    fills: int = 0
    """Documents that a reindex has workers make, whose messages are in the queue again."""
    problem: str | None = None
    """Why not; the first reason of several."""

    def to_json(self) -> dict[str, Any]:
        """For people and their scripts."""
        return asdict(self)

    def counts(self) -> dict[str, int]:
        """Number of videos by what was done with them, and of slices and documents to fill."""
        names = ("requeued", "sent", "dead", "cleaned", "waiting")
        return {
            **{name: len(getattr(self, name)) for name in names},
            "slices": self.slices,
            "fills": self.fills,
        }


def sweep(
    registry: Registry,
    *,
    send: Callable[[Sequence[VideoRecord]], Sent],
    lost: Callable[[Sequence[str]], Collection[str]] | None,
    clean: Callable[[str], object],
    room: Mapping[Priority, int],
    recovered: Sequence[str] = (),
) -> SweepReport:
    """Recover what was lost, and send the messages of what is due. Safe in several places at once.

    Everything is written by compare-and-set in batches. A video is marked queued before its message
    is sent, so of several sweeps one sends it. Where a sweep dies in between, the message counts as
    lost later.

    Args:
        registry: of the videos.
        send: puts the messages for some videos into the queue.
        lost: those of some queued videos whose message is in no queue and in no worker's hands;
            ``None`` where no message is lost.
        clean: removes the document of one deleted video; see ``remove_document``.
        room: by priority, the number of messages that its queue may still take; those that are
            sent here as ``interactive`` count for ``bulk`` as well.
        recovered: the ids of those that the caller has recovered itself.
    """
    found: dict[str, list[str]] = {"dead": [], "cleaned": [], "waiting": [*recovered]}
    problems: list[BackendError] = []
    for batch in in_batches(registry.sweepable(queued=lost is not None)):
        forgotten = _without_queued(batch, lost) if lost else [*batch]
        for record in [one for one in forgotten if one.state is State.DELETED]:
            # First the document, then the mark: a sweep that dies in between is repeated.
            try:
                clean(record.id)
            except BackendError as error:  # it must not keep the others waiting
                _log.warning("sweep: document of %r is not removed: %s", record.id, error)
                problems.append(error)
                found["waiting"].append(record.id)
                forgotten.remove(record)
        for one in registry.recover_many([record.id for record in forgotten]):
            if one.record and one.changed:
                found[_OUTCOMES[one.record.state]].append(one.id)
                if one.record.state is State.DEAD:
                    _log.warning("video %r is dead: %s", one.id, one.record.error)
            elif one.error and not isinstance(one.error, VideoNotRegisteredError):
                _log.warning("sweep: %s", one.error)
    sent, problem = _send_due(registry, send, room)
    lost_ones = set(found["waiting"])
    return SweepReport(
        requeued=tuple(id for id in sent if id in lost_ones),
        sent=tuple(id for id in sent if id not in lost_ones),
        dead=tuple(found["dead"]),
        cleaned=tuple(found["cleaned"]),
        waiting=tuple(id for id in found["waiting"] if id not in sent),
        problem=next((str(one) for one in (problem, *problems) if one), None),
    )


def _without_queued(
    batch: Sequence[VideoRecord], lost: Callable[[Sequence[str]], Collection[str]]
) -> list[VideoRecord]:
    """A batch without the queued videos whose message only waits in a long queue."""
    queued = [record.id for record in batch if record.state is State.QUEUED]
    gone = lost(queued) if queued else ()
    return [record for record in batch if record.state is not State.QUEUED or record.id in gone]


def _send_due(
    registry: Registry,
    send: Callable[[Sequence[VideoRecord]], Sent],
    room: Mapping[Priority, int],
) -> tuple[dict[str, None], BackendError | None]:
    """Send the messages of due videos as long as there is room; the ids of those that were sent."""
    done: dict[str, None] = {}
    for priority in PRIORITIES:
        while (left := room[priority] - len(done)) > 0:
            due = registry.due(limit=min(left, BATCH), priority=priority)
            taken = {
                one.id: one
                for one in registry.take_due([record.id for record in due])
                if one.record and one.changed
            }
            if not taken:
                break
            sent, problem = send([one.require() for one in taken.values()])
            done |= dict.fromkeys(sent)
            if unsent := [one for id, one in taken.items() if id not in done]:
                registry.put_back(unsent)
                return done, problem
    return done, None
