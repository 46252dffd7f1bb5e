"""The Django app: takes its settings, and listens to the models."""

from __future__ import annotations

from vidsearch.errors import MissingExtraError

try:
    from django.apps import AppConfig, apps
    from django.core.signals import setting_changed
    from django.db.models.signals import post_delete, post_save, pre_save
except ImportError as error:
    raise MissingExtraError.of("django", needed_for="the Django app") from error

__all__ = ["VidsearchConfig"]


class VidsearchConfig(AppConfig):
    """``vidsearch.contrib.django`` in ``INSTALLED_APPS``."""

    name = "vidsearch.contrib.django"
    label = "vidsearch"
    verbose_name = "Video search"

    def ready(self) -> None:
        """Configure vidsearch, and follow every model of videos.

        Raises:
            ConfigError: the setting ``VIDSEARCH`` is wrong; the message names what.
        """
        from vidsearch.contrib.django.after_commit import (
            row_about_to_be_saved,
            row_deleted,
            row_saved,
        )
        from vidsearch.contrib.django.models import VideoModel
        from vidsearch.contrib.django.settings import configure_anew, configure_from_django

        configure_from_django()
        setting_changed.connect(configure_anew, dispatch_uid="vidsearch")
        for model in apps.get_models():  # proxies as well, which send signals of their own
            if issubclass(model, VideoModel):
                pre_save.connect(row_about_to_be_saved, sender=model, dispatch_uid="vidsearch")
                post_save.connect(row_saved, sender=model, dispatch_uid="vidsearch")
                post_delete.connect(row_deleted, sender=model, dispatch_uid="vidsearch")
