"""``vidsearch check``: checks each part in turn, and says what to do where one fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from vidsearch.cli import output
from vidsearch.cli.options import json_option
from vidsearch.cli.workers import (
    conflict_problem,
    describe_worker,
    model_note,
    model_problem,
    other_model,
    shared_names,
    worker_problem,
)
from vidsearch.errors import (
    BackendAccessDeniedError,
    BackendError,
    MappingConflictError,
    MissingExtraError,
    VidsearchError,
)

if TYPE_CHECKING:
    from vidsearch_tasks import Services

__all__ = ["check"]


_MODEL_SECONDS, _PATIENT_SECONDS = 30.0, 4.0


@dataclass(frozen=True, slots=True)
class _Finding:
    part: str
    ok: bool | None
    """``None`` where this machine need not have it."""
    detail: str

    @property
    def state(self) -> str:
        return {True: "ok", False: "FAILED", None: "not here"}[self.ok]


@click.command()
@json_option
def check(as_json: bool) -> None:
    """Check the engine, the model, the index, the media settings, the broker and the workers.

    Writes nothing. What this machine does not need, because it only enqueues, administers or
    searches, is "not here". The workers are asked what they embed with. Exit code 1 if any part
    fails.
    """
    from vidsearch_tasks import Services

    with Services() as services:
        findings = list(_findings(services))
    rows = [(one.part, one.state, one.detail) for one in findings]
    data = [{"part": one.part, "ok": one.ok, "detail": one.detail} for one in findings]
    output.print_rows(data, ("part", "state", "detail"), rows, as_json=as_json)
    if any(one.ok is False for one in findings):
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
    from vidsearch.encoders import embedded_texts, require_sound

    vectors = embedded_texts(services.encoder, ["a red circle"])
    if _embeds_frames():
        require_sound(services.encoder)
    return f"{services.encoder.identity}; embeds text to {vectors.shape[1]} dims"


def _check_index(services: Services) -> str:
    from vidsearch.index import cluster_blocks, require_vectors, write_blocks

    index, engine = services.open_index(), services.engine
    model = "model not compared, as it is not here"
    with suppress(MissingExtraError):
        same = services.encoder.identity == index.identity
        services.encoder_for(index)
        model = "same model" if same else other_model(index)
    engine.run(require_vectors(engine.calls, index.name, index.field, all_of_them=True))
    for name in (index.name, services.settings.index.registry):
        if blocks := write_blocks(engine, name):
            raise MappingConflictError(
                f"index {name!r} cannot be written to: its setting {blocks[0]} is true. Set it to "
                "null; where the disk of a node was full, the engine has set it, and free space "
                "comes first"
            )
    note = ""
    try:
        if blocks := engine.run(cluster_blocks(engine.calls)):
            raise MappingConflictError(
                f"no index of the cluster can be written to: its setting {blocks[0]} is true. Set "
                "it to null (PUT /_cluster/settings)"
            )
    except BackendAccessDeniedError:
        note = ", blocks of the cluster not looked at, as these credentials lack `monitor`"
    attached = f", attached by {index.uri_field}" if index.attached else ""
    return f"{index.alias} -> {index.name}{attached}, {index.count()} videos, {model}{note}"


def _check_broker(services: Services) -> str:
    from vidsearch.config import redact_url
    from vidsearch_tasks import queue_depth
    from vidsearch_tasks.broker import memory_advice
    from vidsearch_tasks.worker_start import broker_advice

    broker = services.settings.broker
    queued = queue_depth(services.app, queue=broker.queue)
    shown = redact_url(broker.url.get_secret_value())
    found = f"{shown}, {queued} queued in {broker.queue!r}"
    advice = [*broker_advice(services.app, services.settings), memory_advice(services.app)]
    return ";\n".join([found, *filter(None, advice)])


def _check_workers(services: Services) -> str:
    from vidsearch_tasks import broker_state

    settings = services.settings
    state = broker_state(settings, model_seconds=_MODEL_SECONDS)
    if worker_problem(state, settings):  # a busy machine answers late
        state = broker_state(settings, timeout=_PATIENT_SECONDS, model_seconds=_MODEL_SECONDS)
    index = None
    with suppress(BackendError):  # told of the part `index`
        index = services.open_index()
    problem = (
        worker_problem(state, settings) or model_problem(state, index) or conflict_problem(state)
    )
    if problem:
        raise VidsearchError(problem)
    lines = [describe_worker(worker, settings) for worker in state.of_queue]
    return ";\n".join([*lines, *filter(None, [model_note(state, index), shared_names(state)])])


def _check_media(services: Services) -> str:
    from vidsearch.media import check_sources
    from vidsearch.media.installed import require_installed

    settings = services.settings
    sources, ingest = settings.sources, settings.ingest
    check_sources(sources)
    require_installed(ingest, sources, settings.index)
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


def _findings(services: Services) -> Iterator[_Finding]:
    """What was found of each part."""
    bad: set[str] = set()
    for part, step, needs in _STEPS:
        failed = [need for need in needs if need in bad]
        try:
            if failed:
                raise VidsearchError(f"not checked: {' and '.join(failed)} failed")
            yield _Finding(part, True, step(services))
        except MissingExtraError as error:
            if part == "engine" or (part == "media" and _embeds_frames()):
                bad.add(part)
                yield _Finding(part, False, str(error))
            else:
                yield _Finding(part, None, f"{error}, {_WITHOUT[part]}")
        except VidsearchError as error:
            bad.add(part)
            yield _Finding(part, False, str(error))


_WITHOUT = {
    "model": "to embed here; keyword searches, enqueuing and administering work without",
    "media": "to ingest here; searching, enqueuing and administering work without",
}


def _embeds_frames() -> bool:
    """Whether this machine has torch, as only those that ingest need it beside a decoder."""
    return find_spec("torch") is not None
