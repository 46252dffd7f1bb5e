"""Requests of a bulk write, and what their answers say of every item. Nothing in here waits."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidsearch.engines._vectors import ByteOrder, decode_vector, to_json
from vidsearch.engines.base import Json, Write
from vidsearch.engines.errors import error_of, reason_of, unavailable
from vidsearch.errors import BackendError, BackendUnavailableError, BulkError, IndexNotFoundError

__all__ = ["Backoff", "Item", "Tally", "action_of", "chunks", "encoded", "same", "take"]

_MERGES = 3
"""How often an engine repeats an update that another write came in between: it merges, so it does
not matter who came first."""

_MAX_BYTES = 10_000_000
_MAX_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Backoff:
    """When what was not taken is sent again."""

    attempts: int = 4
    """Of one write, the first included."""
    wait: float = 0.5
    """Seconds before the second; they double."""
    longest: float = 8.0

    def pause(self, attempt: int) -> float:
        """Seconds before that attempt, the second being 1: half of them fixed, half of them chance,
        so that writers that were turned away together do not come back together."""
        whole = min(self.wait * 2.0 ** (attempt - 1), self.longest)
        return whole / 2 + random.uniform(0, whole / 2)


@dataclass(frozen=True, slots=True)
class Item:
    """One write and its lines."""

    write: Write
    lines: bytes


@dataclass
class Tally:
    """What became of the writes so far."""

    total: int
    written: int = 0
    retried: int = 0
    requests: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    failed: int = 0

    def fail(self, id: str, reason: str) -> None:
        """Note why a write was rejected."""
        self.failed += 1
        known = self.failures.get(id)
        self.failures[id] = f"{known}; {reason}" if known else reason

    def error(self, *, url: str, index: str) -> BulkError | None:
        """The one error for all that were rejected, ``None`` where none was."""
        if not self.failures:
            return None
        id, reason = next(iter(self.failures.items()))
        return BulkError(
            f"{self.failed} of {self.total} writes to index {index!r} at {url} were rejected, "
            f"first {id!r}: {reason}",
            failures=self.failures,
        )

    def unavailable(self, reason: str, *, url: str, index: str) -> BackendUnavailableError:
        """The error for an engine that did not take the rest, however often it was asked."""
        left = self.total - self.written - self.failed
        rejected = f", {self.failed} rejected" if self.failed else ""
        return BackendUnavailableError(
            f"{left} of {self.total} writes to index {index!r} at {url} were not taken "
            f"({self.written} written{rejected}): {reason}"
        )


def action_of(write: Write) -> Json:
    """The first line of a write."""
    action: Json = {"_id": write.id}
    if write.op == "update":
        action["retry_on_conflict"] = _MERGES
    if write.routing is not None:
        action["routing"] = write.routing
    return {write.op: action}


def encoded(writes: Iterable[Write], tally: Tally, *, order: ByteOrder | None) -> Iterator[Item]:
    """Every write with its lines; what has no JSON is rejected here, and the rest goes on."""
    for write in writes:
        try:
            lines = to_json(action_of(write)) + b"\n"
            if write.op == "update":
                lines += to_json({"doc": write.source or {}}, order) + b"\n"
            elif write.op != "delete":
                lines += to_json(write.source or {}, order) + b"\n"
        except TypeError as error:
            tally.fail(write.id, f"it cannot be written as JSON: {error}")
            continue
        yield Item(write, lines)


def chunks(
    items: Iterable[Item], *, max_bytes: int = _MAX_BYTES, max_items: int = _MAX_ITEMS
) -> Iterator[list[Item]]:
    """Requests of at most so many bytes and items; one that is longer goes alone.

    No two writes of one document share a request: else the second could be taken and the first,
    turned away for load and sent again, undo it.
    """
    chunk: list[Item] = []
    ids: set[str] = set()
    size = 0
    for item in items:
        full = size + len(item.lines) > max_bytes or len(chunk) == max_items
        if chunk and (full or item.write.id in ids):
            yield chunk
            chunk, ids, size = [], set(), 0
        chunk.append(item)
        ids.add(item.write.id)
        size += len(item.lines)
    if chunk:
        yield chunk


def take(
    sent: Sequence[Item], response: Json, tally: Tally, *, doubtful: bool, url: str, index: str
) -> tuple[list[Item], list[Item], str]:
    """Note what became of every item.

    Args:
        sent: the items, in the order of the request.
        response: the engine's answer.
        tally: where it is noted.
        doubtful: whether the answer to an earlier attempt was lost.
        url: of the cluster; for messages.
        index: that was written to; for messages.

    Returns:
        Items to send again, ``create`` items that exist and may be our own, and why not.

    Raises:
        IndexNotFoundError: it vanished meanwhile.
        BackendError: the answer is not about these items.
    """
    if len(response.get("items", ())) != len(sent):
        raise BackendError(f"{url} did not say what became of {len(sent)} writes to {index!r}")
    again: list[Item] = []
    existing: list[Item] = []
    why = ""
    for item, answered in zip(sent, response["items"], strict=True):
        ((op, result),) = answered.items()
        status = int(result["status"])
        absent = op == "delete" and status == 404 and "error" not in result
        if status < 300 or absent:
            tally.written += 1
        elif unavailable(status):
            again.append(item)
            why = f"{reason_of(result)} ({status})"
        elif doubtful and op == "create" and status == 409:
            existing.append(item)
        else:
            missing = error_of(status, result, url=url, index=index)
            if isinstance(missing, IndexNotFoundError):
                raise missing
            tally.fail(item.write.id, reason_of(result))
    return again, existing, why


def same(ours: Any, stored: Any, *, order: ByteOrder | None) -> bool:
    """Whether a stored document is what we wrote, numbers compared as float32 as vectors are.

    Args:
        ours: as given to a write.
        stored: as read back.
        order: of vectors that were sent as base64, as which an engine may give them back.
    """
    if isinstance(ours, Mapping):
        return (
            isinstance(stored, Mapping)
            and ours.keys() == stored.keys()
            and all(same(value, stored[key], order=order) for key, value in ours.items())
        )
    if hasattr(ours, "__array_interface__"):
        return isinstance(stored, str | list) and (
            decode_vector(stored, order or "big").tobytes() == decode_vector(ours).tobytes()
        )
    if isinstance(ours, list | tuple):
        return (
            isinstance(stored, list)
            and len(ours) == len(stored)
            and all(same(one, other, order=order) for one, other in zip(ours, stored, strict=True))
        )
    if isinstance(ours, float) and isinstance(stored, int | float):
        return decode_vector([ours]).tobytes() == decode_vector([stored]).tobytes()
    return bool(ours == stored)
