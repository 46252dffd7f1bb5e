"""Tests that need no node, no broker and no worker: ``python manage.py test``."""

import tempfile
from pathlib import Path

from django.core.files import File
from django.test import TestCase, override_settings

from films.models import Film
from vidsearch.testing.clips import solid, write_clip
from vidsearch.testing.in_process import videos_in_process


class FilmSearch(TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(override_settings(MEDIA_ROOT=self.folder / "media"))
        self.enterContext(videos_in_process())

    def film(self, title, colour):
        clip = write_clip(self.folder / f"{title}.mp4", [0, 0.5, 1], picture=solid(colour), rate=2)
        # What is to be done after commit is done at the end of the block.
        with clip.open("rb") as file, self.captureOnCommitCallbacks(execute=True):
            return Film.objects.create(title=title, file=File(file, name=clip.name))

    def test_saved_film_is_found_by_what_it_shows(self):
        red, blue = self.film("Sunset", (255, 0, 0)), self.film("Ocean", (0, 0, 255))
        self.assertEqual(list(Film.objects.search("red", mode="vector")), [red, blue])
        self.assertEqual(list(Film.objects.search("ocean", mode="keyword")), [blue])

    def test_deleted_film_is_not_found(self):
        film = self.film("Sunset", (255, 0, 0))
        with self.captureOnCommitCallbacks(execute=True):
            film.delete()
        found = Film.objects.search("red")
        self.assertEqual((len(found), found.missing), (0, ()))
