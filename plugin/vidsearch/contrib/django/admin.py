"""What the admin site shows of videos, and does with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList

from vidsearch.batches import in_batches
from vidsearch.contrib.django.derived import video_ids
from vidsearch.contrib.django.sync import sync_rows
from vidsearch.errors import BackendError, first_line
from vidsearch.registry import Registry
from vidsearch_mappings.registry import VideoRecord
from vidsearch_tasks import Registration, current_services, enqueue_many

__all__ = ["VideoAdmin"]

_AWAY = "unknown: the search engine is away"
_LONGEST = 120


class VideoAdmin(admin.ModelAdmin):
    """Of a :class:`~vidsearch.contrib.django.models.VideoModel`.

    It has the column ``vidsearch_state`` and the actions ``embed_again`` and ``retry``; name them
    in a ``list_display`` or ``actions`` of your own.
    """

    list_display: Sequence[Any] = ("__str__", "vidsearch_state")
    actions: Sequence[Any] = ("embed_again", "retry")

    def get_changelist(self, request: Any, **options: Any) -> type[ChangeList]:
        """One that reads the states of a page in one request."""
        return _VideoChangeList

    @admin.display(description="Video")
    def vidsearch_state(self, row: Any) -> str:
        """State of the row's video in the registry, with the error of its last attempt."""
        if not hasattr(row, "_vidsearch_state"):
            _attach_states([row])
        state: str = row._vidsearch_state
        return state

    @admin.action(description="Embed the videos again", permissions=["change"])
    def embed_again(self, request: Any, queryset: Any) -> None:
        """Have workers embed the chosen videos, even where nothing of them changed."""
        pks = list(queryset.values_list("pk", flat=True))
        with self._telling_errors(request):
            sync_rows(self.model, dict.fromkeys(pks, "bulk"), using=queryset.db)
            again = partial(Registry.reopen_many, forget=True)
            self._enqueue(request, pks, again, using=queryset.db)

    @admin.action(description="Retry failed videos", permissions=["change"])
    def retry(self, request: Any, queryset: Any) -> None:
        """Give those of the chosen videos that failed all their attempts again."""
        with self._telling_errors(request):
            pks = queryset.values_list("pk", flat=True)
            self._enqueue(request, pks, Registry.retry_many, using=queryset.db)

    @contextmanager
    def _telling_errors(self, request: Any) -> Iterator[None]:
        try:
            yield
        except BackendError as error:
            self.message_user(request, str(error), messages.ERROR)

    def _enqueue(
        self,
        request: Any,
        pks: Iterable[Any],
        reopen: Callable[[Registry, Sequence[str]], Sequence[Registration]],
        *,
        using: str,
    ) -> None:
        registry = current_services().registry
        errors, done = [], 0
        for batch in in_batches(pks):
            ids = video_ids(self.model, batch, using=using)
            for one in enqueue_many(reopen(registry, [*ids.values()])):
                if one.error:
                    errors.append(one.error)
                else:
                    done += 1
        self.message_user(request, f"{done} videos are to be embedded.")
        if errors:
            more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
            self.message_user(request, f"{first_line(errors[0])}{more}", messages.WARNING)


class _VideoChangeList(ChangeList):
    def get_results(self, request: Any) -> None:
        super().get_results(request)
        _attach_states(list(self.result_list))  # which keeps the rows that are shown


def _attach_states(rows: Sequence[Any]) -> None:
    """Read the records of rows of one model in one request."""
    if not rows:
        return
    ids = video_ids(type(rows[0]), [row.pk for row in rows], using=rows[0]._state.db)
    try:
        records = current_services().registry.find_many([*ids.values()])
    except BackendError:
        for row in rows:
            row._vidsearch_state = _AWAY
        return
    for row in rows:
        row._vidsearch_state = _shown(records.get(ids[row.pk]))


def _shown(record: VideoRecord | None) -> str:
    if record is None:
        return "not registered"
    text = f"{record.state}: {record.error}" if record.error else str(record.state)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
