"""Models whose rows are videos, and their querysets."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django.db import models
from django.db.models.fields.files import FieldFile

from vidsearch.contrib.django import documents
from vidsearch.contrib.django.after_commit import after_commit, sync_command
from vidsearch.contrib.django.checks import wrong_manager, wrong_names
from vidsearch.contrib.django.derived import depends_on, derived_models
from vidsearch.contrib.django.keys import key_of_text, text_of_key
from vidsearch.contrib.django.new_files import file_columns, note_new_files
from vidsearch.contrib.django.search import VideoMatches, search_rows
from vidsearch.contrib.django.stored_keys import stored_keys
from vidsearch.errors import ConfigError

__all__ = ["VideoManager", "VideoModel", "VideoQuerySet"]

_log = logging.getLogger(__name__)

_KEYS_IN_A_STATEMENT = 500
"""Number of primary keys that every database takes in one statement."""


class VideoQuerySet(models.QuerySet):
    """Registers what is created or updated in bulk, which sends no signals; and searches."""

    def search(self, text: Any = None, **options: Any) -> VideoMatches:
        """The rows of the best videos, in the order of their ranks; one query of the database.

        Args:
            text: as in :meth:`vidsearch.search.VideoSearch.search`.
            **options: the same as there; ``like`` also takes a row. ``filter`` narrows the search;
                rows that this queryset leaves out are missing from its ``k`` hits.

        Raises:
            QueryError, ModelMismatchError, EncoderError, BackendError: as a search does.
        """
        return search_rows(self, text, options)

    async def asearch(self, text: Any = None, **options: Any) -> VideoMatches:
        """As :meth:`search`, for an event loop: it runs in the thread for synchronous code."""
        found: VideoMatches = await sync_to_async(self.search)(text, **options)
        return found

    def bulk_create(
        self,
        objs: Iterable[Any],
        batch_size: int | None = None,
        ignore_conflicts: bool = False,
        update_conflicts: bool = False,
        update_fields: Sequence[str] | None = None,
        unique_fields: Sequence[str] | None = None,
    ) -> list[Any]:
        """As Django's; the videos are registered after commit, in batches.

        Rows whose primary key the database does not give back, as with ``ignore_conflicts``, are
        not registered, which is logged: ``manage.py vidsearch_sync`` does it. With
        ``update_conflicts``, the keys of rows that were there before are read.
        """
        given = list(objs)
        for row in given:
            note_new_files(row, None)
        rows: list[Any] = super().bulk_create(
            given,
            batch_size=batch_size,
            ignore_conflicts=ignore_conflicts,
            update_conflicts=update_conflicts,
            update_fields=update_fields,
            unique_fields=unique_fields,
        )
        if update_conflicts:
            pks = stored_keys(self.model, rows, unique_fields, using=self.db)
        else:
            pks = [row.pk for row in rows]
        after_commit(self.model, pks, using=self.db, priority="bulk", saved=rows)
        return rows

    def update(self, **values: Any) -> int:
        """As Django's; changed videos and fields are registered after commit, in batches.

        ``bulk_update`` comes by here as well. The primary keys are read first where a column is
        changed that the index depends on. Up to 500 of them narrow the update: what others make
        match in between is left alone, as if the update had come first. In an update of more rows
        it is changed, but not registered, which is logged.
        """
        number: int
        if not depends_on(self.model, values):
            number = super().update(**values)
            return number
        self._for_write = True  # read them where they are written, not from a replica
        # A join may repeat them.
        pks = list(dict.fromkeys(self.order_by().values_list("pk", flat=True)))
        if len(pks) <= _KEYS_IN_A_STATEMENT:
            number = super(VideoQuerySet, self.filter(pk__in=pks)).update(**values)
        else:
            number = super().update(**values)
        if number > len(pks):
            _log.warning(
                "%d rows of %s that others changed during an update are not registered: run `%s`",
                *(number - len(pks), self.model._meta.label, sync_command(self.model, self.db)),
            )
        after_commit(self.model, pks, using=self.db, priority="bulk")
        return number

    bulk_create.alters_data = True  # type: ignore[attr-defined]
    update.alters_data = True  # type: ignore[attr-defined]


VideoManager = models.Manager.from_queryset(VideoQuerySet)
"""The manager of :class:`VideoModel`; a manager of your own is made of the queryset likewise."""


class VideoModel(models.Model):
    """A model whose rows are videos. Rows are registered, changed and deleted after commit.

    A subclass names its columns, or overrides :meth:`vidsearch_uri` and
    :meth:`vidsearch_document`::

        class Film(VideoModel):
            title = models.CharField(max_length=200)
            file = models.FileField(upload_to="films")

            vidsearch_source = "file"
            vidsearch_fields = ("title",)
    """

    vidsearch_source: ClassVar[str] = ""
    """Name of the column that holds the file (``FileField``), or its path or URI (a text)."""
    vidsearch_fields: ClassVar[tuple[str, ...]] = ()
    """Names of the columns, or attributes, that become fields of the document."""

    objects = VideoManager()

    class Meta:
        abstract = True

    @classmethod
    def check(cls, **options: Any) -> list[Any]:
        """As Django's, and whether the columns exist that the two names above stand for, and the
        manager registers what it writes."""
        own = (*wrong_names(cls, VideoModel), *wrong_manager(cls, VideoQuerySet))
        return [*super().check(**options), *own]

    @classmethod
    def vidsearch_label(cls) -> str:
        """``films.film``: what the ids of this model's videos begin with."""
        label: str = cls._meta.concrete_model._meta.label_lower
        return label

    @classmethod
    def vidsearch_id_of(cls, pk: Any) -> str:
        """Id of the video of a row in registry and index: ``films.film:42``.

        A row that a derived model has a row of as well (multi-table inheritance) has the video of
        that one, and of this model none.
        """
        return f"{cls.vidsearch_label()}:{text_of_key(cls, pk)}"

    @classmethod
    def vidsearch_pk_of(cls, id: str) -> Any:
        """The inverse of :meth:`vidsearch_id_of`, also for derived models, whose rows are rows of
        this one; ``None`` for an id of something else."""
        label, _, text = id.partition(":")
        labels = {each.vidsearch_label() for each in (cls, *derived_models(cls))}
        return key_of_text(cls, text) if label in labels else None

    @property
    def vidsearch_id(self) -> str:
        """As :meth:`vidsearch_id_of`, of this row."""
        return self.vidsearch_id_of(self.pk)

    def vidsearch_uri(self) -> str | None:
        """Path or URI of the file as the workers reach it; ``None`` or empty: there is no video.

        Of a ``FileField`` it is the path where its storage has one, else the URL. Override this
        where the storage signs its URLs: those end, and each one would be taken for another video.

        Raises:
            ConfigError: ``vidsearch_source`` names no attribute.
        """
        try:
            value = getattr(self, self.vidsearch_source)
        except AttributeError as error:
            raise ConfigError(
                f"{type(self).__name__}.vidsearch_source is {self.vidsearch_source!r}, but there "
                "is no such column: name the one that holds the file or its URI, or override "
                "vidsearch_uri()"
            ) from error
        if not isinstance(value, FieldFile):
            return value or None
        if not value:
            return None
        try:
            return str(value.path)
        except NotImplementedError:  # of a storage that is no folder
            return str(value.url)

    def vidsearch_document(self) -> dict[str, Any]:
        """Fields of the video's document: plain JSON values. By default ``vidsearch_fields``.

        Of a decimal it is a float, also where that loses digits; of a duration, seconds.
        Of a relation it is the text of the other row, or a list of such texts, which are sorted
        where the rows have no order; of a method, what it returns, rows likewise.
        """
        return documents.document_of(self, self.vidsearch_fields)

    @classmethod
    def vidsearch_rows(cls) -> models.QuerySet:
        """What rows are read from before they are registered, with the relations that
        ``vidsearch_fields`` names. Override it where a method above reads others."""
        names = documents.relations_of(cls)
        read = [name for name in cls.vidsearch_fields if name in names]
        return cls._base_manager.prefetch_related(*read)

    @classmethod
    def vidsearch_depends_on(cls, columns: Collection[str] | None) -> bool:
        """Whether the index depends on one of some columns; ``None`` are all.

        Where a method above is overridden, or a field is a generated column, or an attribute and no
        column, it may depend on any.
        """
        overridden = (
            cls.vidsearch_uri is not VideoModel.vidsearch_uri
            or cls.vidsearch_document is not VideoModel.vidsearch_document
        )
        if columns is None or overridden:
            return True
        for name in (cls.vidsearch_source, *cls.vidsearch_fields):
            own = documents.columns_of(cls, name)
            if own is None or not own.isdisjoint(columns):
                return True
        return False

    @classmethod
    def vidsearch_file_columns(cls) -> set[str]:
        """Names of the columns of files that may hold the video: when such a file is replaced, it
        is read again. By default ``vidsearch_source`` where that is one; all of them where it is no
        column, or :meth:`vidsearch_uri` is overridden."""
        files = file_columns(cls)
        if cls.vidsearch_source in files:
            return {cls.vidsearch_source}
        is_column = cls.vidsearch_source in {field.name for field in cls._meta.concrete_fields}
        return set() if is_column and cls.vidsearch_uri is VideoModel.vidsearch_uri else files
