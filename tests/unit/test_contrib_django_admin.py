"""The admin site, the commands of ``manage.py``, and the settings of a Django project."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from tests.django_site import Site

from vidsearch.errors import BackendUnavailableError, ConfigError
from vidsearch.registry import Registry
from vidsearch.testing.in_process import videos_in_process
from vidsearch_tasks import configured, current_services, video_status


@pytest.fixture
def admin(site: Site) -> Any:
    """A client of somebody who may do everything."""
    from django.contrib.auth.models import User
    from django.test import Client

    user, _ = User.objects.get_or_create(username="admin", is_staff=True, is_superuser=True)
    client = Client()
    client.force_login(user)
    return client


def act(admin: Any, name: str, *films: Any) -> str:
    """The page after an action on films."""
    chosen = {"action": name, "_selected_action": [film.pk for film in films]}
    page: str = admin.post("/admin/films/film/", chosen, follow=True).content.decode()
    return page


def run(*arguments: str, **options: Any) -> str:
    from django.core.management import call_command

    out = io.StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


def test_the_list_of_rows_shows_where_their_videos_stand(
    site: Site, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.film("red").save()
    site.film("red", file="absent.mp4").save()
    site.film("red", file="").save()
    asked: list[Any] = []
    find_many = site.services.registry.find_many
    registry = site.services.registry
    monkeypatch.setattr(registry, "find_many", lambda ids: asked.append(ids) or find_many(ids))
    page = admin.get("/admin/films/film/").content.decode()
    for state in ("indexed", "failed: SourceNotFoundError", "not registered"):
        assert f'<td class="field-vidsearch_state">{state}' in page
    assert len(asked) == 1, "one request for the whole page"


def test_the_list_of_rows_is_shown_although_the_engine_is_away(
    site: Site, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = site.film("red")
    film.save()

    def away(*args: Any, **options: Any) -> Any:
        raise BackendUnavailableError("the engine does not answer")

    monkeypatch.setattr(Registry, "find_many", away)
    monkeypatch.setattr(Registry, "retry_many", away)
    page = admin.get("/admin/films/film/").content.decode()
    assert "unknown: the search engine is away" in page
    assert "engine does not answer" in act(admin, "retry", film)


def test_the_list_of_rows_tells_what_is_wrong_where_it_is_not_the_engine_that_is_away(
    site: Site, admin: Any
) -> None:
    site.film("red").save()
    engine = site.services.engine
    (registry,) = engine.indices_of(site.services.settings.index.registry)
    engine.delete_index(registry)
    page = admin.get("/admin/films/film/").content.decode()
    assert "unknown: " in page
    assert "is away" not in page
    assert "index create" in page


def test_the_list_of_rows_asks_for_no_states_that_it_does_not_show(
    site: Site, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.admin import site as admin_site

    site.film("red").save()
    asked: list[Any] = []
    monkeypatch.setattr(Registry, "find_many", lambda registry, ids: asked.append(ids) or {})
    monkeypatch.setattr(admin_site._registry[site.Film], "list_display", ("title",))
    assert "all red" in admin.get("/admin/films/film/").content.decode()
    assert asked == []


def test_the_list_of_rows_is_that_of_another_base_class_as_well(
    site: Site, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.contrib.admin import ModelAdmin
    from django.contrib.admin.views.main import ChangeList

    class Own(ChangeList):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.title = "of another package"

    monkeypatch.setattr(ModelAdmin, "get_changelist", lambda admin, request, **options: Own)
    site.film("red").save()
    page = admin.get("/admin/films/film/").content.decode()
    assert "of another package" in page
    assert '<td class="field-vidsearch_state">indexed' in page


def test_the_action_embeds_chosen_videos_again(site: Site, admin: Any) -> None:
    red, blue = site.Film.objects.bulk_create([site.film("red"), site.film("blue")])
    before = [video_status(film.vidsearch_id).indexed_at for film in (red, blue)]
    assert "1 video is to be embedded." in act(admin, "embed_again", red)
    after = [video_status(film.vidsearch_id) for film in (red, blue)]
    assert [str(record.state) for record in after] == ["indexed", "indexed"]
    assert after[0].indexed_at != before[0]
    assert after[1].indexed_at == before[1]


def test_the_action_reads_rows_where_they_are_written(
    site: Site, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connections, router

    class ReadsElsewhere:
        def db_for_read(self, model: Any, **hints: Any) -> str | None:
            return "archive" if model is site.Film else None

    film = site.film("red", title="new title")
    film.save()
    with connections["archive"].schema_editor() as editor:
        editor.create_model(site.Film)
    try:
        site.film("red", title="old title", pk=film.pk).save_base(raw=True, using="archive")
        monkeypatch.setattr(router, "routers", [ReadsElsewhere()])
        assert "1 video is to be embedded." in act(admin, "embed_again", film)
    finally:
        monkeypatch.undo()
        with connections["archive"].schema_editor() as editor:
            editor.delete_model(site.Film)
    assert (site.document(film) or {})["title"] == "new title"


def test_the_action_retries_failed_videos_and_tells_of_others(
    site: Site, admin: Any, tmp_path: Path
) -> None:
    late, good = site.Film.objects.bulk_create([site.film("red", file="l.mp4"), site.film("red")])
    assert site.state(late) == "failed"
    (tmp_path / "red.mp4").rename(tmp_path / "l.mp4")
    page = act(admin, "retry", late, good)
    assert "1 video is to be embedded." in page
    assert f'<a href="/admin/films/film/{good.pk}/change/">all red</a>: video ' in page
    assert "only failed or dead videos are retried" in page
    assert site.state(late) == "indexed"


def test_the_action_tells_which_videos_are_not_embedded_and_why(
    site: Site, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, broken, bare = site.Film.objects.bulk_create(
        [site.film("red"), site.film("blue", title="<b>"), site.film("green", file="")]
    )
    uri = site.Film.vidsearch_uri

    def untold(film: Any) -> Any:
        if film.pk == broken.pk:
            raise OSError("the storage does not answer")
        return uri(film)

    monkeypatch.setattr(site.Film, "vidsearch_uri", untold)
    page = act(admin, "embed_again", good, broken, bare)
    assert "1 video is to be embedded." in page
    assert "2 videos are not:" in page
    told = {film.pk: f'<a href="/admin/films/film/{film.pk}/change/">' for film in (broken, bare)}
    assert f"{told[broken.pk]}&lt;b&gt;</a>: films.Film {broken.pk} does not tell" in page
    assert "OSError: the storage does not answer" in page
    assert f"{told[bare.pk]}all green</a>: no video of it is registered: it has no file" in page
    assert site.state(good) == "indexed"


def test_the_action_names_ten_rows_at_most(site: Site, admin: Any) -> None:
    films = site.Film.objects.bulk_create([site.film("red", file="") for _ in range(12)])
    page = act(admin, "retry", *films)
    assert "0 videos are to be embedded." in page
    assert "12 videos are not:" in page
    assert page.count("no video of it is registered") == 10
    assert "The log has 2 more." in page


def test_the_action_tells_of_a_setting_that_is_wrong(
    site: Site, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = site.film("red")
    film.save()
    monkeypatch.setattr(site.Film, "vidsearch_source", "fil")
    assert "there is no such column" in act(admin, "embed_again", film)


def test_sync_registers_rows_of_before_and_deletes_videos_whose_rows_are_gone(
    site: Site,
) -> None:
    known, gone = site.Film.objects.bulk_create([site.film("red"), site.film("blue")])
    raw = site.Film._base_manager
    new, _ = raw.bulk_create([site.film("green"), site.film("red", file="")])
    site.Film.objects.filter(pk=gone.pk)._raw_delete("default")
    assert site.state(new) is None
    assert run("vidsearch_sync").splitlines() == [
        "films.Film: 1 registered, 1 unchanged, 0 deleted, 0 with errors",
        "django_series.Show: 0 registered, 0 unchanged, 0 deleted, 0 with errors",
        "django_series.Episode: 0 registered, 0 unchanged, 0 deleted, 0 with errors",
        "django_series.Special: 0 registered, 0 unchanged, 0 deleted, 0 with errors",
        "django_series.Part: 0 registered, 0 unchanged, 0 deleted, 0 with errors",
        "django_series.Portrait: 0 registered, 0 unchanged, 0 deleted, 0 with errors",
        "django_series.Offer: 0 registered, 0 unchanged, 0 deleted, 0 with errors",
    ]
    assert run("vidsearch_sync", "films.Film", "--prune") == (
        "films.Film: 0 registered, 2 unchanged, 1 deleted, 0 with errors\n"
    )
    assert [site.state(film) for film in (known, new, gone)] == ["indexed", "indexed", "deleted"]


def test_sync_refuses_what_is_no_model_of_videos(site: Site) -> None:
    from django.core.management import CommandError

    with pytest.raises(CommandError, match=r"'auth.User' is no .* there are: films.Film"):
        run("vidsearch_sync", "auth.User")


def test_the_command_line_of_vidsearch_has_the_settings_of_the_project(
    site: Site, capfd: pytest.CaptureFixture[str]
) -> None:
    from django.test import override_settings

    with override_settings(
        VIDSEARCH={"index": {"name": "films"}, "sources": {"roots": ["/films"]}}
    ):
        run("vidsearch", "settings", "--json")
    told = capfd.readouterr().out
    assert '"films"' in told
    assert '"/films"' in told
    with pytest.raises(SystemExit) as ended:
        run("vidsearch", "no-such-command")
    assert ended.value.code == 2


def test_a_command_that_is_interrupted_ends_in_its_own_way(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[None] = []
    wait = subprocess.Popen.wait

    def interrupted(process: Any, timeout: float | None = None) -> int:
        waits.append(None)
        if len(waits) == 1:
            raise KeyboardInterrupt  # as Ctrl-C in a terminal
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted)
    with pytest.raises(SystemExit) as ended:
        run("vidsearch", "no-such-command")
    assert ended.value.code == 2, "it was not killed"


def test_settings_are_those_of_the_project_and_else_of_the_environment(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.test import override_settings

    from vidsearch.contrib.django.settings import load_django_settings

    monkeypatch.setenv("VIDSEARCH_INDEX__NAME", "other")
    monkeypatch.setenv("VIDSEARCH_ENGINE__URL", "http://search.example:9200")
    with override_settings(VIDSEARCH={"index": {"name": "films"}, "celery_app": "a:b"}):
        settings = load_django_settings()
    assert (settings.index.name, settings.engine.url) == ("films", "http://search.example:9200")


def test_tests_may_override_the_settings(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.test import override_settings

    from vidsearch.contrib.django.settings import configure_from_django, load_django_settings

    with override_settings(VIDSEARCH={"index": {"name": "of-tests"}}):
        assert current_services() is site.services, "within videos_in_process()"
    monkeypatch.setattr(configured, "_current", configured._current)
    monkeypatch.setattr(configured, "_configured_in", configured._configured_in)
    configure_from_django()
    with override_settings(VIDSEARCH={"index": {"name": "of-tests"}}):
        assert current_services().settings.index.name == "of-tests"
        with videos_in_process(load_django_settings()) as running:
            assert running.settings.index.name == "of-tests"
    assert current_services().settings.index.name == "videos"


def test_the_command_line_sends_over_the_broker_of_the_celery_app(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.test import override_settings

    from vidsearch.contrib.django.settings import as_environment

    app = Celery("films", broker="redis://queue.example:6379/3", set_as_current=False)
    monkeypatch.setattr("tests.django_site.celery_app", app, raising=False)
    given: dict[str, Any] = {"celery_app": "tests.django_site:celery_app"}
    with override_settings(VIDSEARCH=given):
        assert as_environment() == {"VIDSEARCH_BROKER__URL": "redis://queue.example:6379/3"}
    given["broker"] = {"url": "redis://other.example:6379/0"}
    with override_settings(VIDSEARCH=given):
        assert as_environment() == {"VIDSEARCH_BROKER__URL": "redis://other.example:6379/0"}


def test_the_command_line_gets_secrets_and_not_asterisks(site: Site) -> None:
    from django.test import override_settings
    from pydantic import SecretStr

    from vidsearch.contrib.django.settings import as_environment

    headers = {"media.example": {"Authorization": SecretStr("Bearer abc")}}
    given = {"engine": {"api_key": SecretStr("abc")}, "sources": {"headers": headers}}
    with override_settings(VIDSEARCH=given):
        assert as_environment() == {
            "VIDSEARCH_ENGINE__API_KEY": "abc",
            "VIDSEARCH_SOURCES__HEADERS": '{"media.example": {"Authorization": "Bearer abc"}}',
        }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"index": {"nam": "films"}},
            r"VIDSEARCH in your settings\.py.*unknown setting index\.nam",
        ),
        ({"index": "films"}, "VIDSEARCH in your settings.py must be a dict of sections"),
        ([], "VIDSEARCH in your settings.py must be a dict of sections"),
        ({"celery_app": "filmsite.celery"}, 'must have the form "package.module:name"'),
        ({"celery_app": "absent.celery:app"}, "there is no module 'absent'"),
        ({"celery_app": "vidsearch:VideoSearch"}, "that is no Celery app: type"),
    ],
)
def test_wrong_settings_are_told(site: Site, given: Any, message: str) -> None:
    from django.test import override_settings

    from vidsearch.contrib.django.settings import configure_from_django

    with override_settings(VIDSEARCH=given), pytest.raises(ConfigError, match=message):
        configure_from_django()
