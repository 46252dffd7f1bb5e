"""From settings, or from a client that is passed in, to an engine."""

from __future__ import annotations

import importlib
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from vidsearch.config import EngineSettings
from vidsearch.engines._auth import check_access, elasticsearch_access, opensearch_access
from vidsearch.engines.answers import serializer_for
from vidsearch.engines.base import AsyncEngine, Engine
from vidsearch.engines.calls import Calls
from vidsearch.engines.dialect import Dialect
from vidsearch.engines.features import is_opensearch
from vidsearch.engines.rest import AsyncRestEngine, RestEngine
from vidsearch.engines.steps import Steps
from vidsearch.engines.types import EngineKind
from vidsearch.errors import BackendAccessDeniedError, BackendError, ConfigError, MissingExtraError

__all__ = ["connect", "connect_async"]

_CLIENTS: dict[EngineKind, tuple[str, str]] = {
    "elasticsearch": ("elasticsearch", "Elasticsearch"),
    "opensearch": ("opensearchpy", "OpenSearch"),
}
"""Packages and classes of the clients."""
_SYNC = set(_CLIENTS.values())
_ASYNC = {(package, f"Async{name}") for package, name in _SYNC}


def connect(settings: EngineSettings, *, client: Any = None, tries: int = 1) -> Engine:
    """An engine for the cluster of the settings.

    Nothing is sent, but for ``kind="auto"``, which asks the cluster what it is. The client makes
    one attempt per request and, but for bulk writes, leaves retrying to the caller: a write that
    is repeated blindly could lose a compare-and-set against itself. Share the engine between
    threads, but make one after a fork, not before.

    The credentials need the index privileges ``read``, ``write`` and ``view_index_metadata``, and
    ``manage`` to create, drop or reindex; the cluster privilege ``monitor`` only to be asked for
    the version.

    Args:
        settings: URL, kind, credentials, TLS.
        client: your ``elasticsearch.Elasticsearch`` or ``opensearchpy.OpenSearch``. It is used as
            it is, its own retries included, and stays open when the engine is closed; the settings
            are not looked at.
        tries: how often a request is sent at most where the cluster turns it away for load (429),
            with delays that double; for work that nobody waits for.

    Raises:
        ConfigError: settings that contradict each other, or a client of another library.
        MissingExtraError: it is OpenSearch, and ``opensearch-py`` is not installed, or requests to
            it are to be signed, and ``botocore`` is not.
        BackendUnavailableError, BackendAccessDeniedError: the cluster cannot be asked what it is.
    """
    engine = _connected(settings, client)
    engine.calls.dialect.tries = tries
    return engine


def _connected(settings: EngineSettings, client: Any) -> Engine:
    if client is not None:
        return RestEngine(client, _dialect_for(client, _SYNC), owned=False)
    check_access(settings)
    if settings.kind != "auto":
        return RestEngine(*_opened(settings, settings.kind))
    engine, kind = RestEngine(*_opened(settings, "elasticsearch")), None
    try:
        kind = engine.run(_ask_kind(engine.calls, settings))
    finally:
        if kind != "elasticsearch":
            engine.close()
    return engine if kind == "elasticsearch" else RestEngine(*_opened(settings, kind))


async def connect_async(settings: EngineSettings, *, client: Any = None) -> AsyncEngine:
    """The twin of :func:`connect` for an event loop, which the engine then belongs to.

    Args:
        settings: see :func:`connect`.
        client: your ``elasticsearch.AsyncElasticsearch`` or ``opensearchpy.AsyncOpenSearch``, used
            as it is.

    Raises:
        MissingExtraError: ``aiohttp`` is not installed.
        ConfigError, BackendUnavailableError, BackendAccessDeniedError: see :func:`connect`.
    """
    if client is not None:
        return AsyncRestEngine(client, _dialect_for(client, _ASYNC), owned=False)
    check_access(settings)
    if settings.kind != "auto":
        return AsyncRestEngine(*_opened(settings, settings.kind, asynchronous=True))
    engine, kind = AsyncRestEngine(*_opened(settings, "elasticsearch", asynchronous=True)), None
    try:
        kind = await engine.run(_ask_kind(engine.calls, settings))
    finally:
        if kind != "elasticsearch":
            await engine.close()
    if kind == "elasticsearch":
        return engine
    return AsyncRestEngine(*_opened(settings, kind, asynchronous=True))


