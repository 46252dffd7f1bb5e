"""Videos whose rows are in several databases of a Django project."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from tests.django_site import Site


@pytest.fixture
def archive(site: Site) -> Iterator[str]:
    """Alias of a second database, which has a table of films as well."""
    from django.db import connections

    with connections["archive"].schema_editor() as editor:
        editor.create_model(site.Film)
    yield "archive"
    with connections["archive"].schema_editor() as editor:
        editor.delete_model(site.Film)


class ToArchive:
    """A router: films are in the archive."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "archive" if model._meta.label == "films.Film" else None


def synced(*options: str) -> str:
    """What ``manage.py vidsearch_sync films.Film`` says."""
    from django.core.management import call_command

    out = io.StringIO()
    call_command("vidsearch_sync", "films.Film", *options, stdout=out)
    return out.getvalue().strip()


@pytest.mark.parametrize("options", [(), ("--database", "archive")])
def test_prune_keeps_videos_whose_rows_are_in_another_database(
    site: Site, archive: str, options: tuple[str, ...]
) -> None:
    here, there = site.film("red"), site.film("blue", pk=1000)
    here.save()
    there.save(using=archive)
    said = "films.Film: 0 registered, 1 unchanged, {} deleted, 0 with errors"
    assert synced("--prune", *options) == said.format(0)
    assert [site.state(film) for film in (here, there)] == ["indexed", "indexed"]
    gone = site.Film.objects.using("default" if options else archive)
    gone._raw_delete(gone.db)
    assert synced("--prune", *options) == said.format(1)
    left = [site.state(film) for film in (here, there)]
    assert left == (["deleted", "indexed"] if options else ["indexed", "deleted"])


def test_prune_deletes_nothing_while_a_database_does_not_answer(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.management import CommandError
    from django.db import OperationalError, connections

    film = site.film("red")
    film.save()
    site.Film.objects.all()._raw_delete("default")

    def away(*args: Any, **options: Any) -> Any:
        raise OperationalError("no connection")

    introspection = connections["archive"].introspection
    monkeypatch.setattr(introspection, "table_names", away)
    with pytest.raises(CommandError, match=r"no video of films\.Film is deleted, .* no connection"):
        synced("--prune")
    assert site.state(film) == "indexed"
    monkeypatch.undo()
    assert "1 deleted" in synced("--prune")


def test_prune_passes_over_a_default_that_is_no_database(
    site: Site, archive: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connections
    from django.db.backends.dummy.base import DatabaseWrapper

    film = site.film("red")
    film.save(using=archive)
    site.Film.objects.using(archive)._raw_delete(archive)
    settings = connections.settings["default"] | {"ENGINE": "django.db.backends.dummy"}
    before = connections["default"]
    monkeypatch.setitem(connections.settings, "default", settings)
    connections["default"] = DatabaseWrapper(settings)
    try:
        assert "1 deleted" in synced("--prune", "--database", archive)
    finally:
        connections["default"] = before
    assert site.state(film) == "deleted"


def test_sync_reads_the_database_that_a_router_names(site: Site, archive: str) -> None:
    from django.test import override_settings

    from vidsearch.contrib.django.after_commit import sync_command

    assert sync_command(site.Film, archive) == (
        "manage.py vidsearch_sync --database archive films.Film"
    )
    with override_settings(DATABASE_ROUTERS=[ToArchive()]):
        film = site.Film.objects.create(title="all red", file="red.mp4")
        said = "films.Film: 0 registered, 1 unchanged, 0 deleted, 0 with errors"
        assert synced("--prune") == said
        assert sync_command(site.Film, archive) == "manage.py vidsearch_sync films.Film"
    assert film._state.db == archive
    assert site.state(film) == "indexed"


def test_an_alias_that_is_none_is_refused(site: Site) -> None:
    from django.core.management import CommandError

    with pytest.raises(CommandError, match="invalid choice: 'archiv'"):
        synced("--database", "archiv")
