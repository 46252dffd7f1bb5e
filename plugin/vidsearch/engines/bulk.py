"""Bulk writes: their requests, what the answers say of every item, and what is sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vidsearch import backoff
from vidsearch.engines.dialect import FIRST_PAUSE, LONGEST_PAUSE
from vidsearch.engines.errors import busy, error_of, no_json, unavailable
from vidsearch.engines.steps import Answer, Steps
from vidsearch.engines.types import BulkResult, Document, Json, Revision, Write
from vidsearch.engines.vectors import ByteOrder, decode_vector, to_json
from vidsearch.errors import (
    BackendError,
    BackendUnavailableError,
    BulkError,
    DocumentNotFoundError,
    IndexNotFoundError,
    RequestTooLargeError,
    VersionConflictError,
)

__all__ = ["ATTEMPTS", "Item", "Progress", "as_stored", "bulk", "chunks", "encoded", "lines_of"]

ATTEMPTS = 4
"""Of one write, the first included, but where somebody waits: :meth:`Dialect.sending_once`."""

_RETRIES_ON_CONFLICT = 3
"""How often an engine repeats an update that conflicts with another write. An update merges fields,
so the order of the two does not matter."""

_MAX_BYTES = 10_000_000
_MAX_ITEMS = 1000


@dataclass(frozen=True, slots=True)
class Item:
    """One write and its lines."""

    write: Write
    lines: bytes


@dataclass
class Progress:
    """What has become of the writes so far."""

    index: str
    url: str
    total: int
    tries: int = ATTEMPTS
    written: int = 0
    retried: int = 0
    requests: int = 0
    revisions: dict[str, Revision] = field(default_factory=dict)
    conflicts: list[str] = field(default_factory=list)
    failures: dict[str, BackendError] = field(default_factory=dict)
    failed: int = 0
    created: int = 0
    deleted: int = 0

    def done(self, write: Write, revision: Revision | None, *, what: str = "") -> None:
        """Note a write that was done; ``None`` after a delete. ``what`` the engine calls it."""
        self.written += 1
        self.created += what == "created"
        self.deleted += what == "deleted"
        if revision is None:
            self.revisions.pop(write.id, None)
        else:
            self.revisions[write.id] = revision

    def conflict(self, write: Write, error: BackendError) -> None:
        """Note a write that met another document than expected."""
        if write.expect is None and write.version is None:
            self.fail(write.id, error)
        else:
            self.conflicts.append(write.id)

    def fail(self, id: str, error: BackendError) -> None:
        """Note why a write was rejected; the first reason of each document is kept."""
        self.failed += 1
        self.failures.setdefault(id, error)

    def result(self) -> BulkResult:
        """What the bulk came to. Raises BulkError where writes were rejected."""
        conflicts = tuple(self.conflicts)
        if self.failures:
            raise BulkError(
                f"{self.failed} of {self.total} writes were rejected, first: "
                f"{next(iter(self.failures.values()))}",
                failures=self.failures,
                conflicts=conflicts,
                revisions=self.revisions,
            )
        return BulkResult(
            self.written,
            self.retried,
            self.requests,
            self.revisions,
            conflicts,
            self.created,
            self.deleted,
        )

    def unavailable(self, reason: str) -> BackendUnavailableError:
        """The error for an engine that turned the rest away at every attempt."""
        answered = self.written + self.failed + len(self.conflicts)
        rejected = f", {self.failed} rejected" if self.failed else ""
        return BackendUnavailableError(
            f"{self.total - answered} of {self.total} writes to index {self.index!r} at {self.url} "
            f"were not accepted ({self.written} written{rejected}): {reason}"
        )


def lines_of(write: Write, order: ByteOrder | None) -> bytes:
    """A write as lines of a bulk request. Raises TypeError where a value has no JSON."""
    about: Json = {"_id": write.id}
    if isinstance(write.expect, Revision):
        about["if_seq_no"] = write.expect.seq_no
        about["if_primary_term"] = write.expect.primary_term
    elif write.op == "update":
        about["retry_on_conflict"] = _RETRIES_ON_CONFLICT
    if write.routing is not None:
        about["routing"] = write.routing
    if write.version is not None:
        about |= {"version": write.version, "version_type": "external_gte"}
    if not write.pipeline:
        about["pipeline"] = "_none"
    action = to_json({"create" if write.expect == "absent" else write.op: about})
    if write.op == "delete":
        return action + b"\n"
    source = write.source or {}
    body = to_json({"doc": source} if write.op == "update" else source, order)
    return b"%b\n%b\n" % (action, body)


def encoded(
    writes: Iterable[Write], progress: Progress, *, order: ByteOrder | None
) -> Iterator[Item]:
    """Every write with its lines; what has no JSON is rejected here, and the rest goes on."""
    for write in writes:
        try:
            lines = lines_of(write, order)
        except TypeError as error:
            progress.fail(write.id, no_json(error, f"document {write.id!r}"))
        else:
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


def bulk(
    writes: Sequence[Write],
    progress: Progress,
    *,
    order: ByteOrder | None,
    send: Callable[[bytes, float], Steps[Answer]],
    read: Callable[..., Steps[dict[str, Document]]],
) -> Steps[BulkResult]:
    """See :meth:`vidsearch.engines.base.Engine.bulk`.

    Args:
        writes: in their order.
        progress: of these writes.
        order: of base64 vectors, ``None`` for arrays of numbers.
        send: sends the lines of one request, after a pause in seconds.
        read: is :meth:`vidsearch.engines.base.Engine.mget` as steps.
    """
    waiting = deque(chunks(encoded(writes, progress, order=order)))
    while waiting:
        chunk = waiting.popleft()
        try:
            yield from _write(chunk, progress, order=order, send=send, read=read)
        except RequestTooLargeError as error:
            # The engine, or a proxy before it, takes less than these bounds.
            if half := len(chunk) // 2:
                waiting.extendleft([chunk[half:], chunk[:half]])
            else:
                progress.fail(chunk[0].write.id, error)
    return progress.result()


def _write(
    chunk: list[Item],
    progress: Progress,
    *,
    order: ByteOrder | None,
    send: Callable[[bytes, float], Steps[Answer]],
    read: Callable[..., Steps[dict[str, Document]]],
) -> Steps[None]:
    """Send a chunk, then what of it was turned away, until all is accepted or attempts run out."""
    answer_lost = False
    for attempt in range(progress.tries):
        pause = 0.0
        if attempt:
            pause = backoff.delay(attempt, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
            progress.retried += len(chunk)
        progress.requests += 1
        cause: BackendUnavailableError | None = None
        try:
            answer = yield from send(b"".join(item.lines for item in chunk), pause)
        except BackendUnavailableError as error:
            # It may have been written all the same: by what no answer came from, or by the node
            # behind a proxy that gave up.
            cause, why, answer_lost = error, str(error), True
            continue
        chunk, conflicting, why = _note_answers(chunk, answer.body, progress)
        stored: dict[str, Document] = {}
        if conflicting and answer_lost:
            routing = {w.id: w.routing for w, _ in conflicting if w.routing is not None}
            ids = [write.id for write, _ in conflicting]
            stored = yield from read(progress.index, ids, routing=routing)
        for write, conflict in conflicting:
            found = stored.get(write.id)
            if answer_lost and _is_done(write, found, order=order):
                progress.done(write, found.revision if found else None)
            else:
                progress.conflict(write, conflict)
        if not chunk:
            return
    raise progress.unavailable(why) from cause


def _note_answers(
    sent: Sequence[Item], response: Json, progress: Progress
) -> tuple[list[Item], list[tuple[Write, BackendError]], str]:
    """Note what became of every item.

    Returns:
        Items to send again, writes that met another document than expected each with its error,
        and why the last one of the first was turned away.

    Raises:
        IndexNotFoundError: it vanished meanwhile.
        BackendUnavailableError: it is closed.
        BackendError: the answer is not about these items.
    """
    url, index = progress.url, progress.index
    if len(response.get("items", ())) != len(sent):
        raise BackendError(
            f"the answer of {url} to a bulk request does not say what became of {len(sent)} writes "
            f"to {index!r}"
        )
    turned_away: list[Item] = []
    conflicting: list[tuple[Write, BackendError]] = []
    why = ""
    for item, answered in zip(sent, response["items"], strict=True):
        write = item.write
        ((_, result),) = answered.items()
        status = int(result["status"])
        no_document = status == 404 and "error" not in result
        if write.op == "delete" and (status < 300 or no_document):
            progress.done(write, None, what=result.get("result", ""))
        elif status < 300:
            revision = Revision(result["_seq_no"], result["_primary_term"])
            progress.done(write, revision, what=result.get("result", ""))
        elif unavailable(status):
            turned_away.append(item)
            why = busy(status, result)
        else:
            error = error_of(status, result, url=url, index=index, id=write.id)
            if isinstance(error, (IndexNotFoundError, BackendUnavailableError)):  # gone, or closed
                raise error
            if _is_conflict(write, error):
                conflicting.append((write, error))
            else:
                progress.fail(write.id, error)
    return turned_away, conflicting, why


def _is_conflict(write: Write, error: BackendError) -> bool:
    """Whether the document is not the expected one; to expect a missing one is a conflict, too."""
    if write.expect is None and write.version is None:
        return write.op == "create" and isinstance(error, VersionConflictError)
    return isinstance(error, VersionConflictError | DocumentNotFoundError)


def _is_done(write: Write, found: Document | None, *, order: ByteOrder | None) -> bool:
    """Whether a repeated write met what its own first attempt, whose answer was lost, left."""
    if write.op == "delete":
        return found is None
    if found is None:
        return False
    return as_stored(write.source or {}, found.source, order=order, partial=write.op == "update")


def as_stored(given: Any, stored: Any, *, order: ByteOrder | None, partial: bool = False) -> bool:
    """Whether a stored document is what was written, numbers compared as float32 as vectors are.

    Args:
        given: as given to a write.
        stored: as read back.
        order: of vectors that were sent as base64, as which an engine may give them back.
        partial: whether the stored objects may have other fields beside.
    """
    if isinstance(given, Mapping):
        if not isinstance(stored, Mapping):
            return False
        fits = given.keys() <= stored.keys() if partial else given.keys() == stored.keys()
        return fits and all(
            as_stored(value, stored[key], order=order, partial=partial)
            for key, value in given.items()
        )
    if hasattr(given, "__array_interface__"):
        return isinstance(stored, str | list) and _same_numbers(given, stored, order or "big")
    if isinstance(given, list | tuple):  # replaced as a whole, by a partial document as well
        if not isinstance(stored, list) or len(given) != len(stored):
            return False
        return all(as_stored(*pair, order=order) for pair in zip(given, stored, strict=True))
    if isinstance(given, float) and isinstance(stored, int | float):
        return _same_numbers([given], [stored], order or "big")
    return bool(given == stored)


def _same_numbers(one: Any, other: Any, order: ByteOrder) -> bool:
    return decode_vector(one, order).tobytes() == decode_vector(other, order).tobytes()
