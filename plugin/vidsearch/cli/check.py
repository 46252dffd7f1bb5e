"""``vidsearch check``: checks each part in turn, and says what to do where one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option
from vidsearch.cli.workers import describe_worker, worker_problem
from vidsearch.errors import BackendAccessDeniedError, VidsearchError

if TYPE_CHECKING:
    from vidsearch_tasks import Services

__all__ = ["check"]


@click.command()
@json_option
def check(as_json: bool) -> None:
    """Check the engine, the model, the index, the media settings, the broker and the workers.

    Writes nothing. Exit code 1 if any part fails.
    """
    from vidsearch_tasks import Services

    with Services() as services:
        findings = list(_findings(services))
    rows = [(part, "ok" if ok else "FAILED", detail) for part, ok, detail in findings]
    data = [dict(zip(("part", "ok", "detail"), finding, strict=True)) for finding in findings]
    output.print_rows(data, ("part", "state", "detail"), rows, as_json=as_json)
    if not all(ok for _, ok, _ in findings):
        raise SystemExit(1)


def _check_engine(services: Services) -> str:
    try:
        return str(services.engine.info())
    except BackendAccessDeniedError:
        # Roles with rights on the indices alone may not read the version, and need not.
        services.engine.indices_of(services.settings.index.name)
        where = services.settings.engine.url
        return f"{services.engine.kind} at {where}; these credentials may not ask for its version"


def _check_model(services: Services) -> str:
    from vidsearch.encoders import embedded_texts

    vectors = embedded_texts(services.encoder, ["a red circle"])
    return f"{services.encoder.identity}; embeds text to {vectors.shape[1]} dims"


def _check_index(services: Services) -> str:
    index = services.open_index()
    index.require_model(services.encoder.identity)
    attached = f", attached by {index.uri_field}" if index.attached else ""
    return f"{index.alias} -> {index.name}{attached}, {index.count()} videos, same model"


def _check_broker(services: Services) -> str:
    from vidsearch.config import redact_url
    from vidsearch_tasks import queue_depth

    broker = services.settings.broker
    queued = queue_depth(services.app, queue=broker.queue)
    return f"{redact_url(broker.url.get_secret_value())}, {queued} queued in {broker.queue!r}"


def _check_workers(services: Services) -> str:
    from vidsearch_tasks import broker_state

    settings = services.settings
    state = broker_state(settings)
    if problem := worker_problem(state, settings):
        raise VidsearchError(problem)
    return ";\n".join(describe_worker(worker, settings) for worker in state.of_queue)


def _check_media(services: Services) -> str:
    from vidsearch.media import check_sources

    sources, ingest = services.settings.sources, services.settings.ingest
    check_sources(sources)
    roots = ", ".join(str(root) for root in sources.roots) or "any folder"
    where = "in a child process" if ingest.isolate else "in the worker"
    pictures = services.thumbnails or "none"
    return f"{ingest.decoder} {where}; local videos from {roots}; thumbnails: {pictures}"


_STEPS: tuple[tuple[str, Callable[[Services], str], tuple[str, ...]], ...] = (
    ("engine", _check_engine, ()),
    ("model", _check_model, ()),
    ("index", _check_index, ("engine", "model")),
    ("media", _check_media, ()),
    ("broker", _check_broker, ()),
    ("workers", _check_workers, ("broker",)),
)
"""Each part, its check, and the parts that the check depends on."""


def _findings(services: Services) -> Iterator[tuple[str, bool, str]]:
    """Each part, whether it works, and what was found."""
    bad: set[str] = set()
    for part, step, needs in _STEPS:
        failed = [need for need in needs if need in bad]
        try:
            if failed:
                raise VidsearchError(f"not checked: {' and '.join(failed)} failed")
            yield part, True, step(services)
        except VidsearchError as error:
            bad.add(part)
            yield part, False, str(error)
