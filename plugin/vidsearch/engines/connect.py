"""From settings, or from a client that the host already has, to an engine."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from vidsearch.config import EngineSettings
from vidsearch.engines._auth import check_access, elasticsearch_access, opensearch_access
from vidsearch.engines.base import AsyncEngine, Engine
from vidsearch.errors import BackendAccessDeniedError, BackendError, ConfigError, MissingExtraError

if TYPE_CHECKING:
    from vidsearch.engines.aio import AsyncElasticsearchEngine, AsyncOpenSearchEngine
    from vidsearch.engines.elasticsearch import ElasticsearchEngine, NotElasticsearchError
    from vidsearch.engines.opensearch import OpenSearchEngine

__all__ = ["connect", "connect_async"]

_CLIENTS = frozenset(
    {
        ("elasticsearch", "Elasticsearch"),
        ("elasticsearch", "AsyncElasticsearch"),
        ("opensearchpy", "OpenSearch"),
        ("opensearchpy", "AsyncOpenSearch"),
    }
)


def connect(settings: EngineSettings, *, client: Any = None) -> Engine:
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
        client: an ``elasticsearch.Elasticsearch`` or ``opensearchpy.OpenSearch`` of the host's.
            It is used as it is, its own retries included, and stays open when the engine is
            closed; the settings are not looked at.

    Raises:
        ConfigError: settings that contradict each other, or a client of another library.
        MissingExtraError: it is OpenSearch, and ``opensearch-py`` is not installed, or requests to
            it are to be signed, and ``botocore`` is not.
        BackendUnavailableError, BackendAccessDeniedError: the cluster cannot be asked what it is.
    """
    if client is not None:
        return _around(client)
    check_access(settings)
    if settings.kind == "elasticsearch":
        return _elasticsearch(settings)
    if settings.kind == "opensearch":
        return _opensearch(settings)
    return _whichever(settings)


async def connect_async(settings: EngineSettings, *, client: Any = None) -> AsyncEngine:
    """The twin of :func:`connect` for an event loop, which the engine then belongs to.

    Args:
        settings: see :func:`connect`.
        client: an ``elasticsearch.AsyncElasticsearch`` or ``opensearchpy.AsyncOpenSearch`` of the
            host's, used as it is.

    Raises:
        MissingExtraError: ``aiohttp`` is not installed.
        ConfigError, BackendUnavailableError, BackendAccessDeniedError: see :func:`connect`.
    """
    if client is not None:
        return _around_async(client)
    check_access(settings)
    if settings.kind == "opensearch":
        return _async_opensearch(settings)
    engine = _async_elasticsearch(settings)
    if settings.kind == "elasticsearch":
        return engine
    from vidsearch.engines.elasticsearch import NotElasticsearchError

    try:
        await engine.info()
    except NotElasticsearchError as error:
        await engine.close()
        _require_opensearch(error, settings)
        return _async_opensearch(settings)
    except BackendAccessDeniedError as error:
        await engine.close()
        raise _may_not_ask(error) from error
    except BackendError:
        await engine.close()
        raise
    return engine


def _whichever(settings: EngineSettings) -> Engine:
    # Either engine answers Elasticsearch's client; it then says whether it likes the answer.
    from vidsearch.engines.elasticsearch import NotElasticsearchError

    engine = _elasticsearch(settings)
    try:
        engine.info()
    except NotElasticsearchError as error:
        engine.close()
        _require_opensearch(error, settings)
        return _opensearch(settings)
    except BackendAccessDeniedError as error:
        engine.close()
        raise _may_not_ask(error) from error
    except BackendError:
        engine.close()
        raise
    return engine


def _require_opensearch(error: NotElasticsearchError, settings: EngineSettings) -> None:
    version = error.root.get("version") if isinstance(error.root, dict) else None
    if not isinstance(version, dict) or version.get("distribution") != "opensearch":
        raise BackendError(
            f"{settings.url} is neither Elasticsearch nor OpenSearch, or too old; "
            "set engine.kind if it is one of them behind a proxy"
        ) from error


def _may_not_ask(error: BackendAccessDeniedError) -> BackendAccessDeniedError:
    return BackendAccessDeniedError(
        f"{error}. If they may not ask for the version, set engine.kind"
    )


def _elasticsearch(settings: EngineSettings) -> ElasticsearchEngine:
    from elasticsearch import Elasticsearch

    from vidsearch.engines.elasticsearch import ElasticsearchEngine

    client = Elasticsearch(_with_port(settings.url), **_elasticsearch_options(settings))
    return ElasticsearchEngine(client, url=settings.url)


def _async_elasticsearch(settings: EngineSettings) -> AsyncElasticsearchEngine:
    _require_aiohttp(settings)
    from elasticsearch import AsyncElasticsearch

    from vidsearch.engines.aio import AsyncElasticsearchEngine

    client = AsyncElasticsearch(
        _with_port(settings.url), **_elasticsearch_options(settings, asynchronous=True)
    )
    return AsyncElasticsearchEngine(client, url=settings.url)


