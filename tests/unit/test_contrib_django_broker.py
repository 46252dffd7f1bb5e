"""The broker that ``manage.py vidsearch`` uses: that of the project's Celery app."""

from __future__ import annotations

import json
import socket
import ssl
from typing import Any
from urllib.parse import unquote

import pytest
from celery import Celery
from tests.django_site import Site

from vidsearch.config import load_settings
from vidsearch.errors import ConfigError
from vidsearch_tasks.celery_app import make_app

REDIS = "redis://queue.example:6379/3"
RABBITMQ = "amqp://user:word@queue.example//"
PREFIX = {"global_keyprefix": "site-"}


def environment(
    monkeypatch: pytest.MonkeyPatch, url: str, *, own: dict[str, Any] | None = None, **conf: Any
) -> dict[str, str]:
    """What the command line gets of an app with these settings, and of a ``VIDSEARCH``."""
    from django.test import override_settings

    from vidsearch.contrib.django.settings import as_environment

    app = Celery("films", broker=url, set_as_current=False)
    app.conf.update(conf)
    monkeypatch.setattr("tests.django_site.celery_app", app, raising=False)
    given: dict[str, Any] = {"celery_app": "tests.django_site:celery_app"}
    with override_settings(VIDSEARCH=given | ({"broker": own} if own else {})):
        return as_environment()


