"""Registry and index brought in line with rows of the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connections, router
from django.utils import timezone, translation

from vidsearch.batches import in_batches
from vidsearch.contrib.django.derived import family_of, kinds_of, models_of
from vidsearch.contrib.django.documents import with_relations_as_written
from vidsearch.error_texts import first_line, logger
from vidsearch.errors import (
    ConfigError,
    VersionConflictError,
    VideoError,
    VideoNotRegisteredError,
    VidsearchError,
)
from vidsearch_mappings.registry import Priority
from vidsearch_tasks import NewVideo, Registration, Services, current_services, register_videos

__all__ = ["MODEL_FIELD", "Synced", "ids_without_rows", "remove_videos", "sync_rows"]

_log = logger(__name__)

MODEL_FIELD = "django_model"
"""Field of a document that names the model of its row: several share an index."""
_NO_DATABASE = "django.db.backends.dummy"
"""What Django makes of ``"default": {}``, in projects whose routers name all databases."""
_REMOVED_AT_ONCE = 50
"""Number of documents that are removed while the caller waits; the sweep removes the others."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of some rows."""

    registered: int = 0
    """Videos that are new, or of which something changed."""
    unchanged: int = 0
    removed: int = 0
    errors: Mapping[str, VidsearchError] = field(default_factory=dict)
    """By id those of videos that were not registered, or not queued."""

    def __add__(self, other: Synced) -> Synced:
        return Synced(
            self.registered + other.registered,
            self.unchanged + other.unchanged,
            self.removed + other.removed,
            {**self.errors, **other.errors},
        )


@contextmanager
def _locale_of_settings() -> Iterator[None]:
    """Who saves a row may have another language or time zone, and texts go by them."""
    with translation.override(settings.LANGUAGE_CODE), timezone.override(None):
        yield


@_locale_of_settings()
def sync_rows(
    model: Any,
    priorities: Mapping[Any, Priority],
    *,
    using: str,
    new_files: Collection[Any] = (),
) -> Synced:
    """Register the videos of rows, and remove those of rows that are gone or have no video.

    Safe to repeat. What is wrong with a single video is logged, and in the result. Where models
    derive from each other, a row is done as one of each most derived model that has it, whichever
    of them is given, and loses the videos that it may have had of the others.

    Args:
        model: a :class:`~vidsearch.contrib.django.models.VideoModel`.
        priorities: of the videos, by the primary keys of their rows.
        using: alias of the database.
        new_files: primary keys of those whose files are to be read again, be their URIs the same.

    Raises:
        ConfigError: the model names no column of videos.
        BackendError: the engine does not answer, or there is no index.
    """
    services = current_services()
    family = family_of(model)
    done = Synced()
    for pks in in_batches(priorities):
        kinds = kinds_of(model, pks, using=using)
        for kind in family:
            if batch := {pk: priorities[pk] for pk in pks if kind in kinds[pk]}:
                again = {kind.vidsearch_id_of(pk) for pk in batch if pk in new_files}
                done += _sync_batch(kind, batch, using=using, services=services, again=again)
        others = ((each, pk) for each in family for pk in pks if each not in kinds[pk])
        if ids := [each.vidsearch_id_of(pk) for each, pk in others]:
            done += Synced(removed=remove_videos(ids, services=services))
    return done


def remove_videos(ids: Sequence[str], *, services: Services) -> int:
    """Delete videos from the index; those that were never registered are passed over.

    All of them are deleted in the registry; the documents of the first fifty are removed at once,
    those of the others by the next sweep.

    Returns:
        Number of videos that were deleted now.

    Raises:
        BackendError: the engine does not answer, or there is no index.
    """
    from vidsearch import ingest

    ends = services.registry.delete_many(ids)
    for one in ends:
        if one.error and not isinstance(one.error, VideoNotRegisteredError):
            raise one.error
    deleted = [one.id for one in ends if one.changed]
    index = services.open_index() if deleted else None
    for id in deleted[:_REMOVED_AT_ONCE]:
        assert index is not None
        try:
            ingest.delete_video(services.registry, index, id)
        except VersionConflictError as error:
            _log.warning("the sweep will remove the document of video %r: %s", id, error)
    return len(deleted)


