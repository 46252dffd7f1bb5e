"""Settings: where they come from, what is refused, what is hidden."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any

import pytest

from vidsearch.config import (
    Settings,
    load_settings,
    redact_url,
    setting_paths,
    variable_name,
)
from vidsearch.errors import ConfigError


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_arguments_win_over_variables_over_the_file_over_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings().engine.url == "http://localhost:9200"
    (tmp_path / "vidsearch.toml").write_text('[engine]\nurl = "http://file:1"\ntimeout = 7\n')
    assert load_settings().engine.url == "http://file:1"
    monkeypatch.setenv("VIDSEARCH_ENGINE__URL", "http://variable:2/")
    assert load_settings().engine.url == "http://variable:2"
    assert load_settings().engine.timeout == 7
    assert load_settings(engine={"url": "http://argument:3"}).engine.url == "http://argument:3"


def test_setting_that_is_an_object_is_that_of_the_first_place_that_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vidsearch.toml").write_text(
        '[sources.headers."a.example"]\nCookie = "file"\n[sources]\nmax_bytes = 7\n'
        "[broker.transport_options]\nsocket_timeout = 1\n"
    )
    assert list(load_settings().sources.headers) == ["a.example"]
    monkeypatch.setenv("VIDSEARCH_SOURCES", '{"headers": {"b.example": {}}, "per_host": 3}')
    assert list(load_settings().sources.headers) == ["b.example"]
    monkeypatch.setenv("VIDSEARCH_SOURCES__HEADERS", '{"c.example": {}}')
    assert list(load_settings().sources.headers) == ["c.example"]
    assert list(load_settings(sources={"headers": {"d": {}}}).sources.headers) == ["d"]
    monkeypatch.setenv("VIDSEARCH_SOURCES__HEADERS", "{}")
    settings = load_settings(broker={"transport_options": {}})
    assert (settings.sources.headers, settings.broker.transport_options) == ({}, {})
    assert (settings.sources.max_bytes, settings.sources.per_host) == (7, 3)


def test_vidsearch_config_names_the_file_which_must_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "other.toml"
    monkeypatch.setenv("VIDSEARCH_CONFIG", str(named))
    with pytest.raises(ConfigError, match=r"VIDSEARCH_CONFIG names '.*other.toml'"):
        load_settings()
    named.write_text('[model]\nname = "demo"\n')
    assert load_settings().model.name == "demo"


@pytest.mark.parametrize(
    ("variable", "hint"),
    [
        ("VIDSEARCH_ENGIN__URL", "did you mean VIDSEARCH_ENGINE__URL"),
        ("VIDSEARCH_ENGINE_URL", "did you mean VIDSEARCH_ENGINE__URL"),
        ("VIDSEARCH_ZZZZ", "unknown setting: VIDSEARCH_ZZZZ"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch, variable: str, hint: str
) -> None:
    monkeypatch.setenv(variable, "x")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert hint in str(caught.value)
    assert "`vidsearch settings`" in str(caught.value)


def test_variables_that_kubernetes_sets_for_services_are_no_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for service in ("VIDSEARCH", "VIDSEARCH_METRICS", "VIDSEARCH_PROD_PAGE"):
        monkeypatch.setenv(f"{service}_SERVICE_HOST", "10.0.0.7")
        monkeypatch.setenv(f"{service}_SERVICE_PORT", "9808")
        monkeypatch.setenv(f"{service}_SERVICE_PORT_HTTP", "9808")
        monkeypatch.setenv(f"{service}_PORT", "tcp://10.0.0.7:9808")
        monkeypatch.setenv(f"{service}_PORT_9808_TCP", "tcp://10.0.0.7:9808")
        for name, value in {"PROTO": "tcp", "PORT": "9808", "ADDR": "10.0.0.7"}.items():
            monkeypatch.setenv(f"{service}_PORT_9808_TCP_{name}", value)
    load_settings()
    monkeypatch.setenv("VIDSEARCH_METRICS_PORT", "9808")  # as a person would set it
    with pytest.raises(ConfigError, match="unknown setting: VIDSEARCH_METRICS_PORT"):
        load_settings()


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ('[engine]\nurll = "http://x:1"\n', "unknown setting engine.urll"),
        ("[nonsense]\nx = 1\n", "unknown setting nonsense"),
        ('[engine]\nurl = "localhost:9200"\n', "setting engine.url: must look like http://"),
        ('[engine]\nurl = "http://u:secret@x:1"\n', "must not hold credentials"),
        ('[engine]\nurl = "http://x:port"\n', "setting engine.url: must look like http://"),
        ('[engine]\nurl = "http://x:99999"\n', "setting engine.url: must look like http://"),
        ('[engine]\nurl = "http://[::1"\n', "setting engine.url: must look like http://"),
        ('[engine]\nurl = "http://a b:9200"\n', "setting engine.url: must look like http://"),
        ("[engine]\ntimeout = 0\n", "setting engine.timeout: Input should be greater than 0"),
        ('[index]\nquantization = "int3"\n', "setting index.quantization: Input should be"),
        ('[index]\nfield = "a.b"\n', "setting index.field"),
        *(
            (f'[index]\nname = "{name}"\n', "setting index.name: must be the name of one alias")
            for name in ("Videos", "Éa", "a b", "a,b", "videos*", "-videos", "a/b", "..")
        ),
        ('[search]\nkeyword_fields = ["title^x"]\n', "search.keyword_fields: 'title^x' must be a"),
        ('[search]\nkeyword_fields = ["^2"]\n', "search.keyword_fields: '^2' must be a field"),
        ("not toml at all", "settings cannot be read from 'vidsearch.toml': "),
        ("\ufeff[engine]\ntimeout = 7\n", "'vidsearch.toml': it begins with a byte order mark"),
    ],
)
def test_bad_value_is_refused_with_the_name_of_its_setting(
    tmp_path: Path, toml: str, message: str
) -> None:
    (tmp_path / "vidsearch.toml").write_text(toml, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_settings()
    assert message in str(caught.value)
    assert "secret" not in "".join(traceback.format_exception(caught.value))  # as with -v


@pytest.mark.parametrize("named", ["a" * 300, "loop"])
def test_file_that_cannot_be_looked_for_is_named(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.setenv("VIDSEARCH_CONFIG", named)
    with pytest.raises(ConfigError, match=f"settings cannot be looked for in '{named}': "):
        load_settings()


def test_folder_of_settings_that_may_not_be_entered_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def denied(path: Path, **_: Any) -> Any:  # as for a user who is not root
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", denied)
    with pytest.raises(ConfigError, match=r"in 'vidsearch.toml': Permission denied. Let this user"):
        load_settings()


@pytest.mark.skipif(not Path("/proc/self/mem").is_file(), reason="of Linux alone")
def test_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSEARCH_CONFIG", "/proc/self/mem")
    with pytest.raises(ConfigError, match="cannot be read from '/proc/self/mem': "):
        load_settings()


def test_list_that_is_no_json_is_refused_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSEARCH_SOURCES__HOSTS", '["example.com"]')
    monkeypatch.setenv("VIDSEARCH_SOURCES__ROOTS", "/srv/videos")
    with pytest.raises(ConfigError, match=r"read: VIDSEARCH_SOURCES__ROOTS must be a JSON list"):
        load_settings()
    monkeypatch.delenv("VIDSEARCH_SOURCES__ROOTS")
    monkeypatch.setenv("VIDSEARCH_WEB", "{bad")
    with pytest.raises(ConfigError, match=r"read: VIDSEARCH_WEB must be a JSON object"):
        load_settings()


def test_secrets_are_masked_in_every_representation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDSEARCH_ENGINE__PASSWORD", "hunter2")
    monkeypatch.setenv("VIDSEARCH_ENGINE__API_KEY", "hunter2")
    monkeypatch.setenv("VIDSEARCH_MODEL__TOKEN", "hunter2")
    monkeypatch.setenv("VIDSEARCH_BROKER__URL", "redis://u:hunter2@localhost/0")
    settings = load_settings()
    assert "hunter2" not in settings.model_dump_json()
    monkeypatch.setenv("VIDSEARCH_THUMBNAILS__URL", "smb://me:hunter2@nas/share")
    monkeypatch.setenv("VIDSEARCH_EMBEDDINGS__URL", "sftp://me:hunter2@nas/share")
    settings = load_settings()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)
    assert settings.engine.password is not None
    assert settings.engine.password.get_secret_value() == "hunter2"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://:pw@host:6379/0", "redis://:***@host:6379/0"),
        ("redis://me:pw@host/0", "redis://me:***@host/0"),
        ("amqp://token@host//", "amqp://***@host//"),
        ("redis://me:p@ss@[::1]:1/0", "redis://me:***@[::1]:1/0"),
        ("redis://:p;w@host/0", "redis://:***@host/0"),
        ("redis://:p/w@host/0", "redis://:***@host/0"),
        ("redis://me:p?w@a/b@host/0", "redis://me:***@host/0"),
        ("redis://h/0?password=pw&db=1", "redis://h/0?password=…&db=1"),
        ("redis://token:pw@h/0?ssl_cert_reqs=none", "redis://token:***@h/0?ssl_cert_reqs=none"),
        ("me:pw@host", "me:***@host"),
        ("host:6379", "host:6379"),
        ("sentinel://:pw@a:1;sentinel://:pw@b:2/0", "sentinel://:***@a:1;sentinel://:***@b:2/0"),
    ],
)
def test_redact_url_masks_password_or_token(url: str, shown: str) -> None:
    assert redact_url(url) == shown


def test_every_setting_has_a_description_and_a_variable() -> None:
    seen = set()
    for section, name, field in setting_paths():
        assert field.description, f"{section}.{name}"
        seen.add(variable_name(section, name))
    assert {"VIDSEARCH_ENGINE__URL", "VIDSEARCH_INDEX__NAME", "VIDSEARCH_BROKER__URL"} <= seen


def test_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ENGINE__URL", "ENGINE__API_KEY", "MODEL__REVISION", "MODEL__OFFLINE"):
        monkeypatch.setenv(f"VIDSEARCH_{name}", "")
    assert load_settings() == Settings()


def test_settings_are_frozen() -> None:
    settings = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.engine.url = "http://x:1"


@pytest.mark.parametrize(("section", "name", "field"), list(setting_paths()))
def test_description_of_a_setting_follows_the_style_of_references(
    section: str, name: str, field: Any
) -> None:
    starts = {
        bool: ("Whether to ",),
        int: ("Number of ", "Maximum ", "Rank constant "),
        float: ("Number of ", "Maximum ", "Length ", "Weight "),
    }
    assert field.description.endswith(".")
    assert field.description.startswith(starts.get(field.annotation, ("",)))
    assert not re.search(r"\b(ours?|most|moments?|the host)\b", field.description)
