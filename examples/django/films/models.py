from django.db import models

from vidsearch.contrib.django.models import VideoModel


class Film(VideoModel):
    title = models.CharField(max_length=200)
    year = models.PositiveIntegerField(null=True, blank=True)
    file = models.FileField(upload_to="films", blank=True)
    views = models.PositiveIntegerField(default=0)

    vidsearch_source = "file"
    vidsearch_fields = ("title", "year")  # a change of `views` alone reaches no index

    def __str__(self):
        return self.title
