"""Videos enqueued again, into the index that they are in: part of ``vidsearch reindex``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from vidsearch.batches import in_batches
from vidsearch.cli import output
from vidsearch.cli.records import report, wait_for
from vidsearch.cli.workers import other_model
from vidsearch.errors import MissingExtraError, ModelUnavailableError, VideoNotRegisteredError
from vidsearch_mappings.registry import State, VideoRecord

if TYPE_CHECKING:
    from vidsearch.index import VideosIndex
    from vidsearch_tasks import Services

__all__ = ["Which", "enqueue_again"]

Which = Literal["all", "missing", "changed", "ids"]
_ACTIONS = {"all": "embed again", "missing": "make again"}
"""What is done with those of which nothing needs to have changed."""


def enqueue_again(
    which: Which,
    ids: tuple[str, ...],
    *,
    dry_run: bool,
    wait: bool,
    timeout: float | None,
    as_json: bool,
) -> None:
    """Enqueue videos, or show which ones would be."""
    from vidsearch_tasks import Services

    with Services() as services:
        records = _chosen(services, which, ids)
        if dry_run:
            _show_plan(records, _ACTIONS.get(which, "embed if changed"), as_json=as_json)
            return
        records = _enqueue(services, records, which)
        if wait:
            records = wait_for(services, [r.id for r in records], timeout=timeout)
        report(records, as_json=as_json)


def _chosen(services: Services, which: Which, ids: tuple[str, ...]) -> list[VideoRecord]:
    from vidsearch.ingest import missing_videos

    index = services.open_index()
    _look_at_model(services, index, embed_all=which == "all")
    if which == "ids":
        records = [services.registry.get(id) for id in dict.fromkeys(ids)]
        for record in records:  # all or none: a typing error must enqueue nothing
            if record.state is State.DELETED:
                raise VideoNotRegisteredError(f"video {record.id!r} was deleted")
        return records
    if which != "missing":
        return list(services.registry.scan())
    services.engine.refresh(index.name)
    return list(missing_videos(services.registry, index))


def _look_at_model(services: Services, index: VideosIndex, *, embed_all: bool) -> None:
    """Say it where the settings name another model than that of the index, which is used.

    Who asks for all videos may want them with the other model, so that is refused. Settings without
    a model say nothing: an application may hand its encoder to its workers.

    Raises:
        ModelMismatchError: the message says what to do.
    """
    if not {"name", "revision", "encoder"} & services.settings.model.model_fields_set:
        return
    try:
        identity = services.encoder.identity
    except (ModelUnavailableError, MissingExtraError) as error:
        output.talk(f"note: it is not known here whether the workers have the same model: {error}")
        return
    if embed_all:
        index.require_model(identity)
    elif identity.compared() != index.identity.compared():
        output.talk(f"note: {other_model(index)}")


def _show_plan(records: list[VideoRecord], action: str, *, as_json: bool) -> None:
    columns = ("id", "state", "action")
    rows = [(r.id, str(r.state), action) for r in records]
    data = [dict(zip(columns, row, strict=True)) for row in rows]
    output.print_rows(data, columns, rows, as_json=as_json, whole=("id",))
    output.talk(f"{len(records)} videos would be enqueued; nothing was changed")


def _enqueue(services: Services, records: list[VideoRecord], which: Which) -> list[VideoRecord]:
    from vidsearch_tasks import enqueue_many

    # What is missing is made again of what is kept, also where the file is gone or away.
    forget, ask = which == "all", which in {"changed", "ids"}
    after: list[VideoRecord] = []
    done = 0
    with output.progress("Enqueuing", total=len(records)) as bar:
        for batch in in_batches(record.id for record in records):
            reopened = services.registry.reopen_many(batch, forget=forget, ask=ask)
            for one in enqueue_many(reopened, services=services):
                if isinstance(one.error, VideoNotRegisteredError):  # deleted since they were listed
                    output.talk(f"left out: {one.error}")
                else:
                    after.append(one.require())
            done += len(batch)
            bar(done)
    return after
