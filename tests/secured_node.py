"""OpenSearch with its own security plugin: TLS, users, and roles that it enforces."""

from __future__ import annotations

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.certificates import Authority

from vidsearch.config import EngineSettings
from vidsearch.errors import LocalError
from vidsearch.local.installation import install
from vidsearch.local.java import find_jdks, pick_jdk
from vidsearch.local.node import node_command
from vidsearch.local.process import spawn, tail
from vidsearch.local.releases import Artifact, release

__all__ = ["PASSWORD", "Role", "SecuredNode", "secured_node"]

PASSWORD = "Quiet-Harbour-42-Lamp"
_HASH = "$2b$04$bRcZU7YnIkw1pFj1HQnbY.IZcRpi6lGVru.4dn3PRbz1MMTiKl/NG"  # bcrypt of it
_VERSION = "2.19.1"
_SECONDS = 240.0


@dataclass(frozen=True)
class Role:
    """Rights in the words of the plugin: its groups, or names of actions."""

    index: tuple[str, ...]
    cluster: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ("*",)


@dataclass(frozen=True)
class SecuredNode:
    """The running node."""

    url: str
    ca: Path

    def settings(self, user: str, **more: Any) -> EngineSettings:
        """Of the client of a user; every user has the same :data:`PASSWORD`."""
        given = {"url": self.url, "kind": "opensearch", "ca_certs": self.ca}
        return EngineSettings(**{**given, "username": user, "password": PASSWORD, **more})

    def variables(self, user: str) -> dict[str, str]:
        """The same for the command line."""
        engine = self.settings(user).model_dump(exclude_unset=True)
        values = {**engine, "password": PASSWORD}
        return {f"VIDSEARCH_ENGINE__{name.upper()}": str(value) for name, value in values.items()}


@contextmanager
def secured_node(folder: Path, roles: Mapping[str, Role]) -> Iterator[SecuredNode]:
    """Start it with a user of the same name for every role.

    Raises:
        LocalError: Java, Maven or the plugin cannot be had, or the node did not start.
    """
    plain = release("opensearch", _VERSION)
    plugin = Artifact("org.opensearch.plugin", "opensearch-security", f"{_VERSION}.0", "zip")
    config = folder / "config" / "opensearch-security"
    chosen = replace(
        plain,
        variant="-secured",
        artifacts=(*plain.artifacts, plugin),
        jvm_options=(
            "-Dvidsearch.plugin=org.opensearch.security.OpenSearchSecurityPlugin",
            f"-Dopensearch.path.conf={config.parent}",
        ),
    )
    jdk = pick_jdk(find_jdks(), minimum=chosen.java_minimum, needed_for=chosen.title)
    installation = install(chosen, jdk)
    tls = Authority(folder)
    certificate, key = tls.issue("node")
    config.mkdir(parents=True)
    for name, content in _configuration(roles).items():
        meta = {"type": name.replace("_", ""), "config_version": 2}
        (config / f"{name}.yml").write_text(json.dumps({"_meta": meta, **content}))
    settings: dict[str, object] = {
        "plugins.security.allow_default_init_securityindex": "true",
        "plugins.security.ssl.http.enabled": "true",
        "plugins.security.ssl.transport.enforce_hostname_verification": "false",
    }
    for layer in ("http", "transport"):
        prefix = f"plugins.security.ssl.{layer}"
        settings[f"{prefix}.pemcert_filepath"] = certificate
        settings[f"{prefix}.pemkey_filepath"] = key
        settings[f"{prefix}.pemtrustedcas_filepath"] = tls.ca
    (folder / "logs").mkdir()
    log = folder / "node.log"
    command = node_command(
        chosen, jdk, installation, folder, heap="512m", quick=True, more=settings
    )
    process = spawn(command, log=log, bound=True)
    try:
        until = time.monotonic() + _SECONDS
        while (
            url := _answering(folder / "logs" / "http.ports", tls.ca, next(iter(roles)))
        ) is None:
            if not process.alive() or time.monotonic() > until:
                raise LocalError(f"{chosen.title} with security did not start:\n{tail(log)}")
            time.sleep(0.2)
        yield SecuredNode(url, tls.ca)
    finally:
        process.stop()


def _configuration(roles: Mapping[str, Role]) -> dict[str, dict[str, Any]]:
    """The plugin's files. JSON is YAML too."""
    basic = {
        "http_enabled": True,
        "order": 0,
        "http_authenticator": {"type": "basic", "challenge": True},
        "authentication_backend": {"type": "intern"},
    }
    rights = {
        name: {
            "cluster_permissions": list(role.cluster),
            "index_permissions": [
                {"index_patterns": list(role.patterns), "allowed_actions": list(role.index)}
            ],
        }
        for name, role in roles.items()
    }
    return {
        "config": {"config": {"dynamic": {"authc": {"basic": basic}}}},
        "internal_users": {name: {"hash": _HASH} for name in roles},
        "roles": rights,
        "roles_mapping": {name: {"users": [name]} for name in roles},
        "action_groups": {},
        "tenants": {},
    }


def _answering(ports: Path, ca: Path, user: str) -> str | None:
    """The node's URL, as soon as it knows a user; before, every answer is a 503 or 401."""
    try:
        url = f"https://{ports.read_text().split()[0]}"
    except (OSError, IndexError):
        return None
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(ca))),
    )
    basic = base64.b64encode(f"{user}:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(url, headers={"authorization": f"Basic {basic}"})
    try:
        opener.open(request, timeout=20).close()
    except urllib.error.HTTPError as error:
        return url if error.code == 403 else None
    except OSError:
        return None
    return url
