"""Brokers that Celery cannot use are refused in one sentence, and no password is shown."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator

import pytest
from celery import Celery
from kombu.exceptions import ContentDisallowed, OperationalError
from redis.exceptions import MovedError, ResponseError
from tests.command_line import Run, runner

from vidsearch.config import Settings, redact_url
from vidsearch.errors import BackendUnavailableError, ConfigError, VidsearchError
from vidsearch.registry import Registry
from vidsearch.registry.index import create_registry_index
from vidsearch.testing.memory_engine import MemoryEngine
from vidsearch_tasks import Services, make_app, queue_depth, register_video
from vidsearch_tasks.broker_url import is_unverified, require_usable
from vidsearch_tasks.connection import broker_errors

ENCODE = "write redis://host:6379/0, and a / in a password as %2F"
PIECES = ("hunter", "secret")
"""Of every password below; some are cut in two by a character that is not encoded."""

MALFORMED = [
    "redis://:hunter2/secret@127.0.0.1:1/0",
    "redis://:12/hunter2@127.0.0.1:1/0",
    "redis://me:hunter2?secret@127.0.0.1:1/0",
    "redis://me:hunter2#secret@127.0.0.1:1/0",
    "redis://me:12#secret@127.0.0.1:1/0",
    "redis://me:hunter2[secret@127.0.0.1:1/0",
    "redis://me:hunter2;secret@127.0.0.1:1/0",
    "redis://me:hunter2@secret/x@127.0.0.1:1/0",
    "redis://me:hunter2 secret@127.0.0.1:1/0",
    "redis://:hunter2@127.0.0.1:1/0\n",
    "redis://:hunter2@127.0.0.1:99999999/0",
    "redis://:hunter2@127.0.0.1:port/0",
    "redis://:hunter2@:1/0",
    "redis://:hunter2@127.0.0.1:1/shop",
    "redis://:hunter2",
    "redis://me:hunter2/0",
    "rediss://:hunter2@127.0.0.1:1/0?ssl_cert_reqs=maybe",
    "amqp://me:hunter2/secret@127.0.0.1:1//",
    "amqp://me:12/secret@127.0.0.1:1//",
    "redis:/:hunter2@127.0.0.1:1/0",
    ":hunter2@127.0.0.1:1/0",
    '"redis://:hunter2@127.0.0.1:1/0"',
    "redis+cluster://:hunter2@127.0.0.1:1/0",
    "rediss+cluster://:hunter2@127.0.0.1:1/0",
    "kafka://me:hunter2@127.0.0.1:1",
    "sentinel://:hunter2@127.0.0.1:1;sentinel://:secret@127.0.0.1:2",
    "sentinel://:hunter2@127.0.0.1:1,127.0.0.1:2/0",
]
AWAY = [
    "redis://:hunter2@127.0.0.1:1/0",
    "rediss://me:hunter2%2Fsecret@127.0.0.1:1/0?ssl_cert_reqs=required",
    "redis+socket://:hunter2@/nowhere/redis.sock",
    "amqp://me:hunter2%2Fsecret@127.0.0.1:1//",
    "redis://:hunter2@127.0.0.1:1/0;redis://:secret@127.0.0.1:2/0",
]


def shown_of(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))  # as with -v


@pytest.fixture
def no_password(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[[str], None]]:
    """Looks for pieces of passwords in a text, and at the end in logs and output."""

    def check(text: str) -> None:
        assert not [piece for piece in PIECES if piece in text], text

    with caplog.at_level(logging.DEBUG):
        yield check
    check(caplog.text)
    out, err = capsys.readouterr()
    check(out + err)


def registering(url: str) -> Services:
    """Of an application with its own app, as it has no part in checking the URL."""
    engine, settings = MemoryEngine(), Settings()
    create_registry_index(engine, settings.index)
    app = Celery("application", broker=url, set_as_current=False)
    services = Services(settings, app=app)
    services.__dict__["engine"] = engine
    services.__dict__["registry"] = Registry(engine, index=settings.index.registry)
    return services


@pytest.mark.parametrize("url", MALFORMED)
def test_malformed_url_is_refused_everywhere_without_its_password(
    url: str, no_password: Callable[[str], None]
) -> None:
    services = registering(url)
    calls: list[Callable[[], object]] = [
        lambda: make_app(Settings(broker={"url": url})),
        lambda: register_video("a", uri="/a.mp4", services=services),
        lambda: queue_depth(services.app, queue="q"),
    ]
    for call in calls:
        with pytest.raises(ConfigError, match=r"^broker\.url .* is not usable: ") as caught:
            call()
        no_password(shown_of(caught.value))


@pytest.mark.parametrize("url", AWAY)
def test_broker_that_is_away_is_told_without_its_password(
    url: str, no_password: Callable[[str], None]
) -> None:
    services = registering(url)
    services.app.conf.broker_transport_options = {"max_retries": 0, "socket_connect_timeout": 1}
    services.app.conf.broker_connection_timeout = 1
    with pytest.raises(BackendUnavailableError, match="video 'a' is registered") as caught:
        register_video("a", uri="/a.mp4", services=services)
    no_password(shown_of(caught.value))


@pytest.mark.parametrize("url", [*MALFORMED, AWAY[0], AWAY[3]])
def test_commands_exit_without_a_traceback_or_the_password(
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("VIDSEARCH_BROKER__URL", url)
    monkeypatch.setenv("VIDSEARCH_ENGINE__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("VIDSEARCH_ENGINE__KIND", "elasticsearch")
    monkeypatch.setenv("VIDSEARCH_MODEL__NAME", "/nowhere")
    run: Run = runner(capsys)
    for command in (("check", "--json"), ("settings",)):
        told = run(*command)
        assert not [piece for piece in PIECES if piece in told.out + told.err], told
        assert "Traceback" not in told.err
        if command[0] == "check":
            broker = next(one for one in told.data if one["part"] == "broker")
            assert not broker["ok"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("redis+cluster://h:1", "Celery cannot work with a Redis Cluster; use"),
        ("kafka://h:1", "vidsearch works with redis, rediss, redis+socket, sentinel, amqp, amqps"),
        ("redis://:a/b@h:1/0", f"its host or port cannot be read; {ENCODE}"),
        ("redis://:1/b@h:1/0", f"a character in it must be percent-encoded; {ENCODE}"),
        ("redis://h:1/shop", "its database must be a number"),
        ("rediss://h:1?ssl_cert_reqs=yes", "ssl_cert_reqs must be required, optional or none"),
        ("", "vidsearch works with redis"),
    ],
)
def test_refused_url_says_why(url: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        require_usable(url, {})
    assert f"is not usable: {why}" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://",
        "redis://h",
        "redis://h:1/",
        "redis://:p%2Fw@h:1/3",
        "redis://me:p:w@[::1]:1/0",
        "rediss://h:1/0?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs=/etc/ca.pem",
        "redis+socket:///run/redis.sock?virtual_host=2",
        "amqp://guest:guest@h:1//",
        "amqps://h/shop",
        "memory://",
        "redis://a:1/0;redis://b:2/0",
        "sentinel://:pw@a:1;sentinel://b:2/0",
    ],
)
def test_usable_url_is_accepted(url: str) -> None:
    require_usable(url, {"master_name": "shop"})


def test_sentinel_without_the_name_of_its_group_is_refused() -> None:
    with pytest.raises(ConfigError, match=r'broker\.transport_options to \{"master_name": "…"\}'):
        make_app(Settings(broker={"url": "sentinel://h:26379"}))
    options = {"master_name": "shop", "global_keyprefix": "shop-"}
    app = make_app(Settings(broker={"url": "sentinel://h:26379", "transport_options": options}))
    assert options.items() <= app.conf.broker_transport_options.items()
    assert app.conf.broker_transport_options["visibility_timeout"] > 7200


@pytest.mark.parametrize(
    ("url", "ssl", "unverified"),
    [
        ("rediss://h", None, True),
        ("rediss://h?ssl_cert_reqs=none", None, True),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", None, True),
        ("rediss://h?ssl_cert_reqs=required", None, False),
        ("rediss://h?ssl_ca_certs=/ca.pem", None, False),
        ("rediss://h", {"ssl_cert_reqs": 0}, True),
        ("rediss://h", {"ssl_ca_certs": "/ca.pem"}, False),
        ("rediss://a?ssl_cert_reqs=required;rediss://b", None, True),
        ("redis://h", None, False),
        ("amqps://h", None, False),
    ],
)
def test_tls_that_takes_any_certificate_is_recognised(
    url: str, ssl: dict[str, object] | None, unverified: bool
) -> None:
    assert is_unverified(url, ssl=ssl) is unverified


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (MovedError("3999 127.0.0.1:7001"), ConfigError, "cannot work with a Redis Cluster"),
        (ContentDisallowed("pickle"), ConfigError, "set task_serializer of its Celery app"),
        (
            ResponseError("WRONGPASS for hunter2"),
            BackendUnavailableError,
            "WRONGPASS for \\*\\*\\*",
        ),
        (OperationalError("redis://me:hunter2@h:1"), BackendUnavailableError, "me:\\*\\*\\*@h:1"),
    ],
)
def test_errors_of_the_client_stay_in_the_tree(
    error: Exception, kind: type[VidsearchError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught, broker_errors("redis://me:hunter2@h:1"):
        raise error
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hunter2", "redis://:***"),
        ("redis://me:hunter2/0", "redis://me:***"),
        ("redis://h:6379", "redis://h:6379"),
        ("redis://[::1]:6379/0", "redis://[::1]:6379/0"),
        ("file:///srv/a:b", "file:///srv/a:b"),
        ("/srv/a:b", "/srv/a:b"),
    ],
)
def test_redact_url_masks_what_stands_for_a_port_and_is_none(url: str, shown: str) -> None:
    assert redact_url(url) == shown
