"""From settings, or from a client that the host already has, to an engine."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from vidsearch.config import EngineSettings
from vidsearch.engines.base import Engine, EngineKind
from vidsearch.errors import BackendError, BackendRefused, ConfigError, MissingExtra

if TYPE_CHECKING:
    from vidsearch.engines.elasticsearch import ElasticsearchEngine
    from vidsearch.engines.opensearch import OpenSearchEngine

__all__ = ["connect"]


def connect(settings: EngineSettings, *, client: Any = None) -> Engine:
    """An engine for the cluster of the settings.

    Nothing is sent, but for ``kind="auto"``, which asks the cluster what it is. The client makes
    one attempt per request and leaves retrying to the caller: a write that is repeated blindly
    could lose a compare-and-set against itself. Share the engine between threads, but make one
    after a fork, not before.

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
        MissingExtra: it is OpenSearch, and ``opensearch-py`` is not installed.
        BackendUnavailable, BackendRefused: the cluster cannot be asked what it is.
    """
    if client is not None:
        return _around(client)
    _check(settings)
    if settings.kind == "elasticsearch":
        return _elasticsearch(settings)
    if settings.kind == "opensearch":
        return _opensearch(settings)
    return _whichever(settings)


def _whichever(settings: EngineSettings) -> Engine:
    # Either engine answers Elasticsearch's client; it then says whether it likes the answer.
    from vidsearch.engines.elasticsearch import NotElasticsearch

    engine = _elasticsearch(settings)
    try:
        engine.info()
    except NotElasticsearch as error:
        engine.close()
        version = error.root.get("version") if isinstance(error.root, dict) else None
        if isinstance(version, dict) and version.get("distribution") == "opensearch":
            return _opensearch(settings)
        raise BackendError(
            f"{settings.url} is neither Elasticsearch nor OpenSearch, or too old; "
            "set engine.kind if it is one of them behind a proxy"
        ) from error
    except BackendRefused as error:
        engine.close()
        raise BackendRefused(
            f"{error}. If they may not ask for the version, set engine.kind"
        ) from error
    except BackendError:
        engine.close()
        raise
    return engine


def _elasticsearch(settings: EngineSettings) -> ElasticsearchEngine:
    from elasticsearch import Elasticsearch

    from vidsearch.engines.elasticsearch import ElasticsearchEngine

    options = _tls(settings)
    if settings.api_key is not None:
        options["api_key"] = settings.api_key.get_secret_value()
    if settings.username is not None:
        options["basic_auth"] = _basic_auth(settings)
    client = Elasticsearch(
        _with_port(settings.url), request_timeout=settings.timeout, max_retries=0, **options
    )
    return ElasticsearchEngine(client, url=settings.url)


def _opensearch(settings: EngineSettings) -> OpenSearchEngine:
    try:
        from opensearchpy import OpenSearch
    except ImportError as error:
        raise MissingExtra.of("opensearch", needed_for=f"OpenSearch at {settings.url}") from error

    from vidsearch.engines.opensearch import OpenSearchEngine

    if settings.api_key is not None:
        raise ConfigError(
            "engine.api_key is for Elasticsearch; for OpenSearch set engine.username and "
            "engine.password, or hand in a client"
        )
    options = _tls(settings)
    if settings.username is not None:
        options["headers"] = {"authorization": f"Basic {_basic_auth(settings)}"}
    client = OpenSearch(
        [_with_port(settings.url)], timeout=settings.timeout, max_retries=0, **options
    )
    return OpenSearchEngine(client, url=settings.url)


def _around(client: Any) -> Engine:
    library = _library(client)
    if library == "elasticsearch":
        from vidsearch.engines.elasticsearch import ElasticsearchEngine

        url = next(iter(client.transport.node_pool.all())).base_url
        return ElasticsearchEngine(client, url=url, owned=False)
    if library == "opensearch":
        from vidsearch.engines.opensearch import OpenSearchEngine

        url = client.transport.connection_pool.connections[0].host
        return OpenSearchEngine(client, url=url, owned=False)
    raise ConfigError(
        f"a client of type {type(client).__module__}.{type(client).__qualname__} is not usable: "
        "hand in an elasticsearch.Elasticsearch or an opensearchpy.OpenSearch"
    )


def _library(client: Any) -> EngineKind | None:
    # By name, so that neither library has to be installed to recognise the other's client.
    for base in type(client).__mro__:
        package = base.__module__.partition(".")[0]
        if (package, base.__name__) == ("elasticsearch", "Elasticsearch"):
            return "elasticsearch"
        if (package, base.__name__) == ("opensearchpy", "OpenSearch"):
            return "opensearch"
    return None


def _check(settings: EngineSettings) -> None:
    if settings.api_key is not None and settings.username is not None:
        raise ConfigError("set engine.api_key or engine.username, not both")
    key = settings.api_key.get_secret_value() if settings.api_key is not None else ""
    if not (key.isascii() and key.isprintable()):
        # Else the HTTP library refuses the header, and shows the key.
        raise ConfigError("engine.api_key must be ASCII on one line; is there a line break in it?")
    if (settings.username is None) != (settings.password is None):
        raise ConfigError("engine.username and engine.password belong together: set both")
    if settings.ca_certs is not None:
        path = str(settings.ca_certs)
        if not settings.ca_certs.is_file():
            raise ConfigError(f"engine.ca_certs: there is no file {path!r}")
        try:
            ssl.create_default_context(cafile=path)
        except ssl.SSLError as error:
            raise ConfigError(
                f"engine.ca_certs: {path!r} holds no certificate in PEM format"
            ) from error


def _basic_auth(settings: EngineSettings) -> str:
    # Encoded here: the servers read UTF-8, and the clients would take ASCII or Latin-1 only.
    password = settings.password.get_secret_value() if settings.password is not None else ""
    return base64.b64encode(f"{settings.username or ''}:{password}".encode()).decode()


def _tls(settings: EngineSettings) -> dict[str, Any]:
    if not settings.url.startswith("https://"):
        return {}
    # Who switches the check off has been told by the setting's name; a warning per process, on the
    # stderr of every command, says nothing new.
    options: dict[str, Any] = {"verify_certs": settings.verify_certs, "ssl_show_warn": False}
    if settings.ca_certs is not None:
        options["ca_certs"] = str(settings.ca_certs)
    return options


def _with_port(url: str) -> str:
    """The URL with the port that it means, as the clients each have their own idea of it."""
    parts = urlsplit(url)
    if parts.port is not None:
        return url
    port = 443 if parts.scheme == "https" else 80
    return urlunsplit(parts._replace(netloc=f"{parts.netloc}:{port}"))
