"""Django rows whose documents show other rows."""

from __future__ import annotations

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
    assert sorted(document.pop("people")) == ["Grace", "Mary"]
    assert document == {
        "maker": "Ada",
        "get_kind_display": "interview",
        "django_model": "django_series.portrait",
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
