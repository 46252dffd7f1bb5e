"""``vidsearch sweep``: requeue lost videos now."""

from __future__ import annotations

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option
from vidsearch.errors import BackendUnavailableError

__all__ = ["sweep"]


@click.command()
@json_option
def sweep(as_json: bool) -> None:
    """Requeue videos whose worker or message was lost, and send what is due.

    Videos without attempts left become `dead`. Workers do the same by themselves, every
    `ingest.sweep_seconds`. Exit code 1 if the broker took no messages.
    """
    from vidsearch_tasks import Services, run_sweep

    with Services() as services:
        report = run_sweep(services=services)
    outcomes = ("requeued", "sent", "dead", "cleaned", "waiting")
    rows = [(id, outcome) for outcome in outcomes for id in getattr(report, outcome)]
    output.print_rows(report.to_json(), ("id", "outcome"), rows, as_json=as_json, whole=("id",))
    output.talk(", ".join(f"{len(getattr(report, name))} {name}" for name in outcomes))
    if report.problem:
        raise BackendUnavailableError(report.problem)
