"""Files of Django rows that are replaced, under the same name or another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.django_site import Site

from vidsearch.contrib.django import sync
from vidsearch.errors import BackendUnavailableError, LeaseLostError
from vidsearch_tasks import video_status


@pytest.fixture
def overwriting(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A storage that keeps the name of a file which is uploaded again, as buckets do."""
    from django.core.files.storage import FileSystemStorage

    class Overwriting(FileSystemStorage):
        def get_available_name(self, name: str, max_length: int | None = None) -> str:
            self.delete(name)
            return name

    field = site.Film._meta.get_field("file")
    monkeypatch.setattr(field, "storage", Overwriting(tmp_path))
    monkeypatch.setattr(field, "upload_to", "")


def upload(folder: Path, colour: str, *, name: str) -> Any:
    from django.core.files.base import ContentFile

    return ContentFile((folder / f"{colour}.mp4").read_bytes(), name=name)


def with_clip(site: Site, folder: Path) -> Any:
    """A saved row whose video is a red ``clip.mp4``."""
    film = site.film("red")
    film.file = upload(folder, "red", name="clip.mp4")
    film.save()
    return film


@pytest.mark.usefixtures("overwriting")
@pytest.mark.parametrize("title", ["all red", "all blue"])
def test_a_file_that_is_replaced_under_its_name_is_embedded_again(
    site: Site, tmp_path: Path, title: str
) -> None:
    film, other = site.film("red"), site.film("blue")
    film.file = upload(tmp_path, "red", name="clip.mp4")
    film.save()
    other.save()
    film.title = title  # of the same and of another text
    film.file = upload(tmp_path, "blue", name="clip.mp4")
    film.save()
    assert film.file.name == "clip.mp4", "nothing of the row tells that its file is another"
    assert site.state(film) == "indexed"
    assert site.document(film)["title"] == title  # type: ignore[index]
    assert video_status(film.vidsearch_id).priority == "interactive"
    found = site.Film.objects.search("blue", mode="vector")
    assert set(found) == {film, other}
    assert found[0].vidsearch_hit.cosine == pytest.approx(found[1].vidsearch_hit.cosine)


@pytest.mark.usefixtures("overwriting")
def test_a_worker_that_has_read_the_file_before_loses_the_video(site: Site, tmp_path: Path) -> None:
    (film,) = site.Film._base_manager.bulk_create([site.film("red")])  # which registers nothing
    registry = site.services.registry
    fields = {**film.vidsearch_document(), sync.MODEL_FIELD: film.vidsearch_label()}
    registry.register(film.vidsearch_id, uri=film.vidsearch_uri(), fields=fields)
    lease = registry.claim(film.vidsearch_id, owner="a worker")
    film.file = upload(tmp_path, "blue", name="red.mp4")
    film.save()
    assert film.file.name == "red.mp4"
    assert site.state(film) == "indexed"
    assert site.document(film) == fields
    with pytest.raises(LeaseLostError):
        registry.renew(lease)