def _opensearch(settings: EngineSettings) -> OpenSearchEngine:
    _require_opensearch_py(settings)
    from opensearchpy import OpenSearch

    from vidsearch.engines.opensearch import OpenSearchEngine

    client = OpenSearch([_with_port(settings.url)], **_opensearch_options(settings))
    return OpenSearchEngine(client, url=settings.url)


def _async_opensearch(settings: EngineSettings) -> AsyncOpenSearchEngine:
    _require_opensearch_py(settings)
    _require_aiohttp(settings)
    from opensearchpy import AsyncOpenSearch

    from vidsearch.engines.aio import AsyncOpenSearchEngine

    client = AsyncOpenSearch(
        [_with_port(settings.url)], **_opensearch_options(settings, asynchronous=True)
    )
    return AsyncOpenSearchEngine(client, url=settings.url)


def _elasticsearch_options(
    settings: EngineSettings, *, asynchronous: bool = False
) -> dict[str, Any]:
    """What either of Elasticsearch's clients is made with."""
    access = elasticsearch_access(settings, asynchronous=asynchronous)
    return {"request_timeout": settings.timeout, "max_retries": 0, **access}


def _opensearch_options(settings: EngineSettings, *, asynchronous: bool = False) -> dict[str, Any]:
    """What either of OpenSearch's clients is made with."""
    access = opensearch_access(settings, asynchronous=asynchronous)
    return {"timeout": settings.timeout, "max_retries": 0, **access}


def _require(module: str, *, extra: str, needed_for: str) -> None:
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError.of(extra, needed_for=needed_for) from error


def _require_opensearch_py(settings: EngineSettings) -> None:
    _require("opensearchpy", extra="opensearch", needed_for=f"OpenSearch at {settings.url}")


def _require_aiohttp(settings: EngineSettings) -> None:
    _require("aiohttp", extra="async", needed_for=f"an async search at {settings.url}")


def _around(client: Any) -> Engine:
    flavour = _flavour(client)
    if flavour == ("elasticsearch", "Elasticsearch"):
        from vidsearch.engines.elasticsearch import ElasticsearchEngine

        return ElasticsearchEngine(client, url=_elasticsearch_url(client), owned=False)
    if flavour == ("opensearchpy", "OpenSearch"):
        from vidsearch.engines.opensearch import OpenSearchEngine

        return OpenSearchEngine(client, url=_opensearch_url(client), owned=False)
    if flavour is not None:
        raise ConfigError(
            f"{flavour[1]} is a client for an event loop: hand it to AsyncVideoSearch or "
            "connect_async, or use its sync twin"
        )
    raise _not_usable(client, "elasticsearch.Elasticsearch", "opensearchpy.OpenSearch")


def _around_async(client: Any) -> AsyncEngine:
    flavour = _flavour(client)
    if flavour == ("elasticsearch", "AsyncElasticsearch"):
        from vidsearch.engines.aio import AsyncElasticsearchEngine

        return AsyncElasticsearchEngine(client, url=_elasticsearch_url(client), owned=False)
    if flavour == ("opensearchpy", "AsyncOpenSearch"):
        from vidsearch.engines.aio import AsyncOpenSearchEngine

        return AsyncOpenSearchEngine(client, url=_opensearch_url(client), owned=False)
    if flavour is not None:
        raise ConfigError(
            f"{flavour[1]} would block the event loop: hand it to VideoSearch or connect, or use "
            "its async twin"
        )
    raise _not_usable(client, "elasticsearch.AsyncElasticsearch", "opensearchpy.AsyncOpenSearch")


def _not_usable(client: Any, *usable: str) -> ConfigError:
    return ConfigError(
        f"a client of type {type(client).__module__}.{type(client).__qualname__} is not usable: "
        f"hand in an {' or an '.join(usable)}"
    )


def _elasticsearch_url(client: Any) -> str:
    return str(next(iter(client.transport.node_pool.all())).base_url)


def _opensearch_url(client: Any) -> str:
    host = client.transport.hosts[0]
    scheme = host.get("scheme") or ("https" if host.get("use_ssl") else "http")
    port = f":{host['port']}" if "port" in host else ""
    return f"{scheme}://{host['host']}{port}"


def _flavour(client: Any) -> tuple[str, str] | None:
    """Package and class of a client that is known, or is derived from one that is."""
    # By name, so that neither library has to be installed to recognise the other's client.
    for base in type(client).__mro__:
        flavour = (base.__module__.partition(".")[0], base.__name__)
        if flavour in _CLIENTS:
            return flavour
    return None


def _with_port(url: str) -> str:
    """The URL with the port that it means, as the clients each have their own idea of it."""
    parts = urlsplit(url)
    if parts.port is not None:
        return url
    port = 443 if parts.scheme == "https" else 80
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{port}"))
