"""``vidsearch status``: counts per state, the queue and its workers."""

from __future__ import annotations

from typing import Any

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option
from vidsearch.cli.workers import shared_names, worker_problem
from vidsearch.errors import BackendError, BackendUnavailableError, MappingConflictError

__all__ = ["status"]


@click.command()
@json_option
def status(as_json: bool) -> None:
    """Show the number of videos per state, of searchable videos, of messages and of workers.

    Of an attached index also the number of documents that have a video's URI and no vector of it.
    Exit code 1 if the broker does not answer, or videos have lost their vectors.
    """
    from vidsearch.index import require_vectors
    from vidsearch.ingest import count_waiting
    from vidsearch_tasks import Services, broker_state

    with Services() as services:
        states = {str(state): n for state, n in services.registry.counts().items()}
        index = services.open_index(replacement=True)
        services.engine.refresh(index.name)
        found: dict[str, Any] = {
            "states": states,
            "slices": services.board.counts(),
            "index": index.name,
            "searchable": index.count(),
            "waiting": count_waiting(index) if index.attached else None,
            "queue": services.settings.broker.queue,
            "queued_messages": None,
            "workers": None,
        }
        advice: list[str | None] = [index.missing_object]
        problem: BackendError | None = None
        try:
            broker = broker_state(services.settings)
            serving = [w.name for w in broker.of_queue if w.index == services.settings.index.name]
            found |= {"queued_messages": broker.queued, "workers": serving}
            advice += [worker_problem(broker, services.settings), shared_names(broker)]
            engine = services.engine
            engine.run(require_vectors(engine.calls, index.name, index.field, all_of_them=True))
        except (BackendUnavailableError, MappingConflictError) as error:
            problem = error
    workers = found["workers"]
    rows = [
        *states.items(),
        *((f"slices {state}", number) for state, number in found["slices"].items()),
        (f"searchable in {found['index']}", found["searchable"]),
        *([] if found["waiting"] is None else [("waiting for vectors", found["waiting"])]),
        (f"messages in queue {found['queue']!r}", found["queued_messages"]),
        ("workers of this index", None if workers is None else len(workers)),
    ]
    output.print_rows(found, ("what", "number"), rows, as_json=as_json, right=("number",))
    for each in filter(None, advice):
        output.talk(f"Warning: {each}")
    if problem:
        raise problem
