from django.contrib import admin

from films.models import Film
from vidsearch.contrib.django.admin import VideoAdmin


@admin.register(Film)
class FilmAdmin(VideoAdmin):
    list_display = ("title", "year", "vidsearch_state")
