"""One real search node on this machine."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vidsearch.engines import EngineKind
from vidsearch.errors import LocalError
from vidsearch.local.folders import Folder, make_folder
from vidsearch.local.installation import Installation, Talk, install
from vidsearch.local.java import Jdk, find_jdks, pick_jdk
from vidsearch.local.process import Process, Server, spawn, tail
from vidsearch.local.releases import Release, release

__all__ = ["SearchNode", "node_command"]

_POLL_SECONDS = 0.1
_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")
"""For short lives: a third less time to start, in exchange for slower code later on."""


@dataclass(frozen=True, slots=True)
class SearchNode(Server):
    """A running Elasticsearch or OpenSearch node, with ``data``, ``logs`` and ``node.log``."""

    kind: EngineKind
    version: str

    @classmethod
    def start(
        cls,
        kind: str = "elasticsearch",
        *,
        version: str | None = None,
        folder: Path | None = None,
        heap: str = "512m",
        quick: bool = False,
        bound: bool = True,
        deadline: float = 120.0,
        talk: Talk = lambda message: None,
        spawned: Callable[[Process], object] = lambda process: None,
    ) -> SearchNode:
        """Start a node on a free port and wait until it answers.

        Args:
            version: ``None`` takes the newest that the installed Java runs.
            folder: where data and logs stay; ``None`` takes one that is removed at the end.
            heap: JVM heap, as in ``-Xmx``.
            quick: start faster, run slower; for tests.
            bound: the node ends with this process, however this one ends.
            deadline: seconds until it must answer; fetching its jars does not count.
            talk: told what takes long.
            spawned: told the process before it answers, so that it can be written down.

        Raises:
            LocalError: Java or Maven are missing, or the node did not start; with the end of
                its log.
        """
        jdks = find_jdks()
        chosen = release(kind, version, jdks=jdks)
        jdk = pick_jdk(
            jdks,
            minimum=chosen.java_minimum,
            made_for=chosen.java_made_for,
            needed_for=chosen.title,
        )
        installation = install(chosen, jdk, talk=talk)
        place = Folder.claim(folder, prefix="vidsearch-node-")
        logs = make_folder(place.path / "logs")
        for ports in logs.glob("*.ports"):
            ports.unlink()  # of an earlier run
        talk(f"starting {chosen.title} on Java {jdk.major}")
        process = spawn(
            node_command(chosen, jdk, installation, place.path, heap=heap, quick=quick),
            log=place.path / "node.log",
            # The JVM reads path names in the locale's encoding.
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            bound=bound,
            remove=place.to_remove,
        )
        try:
            spawned(process)
            url = _wait(process, chosen, place.path, deadline)
        except BaseException:
            process.stop()
            place.release()
            raise
        return cls(url, place, process, chosen.kind, chosen.version)


def node_command(
    chosen: Release,
    jdk: Jdk,
    installation: Installation,
    place: Path,
    *,
    heap: str,
    quick: bool,
    more: Mapping[str, object] | None = None,
) -> list[str]:
    """What runs a node in the folder ``place``, with ``more`` settings of the engine."""
    settings = {
        "path.home": installation.home,
        "path.data": place / "data",
        "path.logs": place / "logs",
        "cluster.name": "vidsearch-local",
        "node.name": "vidsearch-local",
        "network.host": "127.0.0.1",
        # The kernel picks free ports; the node writes them to logs/http.ports.
        "http.port": 0,
        "transport.port": 0,
        "node.portsfile": "true",
        "discovery.type": "single-node",
        # A developer's disk is often nearly full; the node would turn read-only.
        "cluster.routing.allocation.disk.threshold_enabled": "false",
        "logger.level": "WARN",
        **(more or {}),
    }
    return [
        jdk.java,
        f"-Xms{heap}",
        f"-Xmx{heap}",
        *(_QUICK if quick else ()),
        "-XX:+ExitOnOutOfMemoryError",
        f"-Djava.io.tmpdir={place / 'logs'}",
        *chosen.jvm_options,
        "-cp",
        installation.classpath,
        chosen.launcher,
        *(f"{name}={value}" for name, value in settings.items()),
    ]


def _wait(process: Process, chosen: Release, place: Path, deadline: float) -> str:
    """The node's URL, as soon as it is healthy."""
    until = time.monotonic() + deadline
    while True:
        alive = process.alive()  # asked first: whatever it wrote before its end is then seen
        url = _url(place / "logs" / "http.ports")
        if alive and url and _healthy(url):
            return url
        if not alive or time.monotonic() > until:
            reason = f"was not healthy after {deadline:.0f} s" if alive else "ended at its start"
            raise LocalError(
                f"{chosen.title} {reason}. The end of its log ({place / 'node.log'}):\n"
                f"{tail(place / 'node.log')}"
            )
        time.sleep(_POLL_SECONDS)


def _url(ports: Path) -> str | None:
    try:
        lines = ports.read_text().split()
    except OSError:
        return None
    return f"http://{lines[0]}" if lines else None


def _healthy(url: str) -> bool:
    # A proxy of the environment must not see what stays on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/_cluster/health", timeout=5) as answer:
            return json.load(answer)["status"] in {"green", "yellow"}
    except (OSError, ValueError):
        return False
