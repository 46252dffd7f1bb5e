"""Django rows whose documents show other rows."""

from __future__ import annotations

from datetime import datetime
from datetime import timezone as dt_timezone
from typing import Any

import pytest
from tests.django_site import Site


@pytest.fixture
def people(site: Site) -> list[Any]:
    from tests.django_series.models import Person

    return [Person.objects.create(name=name) for name in ("Ada", "Grace", "Mary")]


def test_a_document_has_the_texts_of_related_rows_and_of_methods(
    site: Site, people: list[Any]
) -> None:
    from django.db import transaction

    with transaction.atomic():
        portrait = site.Portrait.objects.create(path=str(site.files / "red.mp4"), maker=people[0])
        portrait.people.set(people[1:])
    document = site.document(portrait)
    assert document
    assert document == {
        "maker": "Ada",
        "people": ["Grace", "Mary"],
        "get_kind_display": "interview",
        "django_model": "django_series.portrait",
    }


def test_a_document_has_the_rows_that_point_to_it_or_none(
    site: Site, people: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from tests.django_series.models import Note, Person, Review

    monkeypatch.setattr(site.Portrait, "vidsearch_fields", ("review", "note_set"))
    path = str(site.files / "red.mp4")
    with_notes, bare = (site.Portrait.objects.create(path=path, maker=people[0]) for _ in range(2))
    Review.objects.create(portrait=with_notes, text="fine")
    for text in ("b", "a"):
        Note.objects.create(portrait=with_notes, text=text)
    with_notes.save()
    assert (site.state(bare), site.state(with_notes)) == ("indexed", "indexed")
    document = {"review": "fine", "note_set": ["a", "b"], "django_model": "django_series.portrait"}
    assert site.document(with_notes) == document
    assert bare.vidsearch_document() == {"review": None, "note_set": []}
    with CaptureQueriesContext(connection) as queries:
        rows = list(site.Portrait.vidsearch_rows())
        assert [row.vidsearch_document()["note_set"] for row in rows] == [["a", "b"], []]
    assert len(queries) == 3, "one for the rows, one for each relation"
    values = {
        "names": lambda row: Person.objects.values_list("name", flat=True).order_by("-name"),
        "rows": lambda row: row.people.model.objects.all(),
        "made": lambda row: (word for word in ("x", "y")),
    }
    for name, method in values.items():
        monkeypatch.setattr(site.Portrait, name, method, raising=False)
    monkeypatch.setattr(site.Portrait, "vidsearch_fields", tuple(values))
    assert bare.vidsearch_document() == {
        "names": ["Mary", "Grace", "Ada"],
        "rows": ["Ada", "Grace", "Mary"],
        "made": ["x", "y"],
    }


def test_related_rows_are_read_with_one_query_for_each_relation(
    site: Site, people: list[Any]
) -> None:
    from django.core.management import call_command
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    path = str(site.files / "red.mp4")
    numbers = []
    for _ in range(2):
        site.Portrait.objects.bulk_create(
            [site.Portrait(path=path, maker=people[number]) for number in range(3)]
        )
        with CaptureQueriesContext(connection) as queries:
            call_command("vidsearch_sync", "django_series.Portrait", verbosity=0)
        numbers.append(len(queries))
    assert numbers[0] == numbers[1]


def test_rows_that_are_deleted_with_a_related_one_leave_the_index(
    site: Site, people: list[Any]
) -> None:
    portrait = site.Portrait.objects.create(path=str(site.files / "red.mp4"), maker=people[0])
    id = portrait.vidsearch_id
    people[0].delete()
    record = site.services.registry.find(id)
    assert record
    assert str(record.state) == "deleted"


@pytest.mark.parametrize("by", ["save", "sync"])
def test_a_document_is_in_the_language_and_time_zone_of_the_settings(
    site: Site, people: list[Any], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    from django.core.management import call_command
    from django.utils import timezone, translation

    noon = datetime(2026, 1, 2, 12, tzinfo=dt_timezone.utc)
    choice = site.Portrait._meta.get_field("kind")
    monkeypatch.setattr(choice, "choices", [("i", translation.gettext_lazy("Monday"))])
    values = {
        "lists": lambda row: [translation.gettext_lazy("Friday")],
        "at": lambda row: timezone.localtime(noon).isoformat(),
    }
    for name, method in values.items():
        monkeypatch.setattr(site.Portrait, name, method, raising=False)
    monkeypatch.setattr(site.Portrait, "vidsearch_fields", ("get_kind_display", *values))
    path = str(site.files / "red.mp4")
    with translation.override("de"), timezone.override("Asia/Tokyo"):
        assert translation.gettext("Monday") == "Montag"
        if by == "save":
            portrait = site.Portrait.objects.create(path=path, maker=people[0])
        else:
            (portrait,) = site.Portrait._base_manager.bulk_create(
                [site.Portrait(path=path, maker=people[0])]
            )
            call_command("vidsearch_sync", "django_series.Portrait", verbosity=0)
        assert (translation.get_language(), timezone.get_current_timezone_name()) == (
            "de",
            "Asia/Tokyo",
        )
    assert site.document(portrait) == {
        "get_kind_display": "Monday",
        "lists": ["Friday"],
        "at": "2026-01-02T06:00:00-06:00",
        "django_model": "django_series.portrait",
    }


@pytest.mark.parametrize(
    "lookups", [("maker", "people", "maker"), ("maker__made", "maker"), ("people", "maker__made")]
)
def test_a_relation_may_be_prefetched_more_than_once(
    site: Site, people: list[Any], monkeypatch: pytest.MonkeyPatch, lookups: tuple[str, ...]
) -> None:
    rows = site.Portrait._base_manager.prefetch_related(*lookups)
    monkeypatch.setattr(site.Portrait, "vidsearch_rows", lambda: rows.all())
    portrait = site.Portrait.objects.create(path=str(site.files / "red.mp4"), maker=people[0])
    document = site.document(portrait)
    assert document
    assert document["maker"] == "Ada"


def test_managers_of_other_packages_are_prefetched_as_they_are(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db.models.fields.related import RelatedField

    from vidsearch.contrib.django.documents import with_relations_as_written

    class Tags(RelatedField):
        """As django-taggit's: its manager refuses a queryset."""

    person = site.Portrait._meta.get_field("maker").related_model
    tags = Tags()
    tags.name, tags.is_relation, tags.remote_field = "tags", True, None
    tags.__dict__["related_model"] = person
    own = site.Portrait._meta.get_fields()
    monkeypatch.setattr(site.Portrait._meta, "get_fields", lambda: (*own, tags))
    rows = site.Portrait._base_manager.prefetch_related("tags", "people")
    lookups = with_relations_as_written(rows, using="default")._prefetch_related_lookups
    assert lookups[0] == "tags"
    assert lookups[1].prefetch_to == "people"


def test_a_set_of_a_method_is_the_same_document_in_every_process(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"b", "a", "d", "c"}
    monkeypatch.setattr(site.Film, "names", lambda row: names, raising=False)
    monkeypatch.setattr(site.Film, "vidsearch_fields", ("names",))
    assert site.film("red").vidsearch_document() == {"names": ["a", "b", "c", "d"]}


def test_related_rows_are_read_where_they_are_written(
    site: Site, people: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.test import override_settings
    from tests.django_series.models import Person

    class ReadsElsewhere:
        def db_for_read(self, model: Any, **hints: Any) -> str | None:
            return "archive" if model is Person else None  # where there is no such table

        def db_for_write(self, model: Any, **hints: Any) -> str:
            return "default"

    with override_settings(DATABASE_ROUTERS=[ReadsElsewhere()]):
        portrait = site.Portrait(path=str(site.files / "red.mp4"), maker_id=people[0].pk)
        portrait.save()
    document = site.document(portrait)
    assert document
    assert (document["maker"], document["people"]) == ("Ada", [])
