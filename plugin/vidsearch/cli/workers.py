"""What the workers serve and run, and what to do where that does not fit."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from vidsearch.errors import ModelMismatchError

if TYPE_CHECKING:
    from vidsearch.config import Settings
    from vidsearch.index import VideosIndex
    from vidsearch_tasks import BrokerState, WorkerState

__all__ = [
    "conflict_problem",
    "describe_worker",
    "model_note",
    "model_problem",
    "other_model",
    "shared_names",
    "worker_problem",
]

_START = "celery -A vidsearch_tasks worker"


def describe_worker(worker: WorkerState, settings: Settings) -> str:
    """A worker with its index, its engine where that is another URL, and what it embeds with."""
    if worker.index is None:
        return f"{worker.name}: does not say which index it serves"
    engine = f" at {worker.engine}" if worker.engine not in {None, settings.engine.url} else ""
    if worker.identity is None:
        return f"{worker.name}: index {worker.index!r}{engine}, model {worker.model!r}"
    from vidsearch.encoders import ModelIdentity

    identity = ModelIdentity.from_meta(worker.identity)
    return (
        f"{worker.name}: index {worker.index!r}{engine}, embeds with {identity} in "
        f"{worker.precision} by {worker.encoder}"
    )


def model_problem(state: BrokerState, index: VideosIndex | None) -> str | None:
    """Why workers of the queue cannot embed, or not for the index."""
    from vidsearch.encoders import ModelIdentity

    problems = []
    for worker in state.of_queue:
        if worker.problem:
            problems.append(f"{worker.name} cannot embed: {worker.problem}")
        elif worker.identity is not None and index is not None and not _finds(worker, index):
            try:
                index.require_model(ModelIdentity.from_meta(worker.identity))
            except ModelMismatchError as error:
                problems.append(f"{worker.name} embeds with another model: {error}")
    return ";\n".join(problems) or None


def model_note(state: BrokerState, index: VideosIndex | None) -> str | None:
    """That workers are set up for another model than that of the index, which they find."""
    from vidsearch.encoders import ModelIdentity

    names = [
        worker.name
        for worker in state.of_queue
        if index is not None
        and worker.identity is not None
        and ModelIdentity.from_meta(worker.identity) != index.identity
        and _finds(worker, index)
    ]
    if index is None or not names:
        return None
    return f"{', '.join(names)}: {other_model(index)}"


def other_model(index: VideosIndex) -> str:
    """What to do about a setting that names another model than that of the index."""
    found = "that checkpoint's folder" if index.identity.name == "local" else index.identity.name
    return (
        f"index {index.name!r} holds vectors of {index.identity}, which is used for it, but "
        f"VIDSEARCH_MODEL__NAME names another model: set it to {found}"
    )


def _finds(worker: WorkerState, index: VideosIndex) -> bool:
    """Whether a worker that is set up for another model finds that of the index."""
    from vidsearch.encoders import ModelIdentity

    others = map(ModelIdentity.from_meta, worker.others or ())
    if worker.identity is None or index.identity in others:
        return True
    own = ModelIdentity.from_meta(worker.identity)
    if own == index.identity:
        return True
    from vidsearch.encoders.pool import is_found_by_name  # which loads numpy

    return own.sampling == index.identity.sampling and is_found_by_name(index.identity)


def conflict_problem(state: BrokerState) -> str | None:
    """What the Celery apps of workers of the queue have set against what ingestion needs."""
    return (
        ";\n".join(
            f"{worker.name}: {each}" for worker in state.of_queue for each in worker.conflicts or ()
        )
        or None
    )


def shared_names(state: BrokerState) -> str | None:
    """What to do where several workers have one name."""
    counts = Counter(worker.name for worker in state.workers)
    shared = [
        f"{number} workers are named {name!r}" for name, number in counts.items() if number > 1
    ]
    if not shared:
        return None
    return (
        f"{' and '.join(shared)}: they work, but nobody can tell them apart, and a command to one "
        "reaches all. Start each with a name of its own (-n), for example -n worker1@%h"
    )


def worker_problem(state: BrokerState, settings: Settings) -> str | None:
    """Why what is registered with these settings may not be ingested, and what to do.

    Every worker of the queue must serve the index of these settings: any of them may receive the
    message, and one that serves another index finds no such video and drops it. Engines are not
    compared, as one engine may have several URLs.
    """
    name, queue = settings.index.name, state.queue
    if not state.workers:
        return (
            f"no worker answers over {state.url}. Start one with these settings: {_START}; one "
            "that runs must have the same broker.transport_options (global_keyprefix)"
        )
    if not state.of_queue:
        others = "; ".join(
            f"{worker.name} takes from {', '.join(map(repr, worker.queues)) or 'none'}"
            for worker in state.workers
        )
        return (
            f"no worker takes from the queue {queue!r} ({others}). Start one with these settings: "
            f"{_START}; or add the queue to a worker of your own app (-Q …,{queue})"
        )
    wrong = [worker for worker in state.of_queue if worker.index != name]
    if not wrong:
        return None
    what = "all" if len(wrong) == len(state.of_queue) else "some"
    told = "; ".join(describe_worker(worker, settings) for worker in wrong)
    if all(worker.index is None for worker in wrong):
        return (
            f"{what} workers of the queue {queue!r} run no vidsearch tasks, or those of an older "
            f"version ({told}): start them again with this version, or without this queue"
        )
    return (
        f"{what} workers of the queue {queue!r} serve another index than {name!r} ({told}), and "
        f"drop the messages for this one. Start them with VIDSEARCH_INDEX__NAME={name}, or give "
        "this index a queue (VIDSEARCH_BROKER__QUEUE) and workers of its own"
    )