def _ask_kind(calls: Calls, settings: EngineSettings) -> Steps[EngineKind]:
    # Both engines answer the client of Elasticsearch, which refuses the answer of the other.
    from vidsearch.engines.elasticsearch import NotElasticsearchError

    try:
        yield from calls.info()
    except NotElasticsearchError as error:
        if not is_opensearch(error.root):
            raise BackendError(
                f"{settings.url} is neither Elasticsearch nor OpenSearch, or too old; "
                "set engine.kind if it is one of them behind a proxy"
            ) from error
        return "opensearch"
    except BackendAccessDeniedError as error:
        raise BackendAccessDeniedError(
            f"{error}. If they may not ask for the version, set engine.kind"
        ) from error
    return "elasticsearch"


def _opened(
    settings: EngineSettings, kind: EngineKind, *, asynchronous: bool = False
) -> tuple[Any, Dialect]:
    """A new client and the dialect of its engine."""
    if kind == "opensearch":
        _require("opensearchpy", extra="opensearch", needed_for=f"OpenSearch at {settings.url}")
    if asynchronous:
        _require("aiohttp", extra="async", needed_for=f"an async search at {settings.url}")
    package, name = _CLIENTS[kind]
    make = getattr(importlib.import_module(package), f"Async{name}" if asynchronous else name)
    if kind == "elasticsearch":
        options = elasticsearch_access(settings, asynchronous=asynchronous)
        options["request_timeout"] = settings.timeout
        serializer = importlib.import_module(package).JsonSerializer
    else:
        options = opensearch_access(settings, asynchronous=asynchronous)
        options["timeout"] = settings.timeout
        serializer = importlib.import_module(f"{package}.serializer").JSONSerializer
    options["serializer"] = serializer_for(serializer)
    client = make([_with_port(settings.url)], max_retries=0, **options)
    return client, _dialect(kind, settings.url)


def _dialect(kind: EngineKind, url: str) -> Dialect:
    if kind == "elasticsearch":
        from vidsearch.engines.elasticsearch import ElasticsearchDialect

        return ElasticsearchDialect(url)
    from vidsearch.engines.opensearch import OpenSearchDialect

    return OpenSearchDialect(url)


def _require(module: str, *, extra: str, needed_for: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError.of(extra, needed_for=needed_for) from error


def _dialect_for(client: Any, usable: set[tuple[str, str]]) -> Dialect:
    """The dialect of a client that was passed in. Raises ConfigError if it is not usable."""
    # By name, so that neither library has to be installed to recognise the other's client.
    names = [(c.__module__.partition(".")[0], c.__name__) for c in type(client).__mro__]
    found = next((name for name in names if name in _SYNC | _ASYNC), None)
    if found is None:
        classes = " or an ".join(sorted(map(".".join, usable)))
        raise ConfigError(
            f"a client of type {type(client).__module__}.{type(client).__qualname__} is not "
            f"usable: pass in an {classes}"
        )
    if found not in usable:
        reason, search, other = (
            ("is a client for an event loop", "AsyncVideoSearch or connect_async", "sync")
            if usable == _SYNC
            else ("would block the event loop", "VideoSearch or connect", "async")
        )
        raise ConfigError(f"{found[1]} {reason}: pass it to {search}, or use its {other} twin")
    if found[0] == "elasticsearch":
        return _dialect("elasticsearch", str(next(iter(client.transport.node_pool.all())).base_url))
    host = client.transport.hosts[0]
    scheme = host.get("scheme") or ("https" if host.get("use_ssl") else "http")
    port = f":{host['port']}" if "port" in host else ""
    return _dialect("opensearch", f"{scheme}://{host['host']}{port}")


def _with_port(url: str) -> str:
    """The URL with the port that it means, as the clients each have their own idea of it."""
    parts = urlsplit(url)
    if parts.port is not None:
        return url
    port = 443 if parts.scheme == "https" else 80
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{port}"))
