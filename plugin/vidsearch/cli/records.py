"""Registry entries for people and their scripts."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from vidsearch.cli import output

if TYPE_CHECKING:
    from vidsearch.registry import VideoRecord

__all__ = ["report", "shown"]


def shown(record: VideoRecord) -> dict[str, Any]:
    """A record as JSON, without the credentials that a URI may hold."""
    from vidsearch.media import public_uri

    return {**record.to_json(), "uri": public_uri(record.uri)}


def report(records: Sequence[VideoRecord], *, as_json: bool) -> None:
    """Say how it went: every video in a pipe or as JSON, on a terminal those that are not well.

    Ends the command with exit code 1 where any failed or is dead.
    """
    from vidsearch.registry import State

    bad = [record for record in records if record.state in {State.FAILED, State.DEAD}]
    if as_json:
        output.print_json([shown(record) for record in records])
    else:
        rows = bad if sys.stdout.isatty() else records
        if rows:
            output.print_table(
                ("id", "state", "reason"),
                [(r.id, r.state, r.error or "") for r in rows],
                whole=("id", "state"),
            )
    counts = Counter(str(record.state) for record in records)
    output.talk(", ".join(f"{n} {state}" for state, n in counts.most_common()) or "nothing to do")
    if bad:
        click.get_current_context().exit(1)