def ids_without_rows(model: Any, *, using: str, services: Services) -> Iterator[str]:
    """Ids of this model's registered videos whose rows are gone, or have no video.

    An id does not say which database its row is in: a row of any database keeps its video.

    Args:
        model: a :class:`~vidsearch.contrib.django.models.VideoModel`, no proxy.
        using: alias of a database that has its table; the others are looked for.
        services: the services in force.

    Raises:
        django.db.Error: a database does not answer, so that nobody knows what rows it has.
    """
    databases = {using, *(alias for alias in connections if _has_table(model, alias))}
    prefix = f"{model.vidsearch_label()}:"
    known = (one.id for one in services.registry.scan() if one.id.startswith(prefix))
    for ids in in_batches(known):
        pks = [pk for id in ids if (pk := model.vidsearch_pk_of(id)) is not None]
        there: set[str] = set()
        for alias in databases:
            kinds = models_of(model, pks, using=alias)
            own = [pk for pk, kind in kinds.items() if kind is model]
            rows = model._base_manager.using(alias).filter(pk__in=own)
            there |= {row.vidsearch_id for row in rows if _has_video(row)}
        yield from (id for id in ids if id not in there)


def _has_table(model: Any, alias: str) -> bool:
    if connections.settings[alias]["ENGINE"] == _NO_DATABASE:
        return False
    if not router.allow_migrate_model(alias, model):
        return False
    introspection = connections[alias].introspection
    table = introspection.identifier_converter(model._meta.db_table)
    # A quoted name holds a schema, which the list does not.
    return '"' in table or table in introspection.table_names(include_views=True)


def _sync_batch(
    model: Any,
    priorities: Mapping[Any, Priority],
    *,
    using: str,
    services: Services,
    again: Collection[str],
) -> Synced:
    wanted = {model.vidsearch_id_of(pk): priority for pk, priority in priorities.items()}
    rows = model.vidsearch_rows().using(using).filter(pk__in=list(priorities))
    rows = with_relations_as_written(rows, using=using)
    videos: list[NewVideo] = []
    wrong: dict[str, VidsearchError] = {}
    for row in rows:
        try:
            video = _video(row, wanted)
        except (ConfigError, SoftTimeLimitExceeded):
            raise  # of every row
        except Exception as error:  # of a storage, or of a method of the model
            wrong[row.vidsearch_id] = _not_told(row, error)
        else:
            videos += [video] if video else []
    done = Synced(errors=wrong)
    # First: what is registered then has the priority of its row, and a message is sent.
    done += _reopen([video.id for video in videos if video.id in again], services=services)
    done += _summary(register_videos(videos, services=services) if videos else [])
    # Who deletes a row meanwhile may have removed its video before it was registered here.
    left = rows.values_list("pk", flat=True) if videos or wrong else ()
    there = set(map(model.vidsearch_id_of, left))
    kept = {video.id for video in videos} | wrong.keys()
    gone = wanted.keys() - (kept & there)
    if gone:
        done += Synced(removed=remove_videos(sorted(gone), services=services))
    return done


def _reopen(ids: Sequence[str], *, services: Services) -> Synced:
    """Have the files of videos read again; those that were never registered are passed over."""
    ends = services.registry.reopen_many(ids, replaced=True) if ids else ()
    return _summary(
        one for one in ends if one.error and not isinstance(one.error, VideoNotRegisteredError)
    )


def _video(row: Any, priorities: Mapping[str, Priority]) -> NewVideo | None:
    uri = row.vidsearch_uri()
    if not uri:
        return None
    fields = {**row.vidsearch_document(), MODEL_FIELD: row.vidsearch_label()}
    return NewVideo(row.vidsearch_id, uri, fields, priority=priorities[row.vidsearch_id])


def _has_video(row: Any) -> bool:
    try:
        return bool(row.vidsearch_uri())
    except (ConfigError, SoftTimeLimitExceeded):
        raise
    except Exception as error:
        _not_told(row, error)
        return True  # it may have


def _not_told(row: Any, error: Exception) -> VidsearchError:
    """What to say where a row does not say what its video is."""
    wrong = VideoError(
        f"{row._meta.label} {row.pk!r} does not tell its video: {type(error).__name__}: "
        f"{first_line(error)}"
    )
    _log.warning("%s", wrong, exc_info=error)
    return wrong


def _summary(registered: Iterable[Registration]) -> Synced:
    done = Synced()
    for one in registered:
        if one.error:
            state = one.record.state if one.record else None
            _log.warning("video %r (%s): %s", one.id, state or "not registered", one.error)
            done += Synced(errors={one.id: one.error})
        elif one.changed:
            done += Synced(registered=1)
        else:
            done += Synced(unchanged=1)
    return done
