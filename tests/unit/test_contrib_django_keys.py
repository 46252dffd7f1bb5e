"""Primary keys of Django rows in the ids of their videos."""

from __future__ import annotations

import io
from typing import Any

import pytest
from tests.django_site import Site


@pytest.fixture
def parts(site: Site) -> list[Any]:
    """Rows whose primary key is a number and a text."""
    return [
        site.Part(reel=1, language=language, path=str(site.files / f"{colour}.mp4"))
        for language, colour in [('fr:"ça",', "red"), ("en", "blue")]
    ]


def test_rows_with_a_composite_primary_key_are_registered_found_and_deleted(
    site: Site, parts: list[Any]
) -> None:
    from django.core.management import call_command

    first, second = parts
    first.save()
    site.Part.objects.bulk_create([second])
    assert second.vidsearch_id == 'django_series.part:["1","en"]'
    assert [site.state(part) for part in parts] == ["indexed", "indexed"]
    found = site.Part.objects.search("red", mode="vector")
    assert (list(found), found.missing) == (parts, ())
    assert list(site.Part.objects.search(like=first)) == [second]
    site.Part.objects.filter(language="en").update(path=first.path)
    site.Part.objects.filter(language="en")._raw_delete("default")
    out = io.StringIO()
    call_command("vidsearch_sync", "django_series.Part", "--prune", stdout=out)
    assert "0 registered, 1 unchanged, 1 deleted, 0 with errors" in out.getvalue()
    assert [site.state(part) for part in parts] == ["indexed", "deleted"]
    id = first.vidsearch_id
    first.delete()
    assert str(site.services.registry.get(id).state) == "deleted"


@pytest.mark.parametrize(
    "text", ["1", '["1"]', '["one","en"]', '{"reel": 1}', '["1",["en"]]', '["1","en"', ""]
)
def test_an_id_of_something_else_is_no_primary_key(site: Site, text: str) -> None:
    assert site.Part.vidsearch_pk_of(f"django_series.part:{text}") is None
    assert site.Part.vidsearch_pk_of('films.film:["1","en"]') is None
    assert site.Part.vidsearch_pk_of('django_series.part:["1","en"]') == (1, "en")
