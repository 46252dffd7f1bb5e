"""Rows of a Django model that are saved, changed and deleted: what reaches registry and index."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from tests.django_site import Site

from vidsearch.contrib.django import sync
from vidsearch.errors import BackendUnavailableError
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


def test_rows_of_a_transaction_with_a_savepoint_each_are_registered_together(
    site: Site, calls: list[list[str]]
) -> None:
    from django.db import transaction

    def save(title: str) -> None:
        site.film("red", title=title).save()

    with transaction.atomic():
        save("before")
        for number in range(3):
            site.Film.objects.update_or_create(title=f"film {number}", file="films/red.mp4")
        for number in range(3):
            try:
                with transaction.atomic():
                    save(f"inner {number}")
                    with transaction.atomic():
                        save(f"innermost {number}")
                    if number == 1:
                        raise ValueError
            except ValueError:
                pass
        save("after")
    titles = ["film 0", "film 1", "film 2", "inner 0", "innermost 0", "inner 2", "innermost 2"]
    assert sorted(title for call in calls for title in call) == sorted(["after", "before", *titles])
    assert len(calls) <= 3, "not one for each savepoint"


def test_rows_are_registered_before_what_others_do_after_the_commit_of_them(
    site: Site, calls: list[list[str]]
) -> None:
    from django.db import transaction

    def save(number: int) -> None:
        with transaction.atomic():
            site.film("red", title=f"film {number}").save()

    with transaction.atomic():
        for number in range(4):
            save(number)
            if number == 1:
                transaction.on_commit(lambda: calls.append(["the application"]))
    assert {"film 0", "film 1"} <= {*calls[0]}
    assert calls[1] == ["the application"]
    assert sorted(title for call in calls for title in call) == [
        *(f"film {number}" for number in range(4)),
        "the application",
    ]


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
    assert f"video 'films.film:{odd.pk}' (not registered): field 'year' of" in caplog.text


def test_a_row_whose_storage_fails_keeps_its_video_and_the_others_are_registered(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.management import CommandError, call_command

    odd = site.film("red", title="odd")
    odd.save()
    uri_of = site.Film.vidsearch_uri

    def uri(film: Any) -> Any:
        if film.title == "odd":
            raise OSError("the bucket does not answer")
        return uri_of(film)

    monkeypatch.setattr(site.Film, "vidsearch_uri", uri)
    odd.save()
    (even,) = site.Film.objects.bulk_create([site.film("blue")])
    assert site.state(even) == "indexed"
    assert f"films.Film {odd.pk} does not tell its video: OSError: the bucket" in caplog.text
    with pytest.raises(CommandError, match="1 videos were not registered"):
        call_command("vidsearch_sync", "films.Film", "--prune")
    assert site.state(odd) == "indexed"


def test_what_is_wrong_with_a_model_is_logged_and_keeps_nobody_else_from_their_work(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import transaction

    monkeypatch.setattr(site.Show, "vidsearch_source", "pth")
    film, done = site.film("blue"), []
    with transaction.atomic():
        site.show("red").save()
        film.save()
        transaction.on_commit(lambda: done.append("of the application"))
    assert site.state(film) == "indexed"
    assert done == ["of the application"]
    (said,) = [one.message for one in caplog.records if one.levelno == logging.ERROR]
    assert said.startswith(
        "1 rows of django_series.Show are saved, but not known to the search: "
        "Show.vidsearch_source is 'pth', but there is no such column"
    )


def test_an_unexpected_error_after_the_commit_is_logged_with_its_traceback(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        raise ZeroDivisionError("of a database")

    monkeypatch.setattr(sync, "register_videos", fail)
    site.film("red").save()
    (said,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "1 rows of films.Film are saved" in said.message
    assert said.exc_text
    assert said.exc_text.endswith("ZeroDivisionError: of a database")


def test_the_soft_time_limit_of_a_task_that_saves_ends_the_task(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(row: Any) -> str:
        raise SoftTimeLimitExceeded

    film = site.film("red")
    with monkeypatch.context() as patch:
        patch.setattr(type(film), "vidsearch_uri", run_out)
        with pytest.raises(SoftTimeLimitExceeded):
            film.save()
    assert "1 rows of films.Film are saved" in caplog.text
    film.save()
    assert site.state(film) == "indexed"


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("vidsearch_source", "fil", "vidsearch_source is 'fil', but there is no such column."),
        ("vidsearch_source", "", "vidsearch_source is '', but there is no such column."),
        ("vidsearch_fields", ("title", "yaer"), "vidsearch_fields holds 'yaer', but there is no"),
    ],
)
def test_manage_check_tells_names_that_are_wrong(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, error: str
) -> None:
    assert site.Film.check() == []
    monkeypatch.setattr(site.Film, name, value)
    (said,) = site.Film.check()
    assert said.msg.startswith(error)
    assert said.id.startswith("vidsearch.E")
    own = "vidsearch_uri" if name == "vidsearch_source" else "vidsearch_document"
    monkeypatch.setattr(site.Film, own, lambda film: None)
    assert site.Film.check() == [], "nothing reads the names"


def test_manage_check_tells_a_manager_that_registers_nothing_written_in_bulk(site: Site) -> None:
    from django.db import models
    from django.test.utils import isolate_apps

    from vidsearch.contrib.django.models import VideoManager, VideoModel, VideoQuerySet

    class Published(VideoQuerySet):
        pass

    class Plain(VideoManager):  # type: ignore[misc, valid-type]
        def get_queryset(self) -> Any:
            return models.QuerySet(self.model, using=self._db)

    class Own(models.Manager):
        def get_queryset(self) -> Any:
            return VideoQuerySet(self.model, using=self._db)

    class OfATenant(models.Manager):
        def get_queryset(self) -> Any:
            raise LookupError("no tenant")

    with isolate_apps("films"):

        class Clip(VideoModel):
            path = models.TextField()
            vidsearch_source = "path"
            objects = models.Manager()

            class Meta:
                app_label = "films"

        class Trailer(Clip):
            objects = Published.as_manager()

            class Meta:
                app_label = "films"

        class Teaser(Clip):
            objects = Own()

            class Meta:
                app_label = "films"

        class Cut(Clip):
            objects = Plain()

            class Meta:
                app_label = "films"

        class Rental(Clip):
            objects = OfATenant()

            class Meta:
                app_label = "films"

        (said,) = Clip.check()
        assert Trailer.check() == Teaser.check() == Rental.check() == []
        (also,) = Cut.check()
    assert (also.id, also.obj) == ("vidsearch.W001", Cut)
    assert (said.id, said.obj, said.is_serious()) == ("vidsearch.W001", Clip, False)
    assert said.msg.startswith("the default manager 'objects' has no search(), and videos that")


@pytest.mark.parametrize("many", [False, True])
def test_rows_that_others_make_match_during_an_update_are_left_alone_or_logged(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, many: bool
) -> None:
    from django.db.models import QuerySet

    from vidsearch.contrib.django import models

    red, blue = site.Film.objects.bulk_create([site.film("red", year=1), site.film("blue", year=2)])
    update = QuerySet.update

    def late(queryset: Any, **values: Any) -> Any:
        monkeypatch.setattr(QuerySet, "update", update)
        site.Film._base_manager.filter(pk=blue.pk).update(year=1)  # as another process does
        return update(queryset, **values)

    monkeypatch.setattr(models, "_KEYS_IN_A_STATEMENT", 0 if many else 500)
    monkeypatch.setattr(QuerySet, "update", late)
    assert site.Film.objects.filter(year=1).update(title="sunset") == (2 if many else 1)
    blue.refresh_from_db()
    assert (blue.title, blue.year) == ("sunset" if many else "all blue", 1)
    assert [site.document(film)["title"] for film in (red, blue)] == ["sunset", "all blue"]  # type: ignore[index]
    said = (
        "1 rows of films.Film that others changed during an update are not registered: "
        "run `manage.py vidsearch_sync films.Film`"
    )
    assert (said in caplog.text) is many


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
