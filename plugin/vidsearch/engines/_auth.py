"""From settings to what the client libraries take: credentials and TLS, checked before use."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vidsearch.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from vidsearch.config import EngineSettings

__all__ = ["check_access", "elasticsearch_access", "opensearch_access"]


def check_access(settings: EngineSettings) -> None:
    """Refuse with ConfigError what contradicts itself, and files that are no certificate or key."""
    _check_credentials(settings)
    _check_aws(settings)
    _check_files(settings)


def elasticsearch_access(settings: EngineSettings, *, asynchronous: bool = False) -> dict[str, Any]:
    """Arguments for ``Elasticsearch``, or for ``AsyncElasticsearch``."""
    if settings.aws_region is not None:
        raise ConfigError("engine.aws_region is for OpenSearch; set engine.kind to opensearch")
    options = _tls(settings)
    if asynchronous and options.get("verify_certs"):
        # Its own context takes any trusted certificate where the URL names an IP address.
        options = {"ssl_context": _context(settings)}
    if settings.api_key is not None:
        options["api_key"] = settings.api_key.get_secret_value()
    if settings.username is not None:
        options["basic_auth"] = _basic_auth(settings)
    return options


def opensearch_access(settings: EngineSettings, *, asynchronous: bool = False) -> dict[str, Any]:
    """Arguments for ``OpenSearch``, or for ``AsyncOpenSearch``.

    Raises:
        ConfigError: an API key, or no AWS credentials are found.
        MissingExtraError: requests are to be signed, and ``botocore`` is not installed.
    """
    if settings.api_key is not None:
        raise ConfigError(
            "engine.api_key is for Elasticsearch; for OpenSearch set engine.username and "
            "engine.password, or pass in a client"
        )
    options = _tls(settings)
    if settings.username is not None:
        options["headers"] = {"authorization": f"Basic {_basic_auth(settings)}"}
    if settings.aws_region is not None:
        options |= _signing(settings, settings.aws_region, asynchronous=asynchronous)
    return options


def _signing(settings: EngineSettings, region: str, *, asynchronous: bool) -> dict[str, Any]:
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError as error:
        raise MissingExtraError.of("aws", needed_for="engine.aws_region") from error
    try:
        # The signer reads them at every request, so that expired ones are renewed.
        credentials = Session().get_credentials()
    except BotoCoreError as error:
        raise ConfigError(f"engine.aws_region: AWS credentials cannot be read: {error}") from error
    if credentials is None:
        raise ConfigError(
            "engine.aws_region: no AWS credentials were found in the environment "
            "(AWS_ACCESS_KEY_ID, AWS_PROFILE), the files of ~/.aws, or the role of the container "
            "or machine"
        )
    if asynchronous:
        from opensearchpy import AsyncHttpConnection, AWSV4SignerAsyncAuth

        return {
            "http_auth": AWSV4SignerAsyncAuth(credentials, region, settings.aws_service),
            "connection_class": AsyncHttpConnection,  # the other one takes no signer
        }
    from opensearchpy import Urllib3AWSV4SignerAuth

    return {"http_auth": Urllib3AWSV4SignerAuth(credentials, region, settings.aws_service)}


def _check_credentials(settings: EngineSettings) -> None:
    if settings.api_key is not None and settings.username is not None:
        raise ConfigError("set engine.api_key or engine.username, not both")
    key = settings.api_key.get_secret_value() if settings.api_key is not None else ""
    if not (key.isascii() and key.isprintable()):
        # Else the HTTP library refuses the header, and shows the key.
        raise ConfigError("engine.api_key must be ASCII on one line; is there a line break in it?")
    if (settings.username is None) != (settings.password is None):
        raise ConfigError("engine.username and engine.password belong together: set both")


def _check_aws(settings: EngineSettings) -> None:
    if settings.aws_region is None:
        return
    if settings.kind != "opensearch":
        # Unsigned, the question which engine it is would be refused.
        raise ConfigError("engine.aws_region is for OpenSearch; set engine.kind to opensearch")
    if settings.username is not None or settings.api_key is not None:
        name = "engine.api_key" if settings.api_key is not None else "engine.username"
        raise ConfigError(f"set engine.aws_region or {name}, not both")


def _check_files(settings: EngineSettings) -> None:
    if settings.ca_certs is not None:
        _certificate(settings.ca_certs, "engine.ca_certs")
    if settings.client_cert is None:
        if settings.client_key is not None:
            raise ConfigError("engine.client_key belongs to a certificate: set engine.client_cert")
        return
    if not settings.verify_certs:
        # The client libraries silently send none then.
        raise ConfigError(
            "engine.client_cert is sent only where engine.verify_certs is on; "
            "set engine.ca_certs to the CA bundle that signed the cluster's certificate"
        )
    if not settings.url.startswith("https://"):
        raise ConfigError("engine.client_cert needs TLS: engine.url must begin with https://")
    _check_pair(settings.client_cert, settings.client_key)


def _check_pair(certificate: Path, key: Path | None) -> None:
    cert_path = _certificate(certificate, "engine.client_cert")
    key_path = None if key is None else _readable(key, "engine.client_key")
    key_name = "engine.client_cert" if key is None else "engine.client_key"

    def locked() -> str:
        # Else OpenSSL would ask on the terminal.
        raise _EncryptedKeyError

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(cert_path, key_path, locked)
    except _EncryptedKeyError as error:
        raise ConfigError(
            f"{key_name}: the key in {key_path or cert_path!r} has a passphrase; "
            "set one without (openssl pkey -in KEY -out NEW)"
        ) from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                f"{key_name}: the key in {key_path or cert_path!r} is not that of the "
                f"certificate in {cert_path!r}"
            ) from error
        hint = "; set engine.client_key, or add the key to that file" if key is None else ""
        raise ConfigError(
            f"{key_name}: {key_path or cert_path!r} holds no private key in PEM format{hint}"
        ) from error


class _EncryptedKeyError(Exception):
    pass


def _certificate(path: Path, setting: str) -> str:
    name = _readable(path, setting)
    try:
        ssl.create_default_context(cafile=name)
    except ssl.SSLError as error:
        raise ConfigError(f"{setting}: {name!r} holds no certificate in PEM format") from error
    return name


def _readable(path: Path, setting: str) -> str:
    if not path.is_file():
        raise ConfigError(f"{setting}: there is no file {str(path)!r}")
    try:
        path.open("rb").close()
    except OSError as error:
        raise ConfigError(f"{setting}: {str(path)!r} cannot be read: {error.strerror}") from error
    return str(path)


def _basic_auth(settings: EngineSettings) -> str:
    # Encoded here: the servers read UTF-8, and the clients would take ASCII or Latin-1 only.
    password = settings.password.get_secret_value() if settings.password is not None else ""
    return base64.b64encode(f"{settings.username or ''}:{password}".encode()).decode()


def _context(settings: EngineSettings) -> ssl.SSLContext:
    import certifi  # what the clients trust where they are told nothing

    context = ssl.create_default_context(cafile=str(settings.ca_certs or certifi.where()))
    if settings.client_cert is not None:
        context.load_cert_chain(settings.client_cert, settings.client_key)
    return context


def _tls(settings: EngineSettings) -> dict[str, Any]:
    if not settings.url.startswith("https://"):
        return {}
    # The setting's name says what it switches off; each command would warn of it on stderr.
    options: dict[str, Any] = {"verify_certs": settings.verify_certs, "ssl_show_warn": False}
    for name in ("ca_certs", "client_cert", "client_key"):
        path: Path | None = getattr(settings, name)
        if path is not None:
            options[name] = str(path)
    return options
