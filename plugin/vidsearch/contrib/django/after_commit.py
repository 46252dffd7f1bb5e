"""What is to be done when a transaction is committed; until then there are only primary keys."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connections, router, transaction

from vidsearch.contrib.django.derived import depends_on, is_file_of_video
from vidsearch.contrib.django.new_files import forget_new_files, note_new_files, written_files
from vidsearch.contrib.django.sync import sync_rows
from vidsearch.error_texts import first_line, logger
from vidsearch.errors import VidsearchError
from vidsearch_mappings.registry import Priority

__all__ = ["after_commit", "row_about_to_be_saved", "row_deleted", "row_saved", "sync_command"]

_log = logger(__name__)


def after_commit(
    model: Any,
    pks: Sequence[Any],
    *,
    using: str,
    priority: Priority = "interactive",
    saved: Sequence[Any] = (),
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
        saved: the rows of these keys, as they were saved, if their files may be others than
            before, be their names the same. The keys on them may be of no row.
    """
    known = [pk for pk in pks if pk is not None]
    if unknown := len(pks) - len(known):
        _log.warning(
            "%d rows of %s are not registered, as the database gave no primary keys of them: "
            "run `%s`",
            *(unknown, model._meta.label, sync_command(model, using)),
        )
    if known:
        batch = _batch(using)
        batch.add(model, known, priority, using=using)
        batch.add_files(model, dict(zip(pks, saved, strict=False)), using=using)
        transaction.on_commit(batch.run, using=using)


def row_about_to_be_saved(
    sender: Any, instance: Any, update_fields: Collection[str] | None = None, **_: Any
) -> None:
    """Receiver of ``pre_save``: afterwards nothing tells that a file was written."""
    note_new_files(instance, update_fields)


def row_saved(
    sender: Any,
    instance: Any,
    using: str,
    update_fields: Collection[str] | None = None,
    **_: Any,
) -> None:
    """Receiver of ``post_save``."""
    if depends_on(sender, update_fields):
        after_commit(sender, [instance.pk], using=using, saved=[instance])


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
        self._files: dict[tuple[Any, str], list[tuple[Any, Any, set[str]]]] = {}

    def add(self, model: Any, pks: Sequence[Any], priority: Priority, *, using: str) -> None:
        rows = self._rows.setdefault((model, using), {})
        for pk in pks:
            rows[pk] = "interactive" if rows.get(pk) == "interactive" else priority

    def add_files(self, model: Any, saved: Mapping[Any, Any], *, using: str) -> None:
        files = self._files.setdefault((model, using), [])
        files += [(row, pk, names) for pk, row in saved.items() if (names := written_files(row))]

    def join(self, earlier: _Batch) -> None:
        """Make one of this batch and an earlier one: the callback that comes first does it all."""
        for (model, using), priorities in self._rows.items():
            for pk, priority in priorities.items():
                earlier.add(model, [pk], priority, using=using)
        for key, written in self._files.items():
            earlier._files.setdefault(key, []).extend(written)
        self._rows.clear()  # others that are one with this batch may still have them
        self._files.clear()
        self._rows, self._files = earlier._rows, earlier._files

    def is_one_with(self, other: _Batch | None) -> bool:
        """Whether they have become one, or nothing is left here to do."""
        return not self._rows or (other is not None and self._rows is other._rows)

    def run(self) -> None:
        """The batch is among the callbacks once for each ``add``; the first one does it all."""
        rows, files = dict(self._rows), dict(self._files)
        self._rows.clear()  # for those that share it, too
        self._files.clear()
        for (model, using), priorities in rows.items():
            written = files[model, using]
            again = {pk for _, pk, names in written if is_file_of_video(model, names)}
            try:
                done = sync_rows(model, priorities, using=using, new_files=again)
                if not done.errors:
                    for row, _, names in written:
                        forget_new_files(row, names)
            except Exception as error:  # of the setup, the engine, the database
                commands = [sync_command(model, using, "--prune")]
                if again:
                    commands.append("manage.py vidsearch reindex --changed")
                _log.error(
                    "%d rows of %s are saved, but not known to the search: %s. Run `%s` later",
                    len(priorities),
                    model._meta.label,
                    first_line(error),
                    "` and then `".join(commands),
                    exc_info=not isinstance(error, VidsearchError),
                )
                if isinstance(error, SoftTimeLimitExceeded):
                    raise  # the application's task that saved the rows has to end now


def _batch(using: str) -> _Batch:
    """The last one of the same savepoints, so that saves in a row make one batch.

    A savepoint that is no longer among those of the connection was released: what was rolled back
    is among the callbacks no more. So batches of a savepoint each, as ``update_or_create`` makes
    them, are of the same ones afterwards, and become one.
    """
    connection = connections[using]
    savepoints = set(connection.savepoint_ids)
    last: _Batch | None = None
    of_last: set[Any] = set()
    for of_batch, callback, *_ in reversed(connection.run_on_commit):
        batch = getattr(callback, "__self__", None)
        if not isinstance(batch, _Batch) or batch.is_one_with(last):
            continue
        of_batch = of_batch & savepoints
        if last is None:
            if of_batch == savepoints:
                return batch
            last, of_last = batch, of_batch
        else:
            if of_batch == of_last:
                last.join(batch)
            break  # those before it are one with it already
    return _Batch()
