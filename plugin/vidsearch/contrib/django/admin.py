"""What the admin site shows of videos, and does with them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.db import router
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from vidsearch.batches import in_batches
from vidsearch.contrib.django.derived import video_ids
from vidsearch.contrib.django.sync import sync_rows
from vidsearch.error_texts import first_line
from vidsearch.errors import (
    BackendError,
    BackendUnavailableError,
    VideoNotRegisteredError,
    VidsearchError,
)
from vidsearch.registry import Registry
from vidsearch_mappings.registry import VideoRecord
from vidsearch_tasks import Registration, current_services, enqueue_many

__all__ = ["VideoAdmin"]

_AWAY = "unknown: the search engine is away"
_LONGEST = 120
_TOLD = 10
"""Number of rows that a message names."""

_log = logging.getLogger(__name__)


class VideoAdmin(admin.ModelAdmin):
    """Of a :class:`~vidsearch.contrib.django.models.VideoModel`.

    It has the column ``vidsearch_state`` and the actions ``embed_again`` and ``retry``; name them
    in a ``list_display`` or ``actions`` of your own.
    """

    list_display: Sequence[Any] = ("__str__", "vidsearch_state")
    actions: Sequence[Any] = ("embed_again", "retry")

    def get_changelist(self, request: Any, **options: Any) -> type[ChangeList]:
        """One that reads the states of a page in one request."""
        base = super().get_changelist(request, **options)
        return type("VideoChangeList", (_PageOfVideos, base), {})

    @admin.display(description="Video")
    def vidsearch_state(self, row: Any) -> str:
        """State of the row's video in the registry, with the error of its last attempt."""
        if not hasattr(row, "_vidsearch_state"):
            _attach_states(getattr(row, "_vidsearch_page", [row]))
        state: str = row._vidsearch_state
        return state

    @admin.action(description="Embed the videos again", permissions=["change"])
    def embed_again(self, request: Any, queryset: Any) -> None:
        """Have workers embed the chosen videos, even where nothing of them changed."""
        pks, using = list(queryset.values_list("pk", flat=True)), self._written_to(queryset)
        with self._telling_errors(request):
            done = sync_rows(self.model, dict.fromkeys(pks, "bulk"), using=using)
            # Where engine or broker took nothing, it is tried once more.
            wrong = {
                id: error
                for id, error in done.errors.items()
                if not isinstance(error, BackendError)
            }
            again = partial(Registry.reopen_many, forget=True)
            self._enqueue(request, pks, again, using=using, wrong=wrong)

    @admin.action(description="Retry failed videos", permissions=["change"])
    def retry(self, request: Any, queryset: Any) -> None:
        """Give those of the chosen videos that failed all their attempts again."""
        with self._telling_errors(request):
            pks = queryset.values_list("pk", flat=True)
            using = self._written_to(queryset)
            self._enqueue(request, pks, Registry.retry_many, using=using, wrong={})

    def _written_to(self, queryset: Any) -> str:
        """The database that the rows are written to: one to read from may lag behind."""
        using: str = queryset._db or router.db_for_write(self.model)
        return using

    @contextmanager
    def _telling_errors(self, request: Any) -> Iterator[None]:
        try:
            yield
        except VidsearchError as error:
            self.message_user(request, str(error), messages.ERROR)

    def _enqueue(
        self,
        request: Any,
        pks: Iterable[Any],
        reopen: Callable[[Registry, Sequence[str]], Sequence[Registration]],
        *,
        using: str,
        wrong: Mapping[str, VidsearchError],
    ) -> None:
        """Queue the videos of rows and tell how many, and which were not.

        Args:
            request: that the person is told by.
            pks: of the rows.
            reopen: makes videos wait for a worker again.
            using: alias of the database.
            wrong: by id those that are not to be queued, and why.
        """
        registry = current_services().registry
        failed: dict[Any, VidsearchError] = {}
        done = 0
        try:
            for batch in in_batches(pks):
                by_id = {id: pk for pk, id in video_ids(self.model, batch, using=using).items()}
                failed.update((by_id[id], error) for id, error in wrong.items() if id in by_id)
                for one in enqueue_many(reopen(registry, [id for id in by_id if id not in wrong])):
                    if one.error:
                        _log.warning("video %r is not to be embedded: %s", one.id, one.error)
                        failed[by_id[one.id]] = one.error
                    else:
                        done += 1
        finally:  # some may be queued where it fails
            self.message_user(request, f"{_counted(done)} to be embedded.")
            if failed:
                self.message_user(request, self._told(failed, using=using), messages.WARNING)

    def _told(self, failed: Mapping[Any, VidsearchError], *, using: str) -> str:
        """Which rows failed and why, with links to them."""
        pks = list(failed)[:_TOLD]
        rows = self.model._base_manager.using(using).in_bulk(pks)
        about = self.model._meta
        page = f"{self.admin_site.name}:{about.app_label}_{about.model_name}_change"
        lines = format_html_join(
            "",
            '<br><a href="{}">{}</a>: {}',
            ((reverse(page, args=[quote(pk)]), rows.get(pk, pk), _why(failed[pk])) for pk in pks),
        )
        left = len(failed) - len(pks)
        more = f" The log has {left} more." if left else ""
        text: str = format_html("{} not:{}{}", _counted(len(failed)), lines, more)
        return text


def _counted(videos: int) -> str:
    return "1 video is" if videos == 1 else f"{videos} videos are"


def _why(error: VidsearchError) -> str:
    if isinstance(error, VideoNotRegisteredError):
        return "no video of it is registered: it has no file, or needs manage.py vidsearch_sync"
    return first_line(error)


class _PageOfVideos(ChangeList):
    def get_results(self, request: Any) -> None:
        super().get_results(request)
        page = list(self.result_list)  # which keeps the rows that are shown
        for row in page:
            row._vidsearch_page = page


def _attach_states(rows: Sequence[Any]) -> None:
    """Read the records of rows of one model in one request."""
    ids = video_ids(type(rows[0]), [row.pk for row in rows], using=rows[0]._state.db)
    try:
        records = current_services().registry.find_many([*ids.values()])
    except VidsearchError as error:
        away = isinstance(error, BackendUnavailableError)
        told = _AWAY if away else _shortened(f"unknown: {first_line(error)}")
        for row in rows:
            row._vidsearch_state = told
        return
    for row in rows:
        row._vidsearch_state = _shown(records.get(ids[row.pk]))


def _shown(record: VideoRecord | None) -> str:
    if record is None:
        return "not registered"
    return _shortened(f"{record.state}: {record.error}" if record.error else str(record.state))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
