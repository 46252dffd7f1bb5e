"""The broker of the project's Celery app as settings of vidsearch, for ``manage.py vidsearch``."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

from vidsearch.config import split_urls
from vidsearch.errors import ConfigError
from vidsearch_tasks.broker_url import broker_url, is_rabbitmq

if TYPE_CHECKING:
    from celery import Celery

__all__ = ["broker_section"]

_log = logging.getLogger(__name__)

_TLS_IN_QUERY = ("redis", "rediss", "sentinel")
_REQUIREMENTS: Mapping[Any, str] = {
    ssl.CERT_REQUIRED: "required",
    ssl.CERT_OPTIONAL: "optional",
    ssl.CERT_NONE: "none",
    None: "none",
}


def broker_section(app: Celery, *, own_tls: bool = False) -> dict[str, Any]:
    """``url`` and ``transport_options`` of an app; empty where it names no broker.

    What is sent in another way than by the app, such as without its ``global_keyprefix``, no worker
    finds.

    Args:
        app: whose settings are read.
        own_tls: whether ``VIDSEARCH`` has options for TLS, which RabbitMQ takes instead of those of
            ``broker_use_ssl``.

    Raises:
        ConfigError: ``broker_use_ssl`` says what a URL cannot say.
    """
    url = broker_url(app)
    if not url:
        return {}
    options = dict(app.conf.broker_transport_options or {})
    options.pop("visibility_timeout", None)  # of workers
    if use := app.conf.broker_use_ssl:
        url, options = _with_tls(url, options, True if own_tls and is_rabbitmq(url) else use)
    plain = {name: value for name, value in options.items() if _is_plain(value)}
    if left := sorted(options.keys() - plain.keys()):
        _log.warning(
            "manage.py vidsearch connects to the broker without %s of broker_transport_options of "
            "your Celery app, as JSON cannot hold that: where it is needed, name a broker.url and "
            "the broker.transport_options to use in VIDSEARCH of your settings.py",
            ", ".join(left),
        )
    return {"url": url} | ({"transport_options": plain} if plain else {})


def _is_plain(value: Any) -> bool:
    """Whether JSON holds it, and gives it back as it is."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(each) for key, each in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _with_tls(url: str, options: Mapping[str, Any], use: Any) -> tuple[str, dict[str, Any]]:
    """URL and options that say what ``broker_use_ssl`` says, which is a dict or true."""
    urls = split_urls(url)
    if is_rabbitmq(url):
        encrypted = ";".join(f"amqps://{each.partition('://')[2]}" for each in urls)
        if not isinstance(use, Mapping):
            return encrypted, dict(options)
        for name, value in use.items():
            if not _is_plain(value) or (name == "server_hostname" and value is None):
                raise _unsayable(name)
        return encrypted, {"ssl": {**use}, **options}
    return ";".join(_with_query(each, use) for each in urls), dict(options)


def _with_query(url: str, use: Any) -> str:
    """A URL of Redis with parameters for TLS, unless it has some: Celery then reads no others."""
    parts = urlsplit(url)
    if parts.scheme not in _TLS_IN_QUERY or any(
        name.startswith("ssl_") for name in parse_qs(parts.query)
    ):
        return url
    if isinstance(use, Mapping):
        said = [
            _parameter(name, value)
            for name, value in use.items()
            if value is not None or name == "ssl_cert_reqs"  # of others it is the default
        ]
    else:  # Celery takes `True` for nothing, and without parameters verifies no certificate
        said = [("ssl_cert_reqs", "required")] if parts.scheme == "rediss" else []
    query = "&".join(filter(None, (parts.query, urlencode(said))))
    return parts._replace(query=query).geturl() if query else url


def _parameter(name: str, value: Any) -> tuple[str, str]:
    if name == "ssl_cert_reqs" and not isinstance(value, str) and value in _REQUIREMENTS:
        return name, _REQUIREMENTS[value]
    if name == "ssl_check_hostname" and isinstance(value, bool):
        return name, str(value).lower()
    # Messages show the parameters of a URL, so that a password is no place for one.
    if name.startswith("ssl_") and name != "ssl_password" and isinstance(value, str):
        return name, value
    raise _unsayable(name)


def _unsayable(name: str) -> ConfigError:
    return ConfigError(
        f"manage.py vidsearch cannot take over {name!r} of broker_use_ssl of your Celery app: name "
        "the broker.url to use in VIDSEARCH of your settings.py, such as "
        '"rediss://…?ssl_cert_reqs=required&ssl_ca_certs=…", or for RabbitMQ '
        'broker.transport_options with "ssl"; broker_use_ssl is then passed over'
    )
