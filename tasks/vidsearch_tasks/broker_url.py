"""What is wrong with a broker's URL or options, found before Celery's client sees them.

The client parses a URL leniently: of a password with a slash that is not encoded it makes a host or
a port, and quotes that in its errors; and it dials localhost for a kind that it does not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from vidsearch.config import redact_url, split_urls
from vidsearch.errors import ConfigError

if TYPE_CHECKING:
    from celery import Celery

__all__ = [
    "NO_CLUSTER",
    "broker_url",
    "is_rabbitmq",
    "is_redis",
    "is_unverified",
    "require_usable",
    "without_passwords",
]

NO_CLUSTER = (
    "Celery cannot work with a Redis Cluster; use a Redis with one primary, or Sentinel "
    "(sentinel://host:26379)"
)
_REDIS = ("redis", "rediss", "redis+socket", "sentinel")
_RABBITMQ = ("amqp", "amqps", "pyamqp")
_KINDS = (*_REDIS, *_RABBITMQ, "memory")
_CERT_REQS = ("required", "optional", "none", "CERT_REQUIRED", "CERT_OPTIONAL", "CERT_NONE")
_FORM = "write redis://host:6379/0, and a / in a password as %2F"
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


def broker_url(app: Celery) -> str:
    """The URL that an app sends over; several are separated by ``;``."""
    url = app.conf.broker_write_url or app.conf.broker_url
    return url if isinstance(url, str) else ";".join(url or ())


def is_redis(url: str) -> bool:
    """Whether it is Redis, Sentinel included."""
    return _kind(url) in _REDIS


def is_rabbitmq(url: str) -> bool:
    """Whether it is RabbitMQ, or another broker that speaks its protocol."""
    return _kind(url) in _RABBITMQ


def is_unverified(url: str, *, ssl: object = None) -> bool:
    """Whether the connection is encrypted, but with any certificate; ``ssl``: ``broker_use_ssl``.

    Where neither URL nor app say anything of TLS, Celery verifies no certificate of ``rediss``.
    """
    given = dict(ssl) if isinstance(ssl, Mapping) else {}
    for each in split_urls(url):
        said = {key: values[-1] for key, values in parse_qs(urlsplit(each).query).items()}
        options = given | {key: value for key, value in said.items() if key.startswith("ssl_")}
        wanted = str(options.get("ssl_cert_reqs", "required")).lower()
        if "none" in wanted or wanted == "0" or (_kind(each) == "rediss" and not options):
            return True
    return False


def require_usable(url: str, options: Mapping[str, Any]) -> None:
    """Refuse a URL that Celery cannot work with, or would take for another one.

    Args:
        url: one, or several separated by ``;``.
        options: ``broker_transport_options``.

    Raises:
        ConfigError: says in one sentence why, and shows no password.
    """
    problem = next(filter(None, map(_problem, split_urls(url))), None)
    if problem is None and _kind(url) == "sentinel" and not options.get("master_name"):
        problem = (
            "Sentinel needs the name of the group of Redis servers; set "
            'broker.transport_options to {"master_name": "…"}'
        )
    if problem:
        raise ConfigError(f"broker.url {redact_url(url)!r} is not usable: {problem}")


def without_passwords(text: str, url: str) -> str:
    """A client's message without what it may show of the URL."""
    text = text.replace(url, redact_url(url))
    for each in split_urls(url):
        user = each.partition("://")[2].rpartition("@")[0]
        for secret in {user.partition(":")[2], unquote(user.partition(":")[2])}:
            if secret:
                text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text)
    return text


def _kind(url: str) -> str:
    return url.partition("://")[0].lower()


def _problem(url: str) -> str | None:
    kind, found, _ = url.partition("://")
    if "cluster" in kind.lower():
        return NO_CLUSTER
    if not found or kind.lower() not in _KINDS:
        return f"vidsearch works with {', '.join(_KINDS[:-2])}; {_FORM}"
    if _BLANK.search(url):
        return f"it holds a space or a line break; {_FORM}"
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        # Nothing of the error is told: it may quote a piece of the password as a port.
        return f"its host or port cannot be read; {_FORM}"
    # What ends a host ends it in the middle of a password, too.
    if "@" in f"{parts.path}{parts.query}{parts.fragment}" or "#" in url or ";" in url:
        return f"a character in it must be percent-encoded; {_FORM}"
    if parts.netloc and not parts.hostname and parts.scheme != "redis+socket":
        return f"it names no host; {_FORM}"
    database = parts.path.strip("/")
    if parts.scheme in {"redis", "rediss", "sentinel"} and database and not database.isdecimal():
        return f"its database must be a number; {_FORM}"
    if parse_qs(parts.query).get("ssl_cert_reqs", ["required"])[-1] not in _CERT_REQS:
        return "ssl_cert_reqs must be required, optional or none"
    return None
