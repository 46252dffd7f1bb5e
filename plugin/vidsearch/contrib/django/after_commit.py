"""What is to be done when a transaction is committed; until then there are only primary keys."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connections, router, transaction

from vidsearch.contrib.django.derived import depends_on
from vidsearch.contrib.django.new_files import columns_of_new_files
from vidsearch.contrib.django.sync import sync_rows
from vidsearch.errors import VidsearchError
from vidsearch_mappings.registry import Priority

__all__ = ["after_commit", "row_about_to_be_saved", "row_deleted", "row_saved", "sync_command"]

_log = logging.getLogger(__name__)

_NEW_FILES = "_vidsearch_new_files"
"""Attribute of a row between the two signals of a save."""


def after_commit(
    model: Any,
    pks: Iterable[Any],
    *,
    using: str,
    priority: Priority = "interactive",
    new_file: bool = False,
) -> None:
    """Bring registry and index in line with rows, once they are committed.

    The rows are read then: those that are gone, or have no video, are deleted from the index.
    Rows of one transaction are done together. What fails is logged and raises nothing: the rows are
    saved already, so that an error would have a caller save them again, and would keep what others
    have to do after the commit from being done. Only the soft time limit of a Celery task of the
    application still ends that task.

    Args:
        model: a :class:`~vidsearch.contrib.django.models.VideoModel`.
        pks: of rows that were created, changed or deleted; those that are ``None`` are logged.
        using: alias of the database.
        priority: of the videos that a worker has to embed.
        new_file: whether the files are others than before, be their names the same.
    """
    known = []
    unknown = 0
    for pk in pks:
        if pk is None:
            unknown += 1
        else:
            known.append(pk)
    if unknown:
        _log.warning(
            "%d rows of %s are not registered, as the database gave no primary keys of them: "
            "run `%s`",
            *(unknown, model._meta.label, sync_command(model, using)),
        )
    if known:
        batch = _batch(using)
        batch.add(model, known, priority, using=using, new_file=new_file)
        transaction.on_commit(batch.run, using=using)


def row_about_to_be_saved(
    sender: Any, instance: Any, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    """Receiver of ``pre_save``: afterwards nothing tells that a file was written."""
    setattr(instance, _NEW_FILES, columns_of_new_files(instance, update_fields))


def row_saved(
    sender: Any,
    instance: Any,
    using: str,
    created: bool = False,
    update_fields: Collection[str] | None = None,
    **_: Any,
) -> None:
    """Receiver of ``post_save``."""
    written = vars(instance).pop(_NEW_FILES, [])
    if depends_on(sender, update_fields):
        new_file = bool(written) and not created and depends_on(sender, written)
        after_commit(sender, [instance.pk], using=using, new_file=new_file)


def row_deleted(sender: Any, instance: Any, using: str, **_: Any) -> None:
    """Receiver of ``post_delete``."""
    after_commit(sender, [instance.pk], using=using)


def sync_command(model: Any, using: str, *options: str) -> str:
    """What a person runs to have all rows of a model registered."""
    if using != router.db_for_write(model):
        options += ("--database", using)
    return " ".join(("manage.py vidsearch_sync", *options, model._meta.label))


class _Batch:
    """Rows that are committed together, or not at all."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Any, str], dict[Any, Priority]] = {}
        self._new_files: dict[tuple[Any, str], set[Any]] = {}

    def add(
        self, model: Any, pks: Iterable[Any], priority: Priority, *, using: str, new_file: bool
    ) -> None:
        rows = self._rows.setdefault((model, using), {})
        new_files = self._new_files.setdefault((model, using), set())
        for pk in pks:
            rows[pk] = "interactive" if rows.get(pk) == "interactive" else priority
            if new_file:
                new_files.add(pk)

    def run(self) -> None:
        """The batch is among the callbacks once for each ``add``; the first one does it all."""
        rows, self._rows = self._rows, {}
        new_files, self._new_files = self._new_files, {}
        for (model, using), priorities in rows.items():
            try:
                sync_rows(model, priorities, using=using, new_files=new_files[model, using])
            except Exception as error:  # of the setup, the engine, the database
                commands = [sync_command(model, using, "--prune")]
                if new_files[model, using]:
                    commands.append("manage.py vidsearch reindex --changed")
                _log.error(
                    "%d rows of %s are saved, but not known to the search: %s. Run `%s` later",
                    len(priorities),
                    model._meta.label,
                    error,
                    "` and then `".join(commands),
                    exc_info=not isinstance(error, VidsearchError),
                )
                if isinstance(error, SoftTimeLimitExceeded):
                    raise  # the application's task that saved the rows has to end now


def _batch(using: str) -> _Batch:
    """The last one of the same savepoints, so that saves in a row make one batch."""
    connection = connections[using]
    savepoints = set(connection.savepoint_ids)
    for of_batch, callback, *_ in reversed(connection.run_on_commit):
        batch = getattr(callback, "__self__", None)
        if isinstance(batch, _Batch):
            return batch if of_batch == savepoints else _Batch()
    return _Batch()
