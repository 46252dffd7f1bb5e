"""Register videos as they come, and count what became of them."""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vidsearch.batches import BATCH, in_batches
from vidsearch.cli import output
from vidsearch.errors import RegistryError, VidsearchError
from vidsearch.signed_urls import same_file
from vidsearch_mappings.registry import UNWANTED, Priority

if TYPE_CHECKING:
    from vidsearch.registration import Row
    from vidsearch.registry import NewVideo, Registration
    from vidsearch_tasks import Services

__all__ = ["Registering"]

_SHOWN_ON_TERMINAL, _SHOWN_IN_PIPE = 10, 1000


class Registering:
    """Registers videos and keeps counts, the first problems, and nothing else of them.

    Args:
        services: what to work with.
        fields: of every video, unless it has its own; with none at all, what is registered
            already keeps its fields.
        priority: of every video.
        keep: gets what became of each video that is registered.
    """

    def __init__(
        self,
        services: Services,
        *,
        fields: Mapping[str, Any],
        priority: Priority = "bulk",
        keep: Callable[[Registration], None] = lambda _: None,
    ) -> None:
        self._services = services
        self._fields = fields
        self._priority = priority
        self._keep = keep
        self._places: deque[str] = deque()
        self._states: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        """Of rows by ``registered``, ``unchanged``, ``repeated`` and ``bad``."""
        self._absent = 0
        self.unqueued = 0
        """Videos that are registered, but no message was sent or noted for them."""
        self._bad: list[VidsearchError] = []
        self._not_queued: VidsearchError | None = None

    @property
    def has_problems(self) -> bool:
        """Whether anything was not registered, or not queued."""
        return bool(self._bad or self._not_queued)

    def run(self, rows: Iterable[Row], *, total: int | None = None) -> None:
        """Register the videos of some rows, batch by batch."""
        from vidsearch_tasks import stream_registrations

        try:
            with output.progress("Registering", total=total) as bar:
                for one in stream_registrations(
                    self._videos(rows), priority=self._priority, services=self._services
                ):
                    self._note(self._places.popleft(), one)
                    bar(self.counts.total(), note=self._told_states)
                bar(self.counts.total(), note=self._told_states)
        except KeyboardInterrupt:
            self._tell_bad()
            done = self._states.total()
            of = f" of {total}" if total is not None else ""
            output.talk(
                f"\nStopped: {done}{of} videos are registered, perhaps some of the next {BATCH}, "
                "too. The workers go on with them; the same command registers the rest."
            )
            raise

    def tell(self, *, raises: bool = True) -> None:
        """Say what became of all rows. ``raises`` the problem of one that was alone."""
        problem = self._not_queued or next(iter(self._bad), None)
        if raises and problem and self.counts.total() == 1:
            raise problem
        self._tell_bad()
        if self._not_queued:
            reason = self._not_queued.__cause__ or self._not_queued
            output.talk(
                f"error: {self.unqueued} videos are registered but not queued; the sweep queues "
                f"them later, or the same command again: {reason}"
            )
        if self._absent:
            output.talk(
                f"note: the files of {self._absent} registered videos are not there: only their "
                "fields can change"
            )
        order = ("registered", "unchanged", "repeated", "bad")
        told = ", ".join(f"{self.counts[name]} {name}" for name in order if self.counts[name])
        states = f" ({self._told_states})" if self._states else ""
        output.talk(f"{told}{states}" if told else "nothing to do")

    @property
    def _told_states(self) -> str:
        return ", ".join(f"{n} {state}" for state, n in self._states.most_common())

    def _videos(self, rows: Iterable[Row]) -> Iterator[NewVideo]:
        for batch in in_batches(rows):
            known = self._registered_so(batch)
            for row in batch:
                video = known.get(row.place) if row.error else row.video
                if video is not None:
                    self._absent += row.place in known
                    self._places.append(row.place)
                    yield self._with_fields(video)
                elif row.error:
                    self._note_bad(RegistryError(f"{row.place}: {row.error}"))
                else:
                    self.counts["repeated"] += 1

    def _registered_so(self, rows: Iterable[Row]) -> dict[str, NewVideo]:
        """By place the rows whose file is not there, but was when it was registered: they may have
        other fields now."""
        absent = {row.place: row.absent for row in rows if row.absent}
        if not absent:
            return {}
        records = self._services.registry.find_many([video.id for video in absent.values()])
        return {
            place: replace(video, uri=record.uri)
            for place, video in absent.items()
            if (record := records.get(video.id)) is not None
            and record.state not in UNWANTED
            and same_file(record.uri, video.uri)
        }

    def _with_fields(self, video: NewVideo) -> NewVideo:
        if not self._fields:
            return video
        fields = {**self._fields, **(video.fields or {})}
        # Without fields of its own it keeps those that it has, but for those of every video.
        defaults = video.defaults or {} if video.fields is None else video.defaults
        return replace(video, fields=fields, defaults=defaults)

    def _note(self, place: str, one: Registration) -> None:
        if one.record is None:
            error = one.error or RegistryError(f"video {one.id!r} was not registered")
            self._note_bad(type(error)(f"{place}: {error}") if place else error)
            return
        self.counts["registered" if one.changed else "unchanged"] += 1
        self._states[str(one.record.state)] += 1
        if one.error:
            self.unqueued += 1
            self._not_queued = self._not_queued or one.error
        self._keep(one)

    def _note_bad(self, error: VidsearchError) -> None:
        self.counts["bad"] += 1
        if len(self._bad) < (_SHOWN_ON_TERMINAL if sys.stderr.isatty() else _SHOWN_IN_PIPE):
            self._bad.append(error)

    def _tell_bad(self) -> None:
        for error in self._bad:
            output.talk(f"error: {error}")
        if (more := self.counts["bad"] - len(self._bad)) > 0:
            in_file = f" (2>FILE keeps {_SHOWN_IN_PIPE})" if sys.stderr.isatty() else ""
            output.talk(f"… and {more} more errors{in_file}")
