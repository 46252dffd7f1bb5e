"""Shows, some of which are episodes (multi-table inheritance); parts, with two columns as their
primary key; portraits, which name other rows; offers, whose columns are of many kinds."""

from __future__ import annotations

import uuid
from datetime import timedelta

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.functions import Upper

from vidsearch.contrib.django.models import VideoModel


class Show(VideoModel):
    title = models.CharField(max_length=200)
    path = models.CharField(max_length=200)

    vidsearch_source = "path"
    vidsearch_fields = ("title",)


class Episode(Show):
    number = models.IntegerField(default=1)

    vidsearch_fields = ("title", "number")


class Special(Show):
    vidsearch_fields = ("title",)


class Series(Show):
    vidsearch_fields = ("path",)

    class Meta:
        proxy = True


class Part(VideoModel):
    pk = models.CompositePrimaryKey("reel", "language")
    reel = models.IntegerField()
    language = models.CharField(max_length=20)
    path = models.CharField(max_length=200)

    vidsearch_source = "path"
    vidsearch_fields = ("language",)


class Person(models.Model):
    name = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.name


class Portrait(VideoModel):
    path = models.CharField(max_length=200)
    kind = models.CharField(max_length=1, choices=[("i", "interview")], default="i")
    maker = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="made")
    people = models.ManyToManyField(Person)

    vidsearch_source = "path"
    vidsearch_fields = ("maker", "people", "get_kind_display")


class Review(models.Model):
    portrait = models.OneToOneField(Portrait, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.text


class Note(models.Model):
    portrait = models.ForeignKey(Portrait, on_delete=models.CASCADE)
    text = models.CharField(max_length=200)

    def __str__(self) -> str:
        return self.text


class Offer(VideoModel):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    slug = models.SlugField(unique=True)
    vendor = models.ForeignKey(Person, models.CASCADE, null=True)
    number = models.IntegerField(null=True)
    path = models.CharField(max_length=200)
    file = models.FileField()
    title = models.CharField(max_length=200)
    shown = models.GeneratedField(
        expression=Upper("title"),
        output_field=models.CharField(max_length=200),
        db_persist=True,
    )
    price = models.DecimalField(max_digits=20, decimal_places=2, default=0)
    length = models.DurationField(default=timedelta)
    views = models.IntegerField(default=0)
    content_type = models.ForeignKey(ContentType, models.CASCADE, null=True)
    object_id = models.PositiveBigIntegerField(null=True)
    about = GenericForeignKey()

    vidsearch_source = "path"
    vidsearch_fields = ("title",)

    class Meta:
        unique_together = (("vendor", "number"),)
