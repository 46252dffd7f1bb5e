"""Lines of a bulk request, and what its response says of every item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from vidsearch.engines.base import Json, Write
from vidsearch.engines.errors import error_of, reason_of, unavailable
from vidsearch.errors import BackendError, BackendUnavailable, BulkError, IndexMissing

__all__ = ["bulk_error", "bulk_lines"]


def bulk_lines(writes: Sequence[Write]) -> Iterator[Json]:
    """The JSON lines of ``POST /<index>/_bulk``."""
    for write in writes:
        action: Json = {"_id": write.id}
        if write.op == "update":
            action["retry_on_conflict"] = 3  # it merges, so it does not matter who came first
        yield {write.op: action}
        if write.op == "update":
            yield {"doc": write.source or {}}
        elif write.op != "delete":
            yield write.source or {}


def bulk_error(response: Json, *, url: str, index: str) -> BackendError | None:
    """The one error for all the items that failed, ``None`` where none did."""
    failed: list[tuple[str, int, Any]] = []
    for item in response["items"]:
        ((op, result),) = item.items()
        absent = op == "delete" and result["status"] == 404 and "error" not in result
        if result["status"] >= 300 and not absent:
            failed.append((str(result["_id"]), int(result["status"]), result))
    if not failed:
        return None
    id, status, first = failed[0]
    missing = error_of(status, first, url=url, index=index)
    if isinstance(missing, IndexMissing):
        return missing
    counted = f"{len(failed)} of {len(response['items'])} writes to index {index!r} at {url}"
    if overloaded := next((f for f in failed if unavailable(f[1])), None):
        return BackendUnavailable(
            f"{counted} were not taken ({overloaded[1]}): {reason_of(overloaded[2])}"
        )
    failures: dict[str, str] = {}
    for failed_id, _, result in failed:
        reason = reason_of(result)
        known = failures.get(failed_id)
        failures[failed_id] = f"{known}; {reason}" if known else reason
    return BulkError(
        f"{counted} were rejected, first {id!r}: {reason_of(first)}", failures=failures
    )
