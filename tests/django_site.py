"""The models of ``examples/django`` in the process of the tests, with databases in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from vidsearch.testing.in_process import videos_in_process
from vidsearch_tasks import Services, configured

__all__ = ["EXAMPLE", "Site", "open_site", "set_up_django"]

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "django"


def set_up_django() -> None:
    """Once per process. The environment and the services of vidsearch stay as they are."""
    import django
    from django.conf import settings

    if settings.configured:
        return
    sys.path.append(str(EXAMPLE))
    settings.configure(
        INSTALLED_APPS=[
            "django.contrib.admin",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "vidsearch.contrib.django",
            "films",
            "tests.django_series",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        "django.contrib.auth.context_processors.auth",
                        "django.contrib.messages.context_processors.messages",
                    ]
                },
            }
        ],
        # Shared by threads, as a search from an event loop runs in one.
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": "file:films?mode=memory&cache=shared",
            },
            "archive": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": "file:archive?mode=memory&cache=shared",
            },
        },
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        ROOT_URLCONF="tests.django_urls",
        SECRET_KEY="of tests",
        ALLOWED_HOSTS=["testserver"],
        STATIC_URL="static/",
        USE_TZ=True,
        LOGGING_CONFIG=None,
    )
    before = configured._current, configured._configured_in
    django.setup()  # which configures vidsearch as well
    configured._current, configured._configured_in = before


@dataclass(frozen=True)
class Site:
    """Rows of every kind, and vidsearch in this process."""

    Film: Any
    Show: Any
    Episode: Any
    Special: Any
    Part: Any
    Portrait: Any
    Offer: Any
    files: Path
    services: Services

    def film(self, colour: str, **columns: Any) -> Any:
        """One that is not saved yet; its file is all of one colour."""
        return self.Film(**{"title": f"all {colour}", "file": f"{colour}.mp4", **columns})

    def show(self, colour: str, **columns: Any) -> Any:
        """One that is not saved yet; an episode where ``number`` is given."""
        kind = self.Episode if "number" in columns else self.Show
        path = str(self.files / f"{colour}.mp4")
        return kind(**{"title": f"all {colour}", "path": path, **columns})

    def offer(self, colour: str, **columns: Any) -> Any:
        """One that is not saved yet, with a key of its own."""
        path = str(self.files / f"{colour}.mp4")
        return self.Offer(**{"slug": colour, "title": colour, "path": path, **columns})

    def state(self, film: Any) -> str | None:
        """Of its video in the registry."""
        record = self.services.registry.find(film.vidsearch_id)
        return None if record is None else str(record.state)

    def document(self, film: Any) -> dict[str, Any] | None:
        """The fields of its document, without the object of vidsearch."""
        found = self.services.open_index().read(film.vidsearch_id)
        if found is None:
            return None
        return {name: value for name, value in found.source.items() if name != "video"}


@cache
def _make_tables() -> None:
    from django.core.management import call_command

    call_command("migrate", run_syncdb=True, verbosity=0)


@contextmanager
def open_site(files: Path) -> Iterator[Site]:
    """No rows and no videos yet; their files are in that folder."""
    set_up_django()
    from django.test import override_settings
    from films.models import Film
    from tests.django_series.models import (
        Episode,
        Note,
        Offer,
        Part,
        Person,
        Portrait,
        Review,
        Show,
        Special,
    )

    _make_tables()
    with override_settings(MEDIA_ROOT=files), videos_in_process() as running:
        yield Site(Film, Show, Episode, Special, Part, Portrait, Offer, files, running)
    of_portraits = (Portrait.people.through, Review, Note)
    for model in (Film, Episode, Special, Show, Part, Offer, *of_portraits, Portrait, Person):
        rows = model.objects.all()
        rows._raw_delete(rows.db)  # without signals
