"""Django models that derive from each other: a row has one video, that of the most derived."""

from __future__ import annotations

from typing import Any

from tests.django_site import Site


def sync(*arguments: str) -> None:
    from django.core.management import call_command

    call_command("vidsearch_sync", *arguments, verbosity=0)


def test_a_derived_row_has_one_video_whichever_model_saves_it(site: Site) -> None:
    episode = site.show("red", number=7)
    episode.save()
    show = site.Show.objects.get(pk=episode.pk)
    show.title = "sunset"
    show.save()
    assert site.document(episode)["title"] == "sunset"  # type: ignore[index]
    site.Show.objects.update(title="ocean")
    sync("--prune")
    assert site.document(episode) == {
        "title": "ocean",
        "number": 7,
        "django_model": "django_series.episode",
    }
    assert (site.state(episode), site.state(show)) == ("indexed", None)


def test_a_derived_row_depends_on_columns_that_its_parent_does_not(
    site: Site, monkeypatch: Any
) -> None:
    monkeypatch.setattr(site.Show, "vidsearch_fields", ())
    episode = site.show("red", number=7)
    episode.save()
    site.Show.objects.update(title="ocean")
    assert site.document(episode)["title"] == "ocean"  # type: ignore[index]


def test_a_search_for_the_parent_finds_derived_rows(site: Site) -> None:
    episode, show = site.show("red", number=7), site.show("blue")
    episode.save()
    show.save()
    found = site.Show.objects.search("red", mode="vector")
    assert [row.pk for row in found] == [episode.pk, show.pk]
    assert {type(row) for row in found} == {site.Show}
    assert list(site.Episode.objects.search("blue", mode="vector")) == [episode]
    like = site.Show.objects.search(like=site.Show.objects.get(pk=episode.pk))
    assert list(like) == [show]


def test_a_row_that_becomes_a_derived_one_loses_the_video_of_the_parent(site: Site) -> None:
    show = site.show("red")
    show.save()
    episode = site.Episode(show_ptr=show, title=show.title, path=show.path, number=2)
    episode.save()
    assert (site.state(episode), site.state(show)) == ("indexed", "deleted")
    assert list(site.Show.objects.search("red", mode="vector")) == [show]
    sync("django_series.Show")
    assert (site.state(episode), site.state(show)) == ("indexed", "deleted")


def test_a_row_that_is_no_derived_one_any_more_gets_the_video_of_the_parent(site: Site) -> None:
    episode = site.show("red", number=7)
    episode.save()
    show = site.Show.objects.get(pk=episode.pk)
    copy = site.Episode.objects.get(pk=episode.pk)
    episode.delete(keep_parents=True)
    assert (site.state(copy), site.state(show)) == ("deleted", "indexed")
    assert site.document(show) == {"title": "all red", "django_model": "django_series.show"}
    site.Episode(show_ptr=show, title=show.title, path=show.path, number=2).save()
    assert (site.state(copy), site.state(show)) == ("indexed", "deleted")
    copy.delete()
    assert (site.state(show), site.Show.objects.count()) == ("deleted", 0)


def test_a_row_with_rows_of_two_derived_models_has_a_video_of_each(site: Site) -> None:
    show = site.show("red")
    show.save()
    kinds = (site.Episode, site.Special)
    rows = [kind(show_ptr=show, title=show.title, path=show.path) for kind in kinds]
    for row in (*rows, rows[0]):
        row.save()
    states = [site.state(row) for row in (show, *rows)]
    assert states == ["deleted", "indexed", "indexed"]
    sync("--prune")
    assert [site.state(row) for row in (show, *rows)] == states
    special = site.Special.objects.get(pk=show.pk)
    special.delete(keep_parents=True)
    assert [site.state(row) for row in (show, *rows)] == ["deleted", "indexed", "deleted"]


def test_a_row_that_is_saved_as_a_proxy_is_registered_as_the_proxy_says(site: Site) -> None:
    from tests.django_series.models import Series

    show = Series(title="all red", path=str(site.files / "red.mp4"))
    show.save()
    assert site.document(show) == {"path": show.path, "django_model": "django_series.show"}


def test_prune_deletes_the_parents_videos_of_derived_rows(site: Site) -> None:
    from vidsearch_tasks import register_video

    episode = site.show("red", number=7)
    episode.save()
    show = site.Show(pk=episode.pk)
    register_video(show.vidsearch_id, uri=episode.path)  # as earlier versions did
    sync("--prune")
    assert (site.state(episode), site.state(show)) == ("indexed", "deleted")


def test_deleting_the_parent_deletes_the_video(site: Site) -> None:
    episode = site.show("red", number=7)
    episode.save()
    site.Show.objects.all().delete()
    assert site.state(episode) == "deleted"


def test_the_admin_site_shows_the_state_of_the_only_video(site: Site) -> None:
    from django.contrib import admin

    from vidsearch.contrib.django.admin import VideoAdmin

    episode = site.show("red", number=7)
    episode.save()
    shown = VideoAdmin(site.Show, admin.site)
    assert shown.vidsearch_state(site.Show.objects.get(pk=episode.pk)) == "indexed"


def test_a_derived_model_with_a_key_of_its_own_is_another_one(site: Site) -> None:
    from django.db import models
    from django.test.utils import isolate_apps

    from vidsearch.contrib.django.derived import derived_models
    from vidsearch.contrib.django.models import VideoModel

    with isolate_apps("tests.django_series"):

        class Work(VideoModel):
            class Meta:
                app_label = "django_series"

        class Part(Work):
            class Meta:
                app_label = "django_series"

        class Chapter(Part):
            class Meta:
                app_label = "django_series"

        class Copy(Work):
            number = models.AutoField(primary_key=True)
            work = models.OneToOneField(Work, models.CASCADE, parent_link=True)

            class Meta:
                app_label = "django_series"

        assert derived_models(Work) == [Part, Chapter]
        assert derived_models(Part) == [Chapter]
