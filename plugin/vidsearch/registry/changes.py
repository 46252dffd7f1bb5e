"""Applies transitions to the records of one registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from vidsearch.registry.lookups import Lookups
from vidsearch.registry.registration import Registration, registered
from vidsearch.registry.store import Change, Lease, Stored
from vidsearch_mappings.registry import VideoRecord

__all__ = ["Changes", "Transition", "of_registered"]

Transition = Callable[[VideoRecord, float], VideoRecord]
"""From a record and the time to the record after; see :mod:`vidsearch.registry.transitions`."""


class Changes(Lookups):
    """Changes records, each by compare-and-set."""

    def _change(self, id: str, transition: Transition) -> Stored:
        return self._store.change(id, of_registered(id, transition))

    def _change_many(
        self,
        ids: Iterable[str],
        transition: Transition,
        *,
        stored: Mapping[str, Stored] | None = None,
    ) -> tuple[Registration, ...]:
        changes = {id: of_registered(id, transition) for id in ids}
        ends = self._store.change_many(changes, stored=stored)
        return tuple(Registration.of(id, ends[id]) for id in changes)

    def _change_stored(
        self, registrations: Iterable[Registration], transition: Transition
    ) -> tuple[Registration, ...]:
        """As :meth:`_change_many`, without reading again what was read before."""
        stored = {one.id: one.stored for one in registrations if one.stored}
        return self._change_many(stored, transition, stored=stored)

    def _change_held(
        self, lease: Lease, transition: Callable[..., VideoRecord], **arguments: Any
    ) -> Lease:
        after = transition(lease.record, self.now(), **arguments)
        return self._store.change_held(lease, after)


def of_registered(id: str, transition: Transition) -> Change:
    """A change of what must be registered."""
    return lambda record, now: transition(registered(record, id), now)
