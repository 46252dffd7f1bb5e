"""``manage.py vidsearch_sync``: registers the videos of all rows."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connections, router

from vidsearch.batches import in_batches
from vidsearch.contrib.django.models import VideoModel
from vidsearch.contrib.django.sync import Synced, ids_without_rows, remove_videos, sync_rows
from vidsearch.errors import VidsearchError
from vidsearch_tasks import current_services

__all__ = ["Command"]


class Command(BaseCommand):
    """For rows that were there before, or were written while the search engine was away."""

    help = (
        "Register the videos of all rows, and have workers embed what is new or has changed. "
        "Safe to repeat."
    )

    def add_arguments(self, parser: Any) -> None:
        """Which models."""
        parser.add_argument(
            "models", nargs="*", metavar="app.Model", help="default: all models of videos"
        )
        parser.add_argument(
            "--prune",
            action="store_true",
            help="delete the videos as well whose rows are in no database any more",
        )
        parser.add_argument(
            "--database",
            choices=list(connections),
            help="alias of the database whose rows are registered (default: the one that your "
            "routers have a model written to)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Raises ``CommandError`` where engine or database is away, or a model none of videos."""
        errors = 0
        try:
            for model in _models(options["models"]):
                using = options["database"] or router.db_for_write(model)
                done = self._sync(model, using=using, prune=options["prune"])
                errors += len(done.errors)
                self.stdout.write(
                    f"{model._meta.label}: {done.registered} registered, "
                    f"{done.unchanged} unchanged, {done.removed} deleted, "
                    f"{len(done.errors)} with errors"
                )
        except VidsearchError as error:
            raise CommandError(str(error)) from error
        if errors:
            raise CommandError(f"{errors} videos were not registered or not queued; see the log")

    def _sync(self, model: Any, *, using: str, prune: bool) -> Synced:
        done = Synced()
        pks = model._base_manager.using(using).values_list("pk", flat=True).iterator()
        for batch in in_batches(pks):
            done += sync_rows(model, dict.fromkeys(batch, "bulk"), using=using)
        if prune:
            services = current_services()
            try:
                gone = list(ids_without_rows(model, using=using, services=services))
            except Error as error:
                raise CommandError(
                    f"no video of {model._meta.label} is deleted, as a database does not tell "
                    f"whether it has rows of them: {error}. One that never has any is passed over "
                    "where allow_migrate() of your router says so"
                ) from error
            for batch in in_batches(gone):
                done += Synced(removed=remove_videos(batch, services=services))
        return done


def _models(names: list[str]) -> list[Any]:
    every = [
        model
        for model in apps.get_models()
        if issubclass(model, VideoModel) and not model._meta.proxy
    ]
    by_name = {model._meta.label_lower: model for model in every}
    for name in names:
        if name.lower() not in by_name:
            known = ", ".join(model._meta.label for model in every) or "none"
            raise CommandError(f"{name!r} is no model of videos; there are: {known}")
    return [by_name[name.lower()] for name in names] or every