def connected(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> Any:
    """The connection of the command line with such an environment; it is not opened."""
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return make_app(load_settings()).connection_for_write()


def test_the_command_line_has_the_transport_options_of_the_celery_app(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"visibility_timeout": 15_000, "priority_steps": (0, 5), **PREFIX}
    given = environment(monkeypatch, REDIS, broker_transport_options=options)
    assert json.loads(given.pop("VIDSEARCH_BROKER__TRANSPORT_OPTIONS")) == {
        "priority_steps": [0, 5],
        **PREFIX,
    }
    assert given == {"VIDSEARCH_BROKER__URL": REDIS}
    sentinel = "sentinel://a.example:26379;sentinel://b.example:26379"
    given = environment(monkeypatch, sentinel, broker_transport_options={"master_name": "films"})
    assert connected(monkeypatch, given).transport_options["master_name"] == "films"


def test_transport_options_of_vidsearch_go_before_those_of_the_celery_app(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "VIDSEARCH_BROKER__TRANSPORT_OPTIONS"
    own = {"transport_options": {"global_keyprefix": "own-"}}
    both = {"socket_timeout": 5, **PREFIX}
    given = environment(monkeypatch, REDIS, own=own, broker_transport_options=both)
    assert json.loads(given[name]) == {"global_keyprefix": "own-", "socket_timeout": 5}
    given = environment(monkeypatch, REDIS, own={"url": REDIS}, broker_transport_options=PREFIX)
    assert json.loads(given[name]) == PREFIX
    other = {"url": "redis://other.example:6379/0"}
    assert name not in environment(monkeypatch, REDIS, own=other, broker_transport_options=PREFIX)


def test_transport_options_that_json_cannot_hold_are_left_out_and_named(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    options = {"socket_keepalive_options": {socket.SO_KEEPALIVE: 1}, **PREFIX}
    given = environment(monkeypatch, REDIS, broker_transport_options=options)
    assert json.loads(given["VIDSEARCH_BROKER__TRANSPORT_OPTIONS"]) == PREFIX
    assert "connects to the broker without socket_keepalive_options of" in caplog.text


@pytest.mark.parametrize("url", [REDIS, "rediss://queue.example/3", "sentinel://queue.example"])
def test_tls_of_redis_is_verified_as_the_celery_app_does(
    site: Site, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    use = {
        "ssl_cert_reqs": ssl.CERT_REQUIRED,
        "ssl_ca_certs": "/etc/a folder/ca.pem",
        "ssl_check_hostname": False,
    }
    options = {"master_name": "films"} if url.startswith("sentinel") else {}
    given = environment(monkeypatch, url, broker_use_ssl=use, broker_transport_options=options)
    assert connected(monkeypatch, given).ssl == use


@pytest.mark.parametrize("url", [REDIS, RABBITMQ])
def test_tls_is_taken_over_where_vidsearch_repeats_the_url_of_the_celery_app(
    site: Site, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    use = {"ssl_ca_certs": "/etc/ca.pem"} if url == REDIS else {"ca_certs": "/etc/ca.pem"}
    own = {"url": url, "transport_options": {"socket_timeout": 5}}
    said = environment(monkeypatch, url, own=own, broker_use_ssl=use)
    assert "/etc/ca.pem" in unquote(" ".join(said.values()))
    assert json.loads(said["VIDSEARCH_BROKER__TRANSPORT_OPTIONS"])["socket_timeout"] == 5
    assert said["VIDSEARCH_BROKER__URL"] != url


def test_tls_of_rabbitmq_is_verified_as_the_celery_app_does(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    use = {"ca_certs": "/etc/ca.pem", "cert_reqs": ssl.CERT_REQUIRED}
    found = connected(monkeypatch, environment(monkeypatch, RABBITMQ, broker_use_ssl=use))
    assert (found.transport_cls, found.transport_options["ssl"]) == ("amqps", use)
    found = connected(monkeypatch, environment(monkeypatch, RABBITMQ, broker_use_ssl=True))
    assert (found.transport_cls, found.userid, found.password) == ("amqps", "user", "word")


@pytest.mark.parametrize(
    ("url", "use", "expected"),
    [
        ("rediss://a:6379/0", True, "rediss://a:6379/0?ssl_cert_reqs=required"),
        ("redis://a:6379/0", True, "redis://a:6379/0"),
        ("rediss://a:6379/0", {"ssl_cert_reqs": None}, "rediss://a:6379/0?ssl_cert_reqs=none"),
        (
            "rediss://a:6379/0",
            {"ssl_cert_reqs": "required", "ssl_keyfile": None, "ssl_password": None},
            "rediss://a:6379/0?ssl_cert_reqs=required",
        ),
        ("rediss://a/0?ssl_cert_reqs=none", {"ssl_cert_reqs": "required"}, None),
        ("redis+socket:///run/redis.sock", {"ssl_cert_reqs": "required"}, None),
        (
            "rediss://a:6379/0?health_check_interval=5;rediss://b:6379/0",
            {"ssl_cert_reqs": "required"},
            (
                "rediss://a:6379/0?health_check_interval=5&ssl_cert_reqs=required;"
                "rediss://b:6379/0?ssl_cert_reqs=required"
            ),
        ),
    ],
)
def test_a_url_says_what_broker_use_ssl_says_unless_it_has_its_own_parameters(
    site: Site, monkeypatch: pytest.MonkeyPatch, url: str, use: Any, expected: str | None
) -> None:
    given = environment(monkeypatch, url, broker_use_ssl=use)
    assert given == {"VIDSEARCH_BROKER__URL": expected or url}


@pytest.mark.parametrize(
    ("url", "use", "name"),
    [
        (REDIS, {"ssl_password": "s3cret"}, "ssl_password"),
        (REDIS, {"ssl_min_version": ssl.TLSVersion.TLSv1_3}, "ssl_min_version"),
        (RABBITMQ, {"server_hostname": None}, "server_hostname"),
    ],
)
def test_tls_that_cannot_be_taken_over_is_refused_unless_vidsearch_names_its_own(
    site: Site, monkeypatch: pytest.MonkeyPatch, url: str, use: dict[str, Any], name: str
) -> None:
    from django.core.management import CommandError, call_command

    with pytest.raises(ConfigError, match=f"cannot take over '{name}' of broker_use_ssl") as said:
        environment(monkeypatch, url, broker_use_ssl=use)
    assert "s3cret" not in str(said.value)
    with pytest.raises(ConfigError, match=name):
        environment(monkeypatch, url, own={"url": url}, broker_use_ssl=use)
    if url == RABBITMQ:
        own: dict[str, Any] = {"transport_options": {"ssl": {"ca_certs": "/etc/ca.pem"}}}
        found = connected(monkeypatch, environment(monkeypatch, url, own=own, broker_use_ssl=use))
        assert (found.transport_cls, found.transport_options["ssl"]) == (
            "amqps",
            {"ca_certs": "/etc/ca.pem"},
        )
    else:
        own = {"url": f"{url}?ssl_cert_reqs=required"}
        given = environment(monkeypatch, url, own=own, broker_use_ssl=use)
        assert given == {"VIDSEARCH_BROKER__URL": own["url"]}

    from django.test import override_settings

    vidsearch = {"celery_app": "tests.django_site:celery_app"}
    with override_settings(VIDSEARCH=vidsearch), pytest.raises(CommandError, match=name):
        call_command("vidsearch", "settings")
