"""``vidsearch scan``: enqueue documents of an attached index that lack vectors."""

from __future__ import annotations

from collections import Counter

import click

from vidsearch.cli import output
from vidsearch.cli.options import dry_run_option, json_option

__all__ = ["scan"]


@click.command()
@click.option("--quick", is_flag=True, help="Only find documents without vectors of this model.")
@click.option(
    "--all", "everything", is_flag=True, help="Compare indexed videos with their files, too."
)
@click.option("--retry", is_flag=True, help="Include failed and dead videos.")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Maximum number of videos to enqueue."
)
@dry_run_option
@json_option
def scan(
    quick: bool, everything: bool, retry: bool, limit: int | None, dry_run: bool, as_json: bool
) -> None:
    """Enqueue documents of an attached index that have a video's URI but no vectors of it.

    Where its alias was moved to another index, or it was created anew, the object `video` is added
    to the mapping first.

    Also enqueued: documents with vectors of another model, or of another URI. Registered videos
    whose document is gone, or has no URI any more, are marked deleted, and such a document loses
    its vectors; not with --quick. Videos that are queued, processing, failed, dead or deleted by
    `vidsearch videos delete` are skipped. Safe to repeat.
    """
    if quick and everything:
        raise click.UsageError("--quick and --all exclude each other: choose one")
    from vidsearch_tasks import Services, run_scan

    would = "would be " if dry_run else ""
    with Services() as services, output.progress("Scanning") as bar:
        if missing := services.open_index(replacement=True).missing_object:
            output.talk(f"Note: {missing}")
        bar(0)
        found = []
        counts: Counter[str] = Counter()
        for finding in run_scan(
            services=services,
            quick=quick,
            everything=everything,
            retry=retry,
            limit=limit,
            dry_run=dry_run,
        ):
            found.append(finding)
            counts[finding.action] += 1
            bar(len(found), note=f"({counts['enqueue']} {would}enqueued)")
    output.print_rows(
        [finding.to_json() for finding in found],
        ("id", "reason", "action", "why"),
        [(f.id, f.reason, f.action, f.why) for f in found],
        as_json=as_json,
        whole=("id",),
    )
    output.talk(
        f"{counts['enqueue']} {would}enqueued, {counts['skip']} skipped, "
        f"{counts['delete']} {would}marked deleted, as their document or its URI is gone"
    )
