"""Shows, some of which are episodes: multi-table inheritance."""

from __future__ import annotations

from django.db import models

from vidsearch.contrib.django.models import VideoModel


class Show(VideoModel):
    title = models.CharField(max_length=200)
    path = models.CharField(max_length=200)

    vidsearch_source = "path"
    vidsearch_fields = ("title",)


class Episode(Show):
    number = models.IntegerField(default=1)

    vidsearch_fields = ("title", "number")
