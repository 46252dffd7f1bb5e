"""Real services for tests: started when first asked for, shared by the session, gone at its end."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.programs import unavailable
from tests.shared_nodes import ask_for_node

from vidsearch.errors import LocalError
from vidsearch.local import RedisServer, SearchNode
from vidsearch.local.installation import install
from vidsearch.local.java import find_jdks, pick_jdk
from vidsearch.local.releases import release

NODES = {
    "es-9.5.3": ("elasticsearch", "9.5.3"),
    "es-8.19.21": ("elasticsearch", "8.19.21"),
    "os-2.19.1": ("opensearch", "2.19.1"),
}
"""Kind and version of every node that the tests know, by the id that test names carry."""

WHOLE_WAYS = ("es-9.5.3", "os-2.19.1")
"""The nodes that tests of commands and workers run on."""

SHORT_LIVED = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"}
"""Environment of a command that starts a node which is wanted for seconds: compiling its code well
would take longer than running it."""

# A proxy of the environment must not see what stays on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def start_node(name: str) -> SearchNode:
    """Start the node of that id.

    Raises:
        LocalError: it cannot be had.
    """
    kind, version = NODES[name]
    return SearchNode.start(kind, version=version, quick=True, deadline=240)


@dataclass
class RunningServices:
    """The services of one test session.

    Args:
        host: address of the process that has the nodes, where several testers share them.
    """

    host: tuple[str, str] | None = None
    nodes: dict[str, SearchNode] = field(default_factory=dict)
    redis: RedisServer | None = None
    missing: dict[str, str] = field(default_factory=dict)

    def node(self, name: str) -> SearchNode:
        """The node of that id, started if it is not running."""
        if name not in self.nodes:
            with _Missing(self, name):
                self.nodes[name] = (
                    start_node(name) if self.host is None else ask_for_node(self.host, name)
                )
        return self.nodes[name]

    def require(self, name: str) -> None:
        """For a test that starts that node by itself: it can be had here. It is not started."""
        if name not in self.nodes:
            kind, version = NODES[name]
            with _Missing(self, name):
                jdks = find_jdks()
                chosen = release(kind, version, jdks=jdks)
                jdk = pick_jdk(
                    jdks,
                    minimum=chosen.java_minimum,
                    made_for=chosen.java_made_for,
                    needed_for=chosen.title,
                )
                install(chosen, jdk)

    def redis_url(self) -> str:
        """URL of Redis, started if it is not running."""
        if self.redis is None:
            with _Missing(self, "redis"):
                self.redis = RedisServer.start(deadline=60)
        assert self.redis is not None
        return self.redis.url

    def needs(self, name: str) -> AbstractContextManager[None]:
        """Around the start of a service that only some tests want, and that is theirs to stop."""
        return _Missing(self, name)

    def drop(self, prefix: str) -> None:
        """Drop every index whose name starts with ``prefix``, and the registries beside them."""
        for node in self.nodes.values():
            names = f"{prefix}*,vidsearch-{prefix}*"
            path = f"/_cat/indices/{names}?format=json&h=index&expand_wildcards=all"
            for row in call(node.url, "GET", path):
                with _allowing_404():  # of a writer that deletes them itself
                    call(node.url, "DELETE", f"/{row['index']}")

    def stop(self) -> None:
        """Stop all of them, but none that others share."""
        if self.host is None:
            for node in self.nodes.values():
                node.stop()
        if self.redis is not None:
            self.redis.stop()


@dataclass
class _Missing(AbstractContextManager[None]):
    """A service that cannot be had: a failed test in CI, a skipped one elsewhere."""

    services: RunningServices
    name: str

    def __enter__(self) -> None:
        self._give_up()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, LocalError):
            self.services.missing[self.name] = str(error)
            self._give_up()

    def _give_up(self) -> None:
        reason = self.services.missing.get(self.name)
        if reason is not None:
            unavailable(f"{self.name} is not available: {reason}")


@contextmanager
def _allowing_404() -> Iterator[None]:
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 404:
            raise


def call(url: str, method: str, path: str, body: Any = None, *, timeout: float = 60.0) -> Any:
    """One JSON request to a node, without any client; raises ``HTTPError`` on a bad status."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        url + path, data=data, method=method, headers={"Content-Type": "application/json"}
    )
    with _OPENER.open(request, timeout=timeout) as answer:
        content = answer.read()
    return json.loads(content) if content else None
