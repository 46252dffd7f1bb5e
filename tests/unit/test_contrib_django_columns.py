"""Columns of Django rows that are no plain texts: their values in documents, their changes."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from tests.django_site import Site


def test_decimals_and_durations_become_numbers_in_the_document(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.Offer, "vidsearch_fields", ("price", "length"))
    offer = site.offer("red", price=Decimal("9.50"), length=timedelta(days=1, milliseconds=250))
    offer.save()
    document = site.document(offer)
    assert document
    assert (document["price"], document["length"]) == (9.5, 86400.25)
    assert {type(document[name]) for name in ("price", "length")} == {float}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("0.1"), 0.1),
        (Decimal(7), 7.0),
        (Decimal("123456789012345678.91"), 123456789012345678.91),
        (Decimal("1E+400"), "1E+400"),
        (Decimal("Infinity"), None),
        (Decimal("sNaN"), None),
        (
            {"prices": [Decimal("1.5"), (Decimal("2.5"), {Decimal("3.5")})]},
            {"prices": [1.5, [2.5, [3.5]]]},
        ),
        (timedelta(seconds=-1.5), -1.5),
    ],
)
def test_numbers_of_methods_are_numbers_unless_no_float_is_as_large(
    site: Site, monkeypatch: pytest.MonkeyPatch, value: Any, expected: Any
) -> None:
    monkeypatch.setattr(site.Offer, "told", lambda row: value, raising=False)
    monkeypatch.setattr(site.Offer, "vidsearch_fields", ("told",))
    told = site.offer("red").vidsearch_document()["told"]
    assert (told, type(told)) == (expected, type(expected))


def test_a_row_is_registered_when_a_column_changes_that_a_generated_one_is_made_of(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.Offer, "vidsearch_fields", ("shown",))
    offer = site.offer("red", title="first")
    offer.save()

    def shown() -> Any:
        document = site.document(offer)
        return document and document["shown"]

    assert shown() == "FIRST"
    site.Offer.objects.update(title="second")
    assert shown() == "SECOND"
    offer.title = "third"
    offer.save(update_fields=["title"])
    assert shown() == "THIRD"
    offer.title = "fourth"
    site.Offer.objects.bulk_update([offer], ["title"])
    assert shown() == "FOURTH"
    site.Offer.objects.update_or_create(pk=offer.pk, defaults={"title": "fifth"})
    assert shown() == "FIFTH"


def test_a_row_is_registered_when_a_column_of_its_generic_relation_changes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.contenttypes.models import ContentType
    from tests.django_series.models import Person

    monkeypatch.setattr(site.Offer, "vidsearch_fields", ("about",))
    ada, grace = (Person.objects.create(name=name) for name in ("Ada", "Grace"))
    offer = site.offer("red", about=ada)
    offer.save()
    assert site.document(offer)["about"] == "Ada"  # type: ignore[index]
    site.Offer.objects.update(object_id=grace.pk)
    assert site.document(offer)["about"] == "Grace"  # type: ignore[index]
    other = ContentType.objects.get_for_model(site.Film)
    for values in ({"content_type": other}, {"content_type_id": other.pk}):
        assert site.Offer.vidsearch_depends_on(values)
    assert not site.Offer.vidsearch_depends_on(["views", "title"])


@pytest.mark.parametrize(
    ("model", "name", "columns"),
    [
        ("Portrait", "maker", {"maker", "maker_id"}),
        ("Portrait", "people", set()),
        ("Portrait", "review", set()),
        ("Offer", "title", {"title"}),
    ],
)
def test_columns_that_a_field_does_not_come_from_reach_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch, model: str, name: str, columns: set[str]
) -> None:
    kind = getattr(site, model)
    monkeypatch.setattr(kind, "vidsearch_fields", (name,))
    others = {field.attname for field in kind._meta.concrete_fields} | {"maker", "about"}
    others -= {"path", "id"}
    assert {each for each in others if kind.vidsearch_depends_on([each])} == columns
    assert kind.vidsearch_depends_on(["path"])
