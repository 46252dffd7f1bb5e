"""Rows of a Django model that are saved, changed and deleted: what reaches registry and index."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from tests.django_site import Site

from vidsearch.contrib.django import sync
from vidsearch.errors import BackendUnavailableError, ConfigError
from vidsearch_tasks import run_sweep, video_status


@pytest.fixture
def calls(site: Site, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Titles of the videos that were registered together, call by call."""
    calls: list[list[str]] = []
    register = sync.register_videos

    def remember(videos: Any, **options: Any) -> Any:
        calls.append([video.fields["title"] for video in videos])
        return register(videos, **options)

    monkeypatch.setattr(sync, "register_videos", remember)
    return calls


def test_a_saved_row_is_registered_when_its_transaction_is_committed(site: Site) -> None:
    from django.db import transaction

    with transaction.atomic():
        film = site.film("red", year=2024)
        film.save()
        assert site.state(film) is None
    assert site.state(film) == "indexed"
    assert film.vidsearch_id == f"films.film:{film.pk}"
    assert site.document(film) == {
        "title": "all red",
        "year": 2024,
        "django_model": "films.film",
    }
    assert video_status(film.vidsearch_id).uri.endswith("/red.mp4")
    assert video_status(film.vidsearch_id).priority == "interactive"


def test_a_row_that_is_deleted_while_it_is_registered_leaves_no_video(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, other = site.film("red"), site.film("blue")
    register = sync.register_videos

    def late(videos: Any, **options: Any) -> Any:
        monkeypatch.setattr(sync, "register_videos", register)
        site.Film.objects.filter(title="all red").delete()  # as another process does
        return register(videos, **options)

    monkeypatch.setattr(sync, "register_videos", late)
    site.Film.objects.bulk_create([film, other])
    assert (site.state(film), site.state(other)) == ("deleted", "indexed")
    assert site.document(film) is None


def test_what_is_rolled_back_is_not_registered(site: Site, calls: list[list[str]]) -> None:
    from django.db import transaction

    with transaction.atomic():
        site.film("red", title="first").save()
        try:
            with transaction.atomic():
                site.film("red", title="rolled back").save()
                raise ValueError
        except ValueError:
            pass
        site.film("red", title="last").save()
    try:
        with transaction.atomic():
            site.film("red", title="rolled back as a whole").save()
            raise ValueError
    except ValueError:
        pass
    site.film("red", title="alone").save()
    assert calls == [["first", "last"], ["alone"]]


def test_rows_of_one_transaction_are_registered_together(
    site: Site, calls: list[list[str]]
) -> None:
    from django.db import transaction

    with transaction.atomic():
        for number in range(3):
            site.film("red", title=f"film {number}").save()
        twice = site.Film.objects.get(title="film 0")
        twice.title = "film 0 again"
        twice.save()
    assert calls == [["film 0 again", "film 1", "film 2"]]


def test_bulk_create_registers_all_rows_at_once_after_those_of_users(
    site: Site, calls: list[list[str]]
) -> None:
    films = site.Film.objects.bulk_create([site.film("red"), site.film("blue")])
    assert calls == [["all red", "all blue"]]
    assert [site.state(film) for film in films] == ["indexed", "indexed"]
    assert {video_status(film.vidsearch_id).priority for film in films} == {"bulk"}


def test_bulk_created_rows_without_keys_are_left_to_sync_and_logged(
    site: Site, calls: list[list[str]], caplog: pytest.LogCaptureFixture
) -> None:
    site.Film.objects.bulk_create([site.film("red")], ignore_conflicts=True)
    assert calls == []
    assert "1 rows of films.Film are not registered" in caplog.text
    assert "manage.py vidsearch_sync films.Film" in caplog.text


def test_changed_columns_reach_the_document_and_nothing_is_embedded(site: Site) -> None:
    films = site.Film.objects.bulk_create([site.film("red"), site.film("blue")])
    site.Film.objects.filter(pk=films[0].pk).update(title="sunset")
    films[1].title = "ocean"
    site.Film.objects.bulk_update([films[1]], ["title"])
    assert [site.document(film)["title"] for film in films] == ["sunset", "ocean"]  # type: ignore[index]
    assert [video_status(film.vidsearch_id).attempts for film in films] == [1, 1]


def test_columns_that_the_index_does_not_depend_on_reach_nothing(
    site: Site, calls: list[list[str]]
) -> None:
    film = site.film("red")
    film.save()
    calls.clear()
    film.views = 1
    film.save(update_fields=["views"])
    site.Film.objects.update(views=2)
    assert calls == []
    film.save()
    assert calls == [["all red"]]


def test_a_model_that_makes_its_own_document_may_depend_on_any_column(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not site.Film.vidsearch_depends_on(["views"])
    monkeypatch.setattr(site.Film, "vidsearch_fields", ("title", "vidsearch_id"))
    assert site.Film.vidsearch_depends_on(["views"]), "one is an attribute"
    monkeypatch.undo()
    monkeypatch.setattr(site.Film, "vidsearch_document", lambda film: {"views": film.views})
    assert site.Film.vidsearch_depends_on(["views"])


def test_deleted_rows_and_rows_without_a_file_leave_the_index(site: Site) -> None:
    one, two, three, four = films = site.Film.objects.bulk_create(
        [site.film(colour) for colour in ("red", "blue", "green", "red")]
    )
    ids = [film.vidsearch_id for film in films]
    one.delete()
    site.Film.objects.filter(pk=two.pk).delete()
    three.file = ""
    three.save()
    index = site.services.open_index()
    assert [str(video_status(id).state) for id in ids] == [*["deleted"] * 3, "indexed"]
    assert [index.read(id) is None for id in ids] == [True, True, True, False]
    three.file = "green.mp4"
    three.save()
    assert site.state(three) == "indexed"
    assert site.state(four) == "indexed"


def test_many_documents_are_removed_by_the_sweep(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "_REMOVED_AT_ONCE", 1)
    films = site.Film.objects.bulk_create([site.film("red"), site.film("blue"), site.film("red")])
    ids = [film.vidsearch_id for film in films]
    site.Film.objects.all().delete()
    assert {str(video_status(id).state) for id in ids} == {"deleted"}
    assert site.services.open_index().count() == 2
    run_sweep(services=site.services)
    assert site.services.open_index().count() == 0


def test_a_row_is_saved_although_the_engine_is_away(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*args: Any, **options: Any) -> Any:
        raise BackendUnavailableError("the engine does not answer")

    monkeypatch.setattr(sync, "register_videos", away)
    site.film("red").save()
    assert site.Film.objects.count() == 1
    (said,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert said.message == (
        "1 rows of films.Film are saved, but not known to the search: the engine does not answer. "
        "Run `manage.py vidsearch_sync --prune films.Film` later"
    )


def test_a_video_that_cannot_be_registered_is_logged_and_the_others_are(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        site.Film,
        "vidsearch_document",
        lambda film: {"title": film.title, "year": {1} if film.title == "odd" else 1},
    )
    odd, even = site.Film.objects.bulk_create([site.film("red", title="odd"), site.film("blue")])
    assert site.state(even) == "indexed"
    assert site.state(odd) is None
    assert f"video 'films.film:{odd.pk}' (not registered): fields must be plain" in caplog.text


def test_a_model_without_a_column_of_videos_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.Film, "vidsearch_source", "fil")
    with pytest.raises(ConfigError, match=r"Film\.vidsearch_source is 'fil', but there is no such"):
        site.film("red").save()


def test_a_column_may_hold_a_uri_and_a_storage_may_be_no_folder(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.files.storage import Storage

    class Bucket(Storage):
        def url(self, name: str | None) -> str:
            return f"https://media.example/{name}"

    film = site.film("red")
    monkeypatch.setattr(film.file, "storage", Bucket())
    assert film.vidsearch_uri() == "https://media.example/red.mp4"
    monkeypatch.setattr(site.Film, "vidsearch_source", "title")
    assert site.film("red", title="s3://films/red.mp4").vidsearch_uri() == "s3://films/red.mp4"
    assert site.film("red", title="").vidsearch_uri() is None
