"""Django rows that ``bulk_create`` finds in the database already: they keep their primary keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.django_site import Site

from vidsearch_tasks import video_status

UPSERT: dict[str, Any] = {
    "update_conflicts": True,
    "unique_fields": ["slug"],
    "update_fields": ["title", "path"],
}


def test_a_row_that_keeps_its_key_is_registered_under_that_key(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    offer = site.offer("red")
    offer.save()
    again, other = site.offer("red", title="sunset"), site.offer("blue")
    given = again.pk
    site.Offer.objects.bulk_create([again, other], **UPSERT)
    assert site.document(offer)["title"] == "sunset"  # type: ignore[index]
    assert (site.state(offer), site.state(other)) == ("indexed", "indexed")
    assert site.services.registry.find(site.Offer.vidsearch_id_of(given)) is None
    assert caplog.text == ""


def test_a_row_that_keeps_its_key_is_found_by_several_columns(site: Site) -> None:
    from tests.django_series.models import Person

    vendor = Person.objects.create(name="Ada")
    first = site.offer("red", vendor=vendor, number=7)
    first.save()
    rows = [
        site.offer("red", slug=f"of-{n}", title=f"of {n}", vendor=vendor, number=n)
        for n in range(1, 9)
    ]
    site.Offer.objects.bulk_create(
        [*rows, site.offer("blue", vendor=vendor)],
        update_conflicts=True,
        unique_fields=["number", "vendor"],
        update_fields=["title"],
    )
    stored = list(site.Offer.objects.all())
    assert len(stored) == 9
    assert [site.document(row)["title"] for row in stored] == [row.title for row in stored]  # type: ignore[index]
    assert site.document(first)["title"] == "of 7"  # type: ignore[index]


def test_rows_whose_keys_are_unknown_are_left_to_sync_and_logged(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db.models import QuerySet

    site.offer("red").save()
    create = QuerySet.bulk_create

    def as_mysql(*args: Any, unique_fields: Any, **options: Any) -> Any:
        assert unique_fields is None, "it takes none"
        return create(*args, unique_fields=["slug"], **options)

    monkeypatch.setattr(QuerySet, "bulk_create", as_mysql)
    again = [site.offer("red", title="sunset"), site.offer("blue")]
    site.Offer.objects.bulk_create(again, **{**UPSERT, "unique_fields": None})
    assert site.state(again[1]) == "indexed"
    assert "1 rows of django_series.Offer are not registered" in caplog.text
    assert "manage.py vidsearch_sync django_series.Offer" in caplog.text


def test_keys_that_cannot_be_read_raise_nothing_and_are_logged(
    site: Site, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import OperationalError

    from vidsearch.contrib.django import stored_keys

    def away(*_: Any) -> Any:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(stored_keys, "text_of_key", away)
    site.Offer.objects.bulk_create([site.offer("red")], **UPSERT)
    assert site.Offer.objects.count() == 1
    assert "cannot be read: OperationalError: server closed the connection" in caplog.text
    assert "manage.py vidsearch_sync django_series.Offer" in caplog.text


def test_a_null_among_the_unique_columns_gives_no_key_of_another_row(site: Site) -> None:
    from vidsearch.contrib.django.stored_keys import stored_keys

    site.offer("red", number=7).save()
    made = site.offer("blue", number=7)  # not saved: as one whose key the database did not give
    keys = stored_keys(site.Offer, [made], ["vendor", "number"], using="default")
    assert keys == [None]


def test_values_of_json_are_compared_in_any_order_of_their_keys() -> None:
    from django.db.models import JSONField

    from vidsearch.contrib.django.stored_keys import _as_python

    first, second = ([{"a": 1, "b": [2]}], [{"b": [2], "a": 1}])
    assert {_as_python([JSONField()], first)} == {_as_python([JSONField()], second)}


def test_rows_that_conflict_by_their_keys_need_no_further_query(site: Site) -> None:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    offer, options = site.offer("red"), {**UPSERT, "unique_fields": ["pk"]}
    site.Offer.objects.bulk_create([offer], **options)
    offer.title = "sunset"
    with CaptureQueriesContext(connection) as queries:
        site.Offer.objects.bulk_create([offer], **options)
    assert site.document(offer)["title"] == "sunset"  # type: ignore[index]
    statements = [one["sql"] for one in queries if "django_series_offer" in one["sql"]]
    assert len(statements) == 3, "it is written, read, and still there after it is registered"


def test_a_new_file_of_a_row_that_keeps_its_key_is_embedded(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.files.base import ContentFile
    from django.core.files.storage import FileSystemStorage

    class Overwriting(FileSystemStorage):
        def get_available_name(self, name: str, max_length: int | None = None) -> str:
            self.delete(name)
            return name

    monkeypatch.setattr(site.Offer, "vidsearch_source", "file")
    monkeypatch.setattr(site.Offer._meta.get_field("file"), "storage", Overwriting(tmp_path))
    offers, seen = [], set()
    for colour in ("red", "blue"):
        clip = ContentFile((tmp_path / f"{colour}.mp4").read_bytes(), name="clip.mp4")
        offers.append(site.offer("one", file=clip))
        site.Offer.objects.bulk_create([offers[-1]], **UPSERT)
        seen.add(video_status(offers[0].vidsearch_id).content)
    assert site.state(offers[0]) == "indexed"
    assert len(seen) == 2
