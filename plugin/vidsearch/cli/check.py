"""``vidsearch check``: each part in turn, with what to do about the first that is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from vidsearch.cli import output
from vidsearch.cli.parts import opened_parts
from vidsearch.cli.workers import describe_worker, worker_problem
from vidsearch.errors import BackendRefused, VidsearchError

if TYPE_CHECKING:
    from vidsearch_tasks import Runtime

__all__ = ["check"]


@dataclass(frozen=True, slots=True)
class _Finding:
    """The outcome for one part."""

    part: str
    ok: bool
    detail: str


@click.command()
@output.json_option
def check(as_json: bool) -> None:
    """Check the engine, the model, the index, the reading of videos, the broker and the workers.

    Writes nothing. Exit code 1 if any part is not as it should be.
    """
    with opened_parts() as parts:
        findings = list(_findings(parts))
    if as_json:
        output.print_json([asdict(finding) for finding in findings])
    else:
        rows = [(f.part, "ok" if f.ok else "FAILED", f.detail) for f in findings]
        output.print_table(("part", "state", "detail"), rows)
    if not all(finding.ok for finding in findings):
        raise SystemExit(1)


def _check_engine(parts: Runtime) -> str:
    try:
        return str(parts.engine.info())
    except BackendRefused:
        # Roles with rights on the indices alone may not ask for the version, and need not.
        parts.engine.indices_of(parts.settings.index.name)
        where = parts.settings.engine.url
        return f"{parts.engine.kind} at {where}; these credentials may not ask for its version"


def _check_model(parts: Runtime) -> str:
    vectors = parts.encoder.encode_text(["a red circle"])
    return f"{parts.encoder.identity}; embeds text to {vectors.shape[1]} dims"


def _check_index(parts: Runtime) -> str:
    index = parts.open_index()
    index.require_model(parts.encoder.identity)
    attached = f", attached by {index.uri_field}" if index.attached else ""
    return f"{index.alias} -> {index.name}{attached}, {index.count()} videos, same model"


def _check_broker(parts: Runtime) -> str:
    from vidsearch.config import redact_url
    from vidsearch_tasks import queue_depth

    broker = parts.settings.broker
    queued = queue_depth(parts.app, queue=broker.queue)
    return f"{redact_url(broker.url.get_secret_value())}, {queued} queued in {broker.queue!r}"


def _check_workers(parts: Runtime) -> str:
    from vidsearch_tasks import broker_state

    settings = parts.settings
    state = broker_state(settings)
    if problem := worker_problem(state, settings):
        raise VidsearchError(problem)
    return ";\n".join(describe_worker(worker, settings) for worker in state.of_queue)


def _check_media(parts: Runtime) -> str:
    from vidsearch.media import check_sources

    sources, ingest = parts.settings.sources, parts.settings.ingest
    check_sources(sources)
    roots = ", ".join(str(root) for root in sources.roots) or "any folder"
    where = "in a child process" if ingest.isolate else "in the worker"
    pictures = parts.thumbnails or "none"
    return f"{ingest.decoder} {where}; local videos from {roots}; thumbnails: {pictures}"


_STEPS: tuple[tuple[str, Callable[[Runtime], str], tuple[str, ...]], ...] = (
    ("engine", _check_engine, ()),
    ("model", _check_model, ()),
    ("index", _check_index, ("engine", "model")),
    ("media", _check_media, ()),
    ("broker", _check_broker, ()),
    ("workers", _check_workers, ("broker",)),
)
"""Each part, how it is checked, and the parts without which it cannot be."""


def _findings(parts: Runtime) -> Iterator[_Finding]:
    bad: set[str] = set()
    for part, step, needs in _STEPS:
        missing = [need for need in needs if need in bad]
        if missing:
            finding = _Finding(part, False, f"not checked: {' and '.join(missing)} failed")
        else:
            try:
                finding = _Finding(part, True, step(parts))
            except VidsearchError as error:
                finding = _Finding(part, False, str(error))
        if not finding.ok:
            bad.add(part)
        yield finding