@pytest.mark.usefixtures("overwriting")
def test_a_video_whose_new_document_is_refused_is_not_deleted(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = with_clip(site, tmp_path)
    registry = site.services.registry
    registry.reopen(film.vidsearch_id, forget=True)
    registry.claim(film.vidsearch_id, owner="a worker")  # as of the first new file
    film.file = upload(tmp_path, "blue", name="clip.mp4")
    monkeypatch.setattr(site.Film, "vidsearch_document", lambda row: {"title": 2**70})
    film.save()
    assert site.state(film) == "registered"
    assert site.document(film) is not None


@pytest.mark.usefixtures("overwriting")
def test_the_same_file_uploaded_again_keeps_its_vectors(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = with_clip(site, tmp_path)
    with caplog.at_level("INFO"):
        film.file = upload(tmp_path, "red", name="clip2.mp4")  # as storages of Django name it
        film.save()
    assert site.state(film) == "indexed"
    assert f"video {film.vidsearch_id!r} unchanged: its vectors are current" in caplog.text
    assert video_status(film.vidsearch_id).uri.endswith("/clip2.mp4")


@pytest.mark.usefixtures("overwriting")
def test_a_save_within_a_save_leaves_the_new_file_known(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db.models.signals import post_save

    film = with_clip(site, tmp_path)
    before = video_status(film.vidsearch_id).indexed_at

    def save_again(instance: Any, update_fields: Any = None, **_: Any) -> None:
        if update_fields is None:
            instance.save(update_fields=["views"])

    receivers = list(post_save.receivers)
    post_save.connect(save_again, sender=site.Film)
    try:
        post_save.receivers = [*post_save.receivers[len(receivers) :], *receivers]
        post_save.sender_receivers_cache.clear()
        film.file = upload(tmp_path, "blue", name="clip.mp4")
        film.save()
    finally:
        post_save.receivers = receivers
        post_save.sender_receivers_cache.clear()
    after = video_status(film.vidsearch_id).indexed_at
    assert after != before
    film.save()
    assert video_status(film.vidsearch_id).indexed_at == after, "the file is read once"


@pytest.mark.usefixtures("overwriting")
def test_a_save_that_is_repeated_after_a_rollback_leaves_the_new_file_known(
    site: Site, tmp_path: Path
) -> None:
    from django.db import transaction

    film = with_clip(site, tmp_path)
    before = video_status(film.vidsearch_id).indexed_at
    film.file = upload(tmp_path, "blue", name="clip.mp4")
    with transaction.atomic():
        film.save()
        transaction.set_rollback(True)
    assert video_status(film.vidsearch_id).indexed_at == before
    film.save()
    assert video_status(film.vidsearch_id).indexed_at != before


@pytest.mark.usefixtures("overwriting")
def test_a_new_file_of_a_row_that_is_updated_in_bulk_is_embedded(
    site: Site, tmp_path: Path
) -> None:
    film = with_clip(site, tmp_path)
    before = video_status(film.vidsearch_id).indexed_at
    again = site.Film(pk=film.pk, title=film.title, file=upload(tmp_path, "blue", name="clip.mp4"))
    site.Film.objects.bulk_create(
        iter([again]), update_conflicts=True, update_fields=["title"], unique_fields=["id"]
    )
    assert video_status(film.vidsearch_id).indexed_at != before


def test_files_that_may_be_the_video_are_those_of_the_source_unless_nothing_tells(
    site: Site,
) -> None:
    from django.db import models
    from django.test.utils import isolate_apps

    from vidsearch.contrib.django.models import VideoModel

    with isolate_apps("films"):

        class Talk(VideoModel):
            file = models.FileField()
            subtitles = models.FileField()
            speaker = models.CharField(max_length=200)
            vidsearch_source = "file"
            vidsearch_fields = ("subtitles", "get_length")

            class Meta:
                app_label = "films"

            def vidsearch_uri(self) -> str:
                return f"s3://talks/{self.file.name}"

    assert Talk.vidsearch_file_columns() == {"file"}
    Talk.vidsearch_source = ""
    assert Talk.vidsearch_file_columns() == {"file", "subtitles"}
    Talk.vidsearch_source = "speaker"
    del Talk.vidsearch_uri
    assert Talk.vidsearch_file_columns() == set()


@pytest.mark.usefixtures("overwriting")
def test_a_row_whose_file_stays_is_not_embedded_again(site: Site, tmp_path: Path) -> None:
    film = with_clip(site, tmp_path)
    before = video_status(film.vidsearch_id).indexed_at
    film.title = "sunset"
    film.save()
    film.file = upload(tmp_path, "blue", name="clip.mp4")
    film.save(update_fields=["title"])
    assert video_status(film.vidsearch_id).indexed_at == before
    film.save()
    assert video_status(film.vidsearch_id).indexed_at != before


@pytest.mark.usefixtures("overwriting")
def test_a_new_file_that_is_not_the_video_embeds_nothing(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.Film, "vidsearch_source", "title")
    film = site.film("red", title=str(tmp_path / "red.mp4"))
    film.save()
    before = video_status(film.vidsearch_id).indexed_at
    film.file = upload(tmp_path, "blue", name="clip.mp4")
    film.save()
    assert video_status(film.vidsearch_id).indexed_at == before


@pytest.mark.usefixtures("overwriting")
def test_a_new_file_that_was_not_registered_is_told_with_what_makes_up_for_it(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def away(*args: Any, **options: Any) -> Any:
        raise BackendUnavailableError("the engine does not answer")

    film = with_clip(site, tmp_path)
    monkeypatch.setattr(sync, "register_videos", away)
    film.file = upload(tmp_path, "blue", name="clip.mp4")
    film.save()
    assert (
        "Run `manage.py vidsearch_sync --prune films.Film` and then "
        "`manage.py vidsearch reindex --changed` later"
    ) in caplog.text
