"""``vidsearch scan``: find what an attached index lacks."""

from __future__ import annotations

from collections import Counter

import click

from vidsearch.cli import output
from vidsearch.cli.services import open_services

__all__ = ["scan"]


@click.command()
@click.option("--quick", is_flag=True, help="Only documents without vectors of this model.")
@click.option("--all", "everything", is_flag=True, help="Check the done ones against their files.")
@click.option("--retry", is_flag=True, help="Failed and dead videos, too.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Enqueue at most N.")
@click.option("--dry-run", is_flag=True, help="Only show what would be done.")
@output.json_option
def scan(
    quick: bool, everything: bool, retry: bool, limit: int | None, dry_run: bool, as_json: bool
) -> None:
    """Enqueue documents of an attached index that have a video's URI but not its vectors.

    Also those with another model's vectors or another URI than was embedded; registered videos
    whose document is gone are marked deleted. What is on its way, failed, dead or was deleted by
    `vidsearch videos delete` is left alone. Safe to repeat.
    """
    if quick and everything:
        raise click.UsageError("--quick goes not with --all")
    from vidsearch_tasks import run_scan

    would = "would be " if dry_run else ""
    with open_services() as services, output.progress("Scanning", total=None) as bar:
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
            bar.at(len(found), f"({counts['enqueue']} {would}enqueued)")
    if as_json:
        output.print_json([finding.to_json() for finding in found])
    else:
        rows = [(f.id, f.reason, f.action, f.why) for f in found]
        output.print_table(("id", "reason", "action", "why"), rows, whole=("id",))
    output.talk(
        f"{counts['enqueue']} {would}enqueued, {counts['skip']} skipped, "
        f"{counts['delete']} {would}marked deleted, as their document is gone"
    )
