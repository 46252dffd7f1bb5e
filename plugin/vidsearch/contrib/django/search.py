"""A search whose hits are rows of the database."""

from __future__ import annotations

import copy
import functools
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from vidsearch.contrib.django.derived import derived_models, video_ids
from vidsearch.contrib.django.sync import MODEL_FIELD
from vidsearch.search import SearchRequest, SearchResult, VideoSearch
from vidsearch.search.joined_filters import all_filters
from vidsearch_tasks import Services, current_services

__all__ = ["VideoMatches", "search_rows"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class VideoMatches(Sequence[Any]):
    """Rows in the order of their ranks; each has its :class:`~vidsearch.search.Hit` as
    ``vidsearch_hit``. With ``group_by="moment"`` a row comes once for each of its moments."""

    rows: tuple[Any, ...]
    result: SearchResult
    """All hits, with the time that the search took and its warnings."""
    missing: tuple[str, ...]
    """Ids of hits whose rows are gone, or are left out by the queryset."""

    @overload
    def __getitem__(self, at: int) -> Any: ...

    @overload
    def __getitem__(self, at: slice) -> tuple[Any, ...]: ...

    def __getitem__(self, at: int | slice) -> Any:
        return self.rows[at]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.rows)


def search_rows(queryset: Any, text: Any, options: Mapping[str, Any]) -> VideoMatches:
    """Search the videos of a queryset's model; see ``VideoQuerySet.search``."""
    model = queryset.model
    options = dict(options)
    like = options.get("like")
    if isinstance(like, model):
        using = like._state.db or queryset.db
        options["like"] = video_ids(type(like), [like.pk], using=using)[like.pk]
    if isinstance(text, SearchRequest):
        text = text.model_copy(update={"filter": _of_model(model, text.filter)})
    else:
        options["filter"] = _of_model(model, options.get("filter"))
    result = _search_of(current_services()).search(text, **options)
    pks = {hit.id: model.vidsearch_pk_of(hit.id) for hit in result}
    wanted = [pk for pk in pks.values() if pk is not None]
    rows = {row.pk: row for row in queryset.filter(pk__in=wanted)} if wanted else {}
    found, missing = [], []
    for hit in result:
        row = rows.get(pks[hit.id])
        if row is None:
            missing.append(hit.id)
        else:
            found.append(copy.copy(row))  # with `group_by="moment"` it is of several hits
            found[-1].vidsearch_hit = hit
    if missing:
        _log.info("hits without a row of %s: %s", model._meta.label, ", ".join(missing))
    return VideoMatches(tuple(found), result, tuple(missing))


@functools.lru_cache(maxsize=1)
def _search_of(services: Services) -> VideoSearch:
    """One for the process; another one where the services are configured anew, as in tests."""
    return VideoSearch.from_settings(
        services.settings, engine=services.engine, encoder=services.encoders
    )


def _of_model(model: Any, filter: Any) -> Any:
    """The filter, and that the video is one of this model, or of one that derives from it.

    As a clause, which needs no mapping of the field: there may be no video yet.
    """
    labels = [each.vidsearch_label() for each in (model, *derived_models(model))]
    own = {"terms": {f"{MODEL_FIELD}.keyword": labels}}
    return all_filters([own], filter)
