"""Search nodes and a Redis that come back at the same address after they were killed."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import redis
from tests.integration.relay import free_port
from tests.services import NODES, RunningServices, call

from vidsearch.engines import EngineKind
from vidsearch.errors import LocalError
from vidsearch.local.folders import make_folder
from vidsearch.local.installation import install
from vidsearch.local.java import find_jdks, pick_jdk
from vidsearch.local.node import node_command
from vidsearch.local.process import Process, spawn, tail
from vidsearch.local.redis import redis_program
from vidsearch.local.releases import release

__all__ = ["KillableNode", "KillableRedis", "killable"]

_SECONDS = 120.0


class _Server:
    """A program that this process has started. It ends with this process."""

    def __init__(self, command: list[str], *, log: Path, env: Mapping[str, str] | None) -> None:
        self._command, self._log, self._env = command, log, env
        self._process: Process | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self._process = spawn(self._command, log=self._log, env=self._env, bound=True)
        deadline = time.monotonic() + _SECONDS
        while not self.answers():
            if not self._process.alive() or time.monotonic() > deadline:
                raise LocalError(f"it did not start: {self._command[0]}\n{tail(self._log)}")
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it can be worked with."""
        raise NotImplementedError

    def freeze(self) -> None:
        """SIGSTOP: connections stay open, and nothing is answered."""
        self._program().send_signal(signal.SIGSTOP)

    def kill(self) -> None:
        """SIGKILL: nothing is cleaned up."""
        program = self._program()
        program.kill()
        program.wait(10)

    def stop(self) -> None:
        """End it for good."""
        if self._process is not None:
            with suppress(psutil.Error, LookupError):
                self._program().send_signal(signal.SIGCONT)
            self._process.stop()

    def _program(self) -> psutil.Process:
        assert self._process
        (program,) = psutil.Process(self._process.pid).children()
        return program


class KillableNode(_Server):
    """A search node whose data outlast it.

    Args:
        folder: for its data and logs.
        name: one of ``NODES``.
    """

    def __init__(self, folder: Path, name: str) -> None:
        jdks, port = find_jdks(), free_port()
        kind, version = NODES[name]
        chosen = release(kind, version, jdks=jdks)
        jdk = pick_jdk(
            jdks,
            minimum=chosen.java_minimum,
            made_for=chosen.java_made_for,
            needed_for=chosen.title,
        )
        installation = install(chosen, jdk)
        make_folder(folder / "logs")
        command = node_command(
            *(chosen, jdk, installation, folder),
            heap="512m",
            quick=True,
            more={"http.port": port},
        )
        super().__init__(command, log=folder / "node.log", env=None)
        self.url = f"http://127.0.0.1:{port}"
        self.kind: EngineKind = chosen.kind

    def answers(self) -> bool:
        with suppress(OSError):
            health = call(self.url, "GET", "/_cluster/health", timeout=5)
            return health["status"] in {"green", "yellow"}
        return False


def killable(services: RunningServices, folder: Path, name: str) -> Iterator[KillableNode]:
    """For a fixture: a node that runs, and is gone with its folder afterwards."""
    with services.needs(f"{name} to be killed"):
        node = KillableNode(folder, name)
    try:
        with services.needs(f"{name} to be killed"):
            node.start()
        yield node
    finally:
        node.stop()
        shutil.rmtree(folder, ignore_errors=True)


class KillableRedis(_Server):
    """A Redis that keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        make_folder(folder)
        self._port = free_port()
        command = [
            *(redis_program(), "--port", str(self._port), "--bind", "127.0.0.1"),
            *("--dir", str(folder), "--save", "", "--appendonly", "no"),
        ]
        super().__init__(command, log=folder / "redis.log", env=None)
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def client(self) -> redis.Redis:
        """A connection."""
        return redis.Redis(port=self._port, socket_timeout=5)

    def messages(self) -> int:
        """Number of all messages that wait in it, whatever the queue."""
        with self.client() as client:
            return sum(
                client.llen(key) for key in client.keys("q-*") if client.type(key) == b"list"
            )

    def held(self) -> int:
        """Number of messages that workers have taken and not acknowledged."""
        with self.client() as client:
            return int(client.hlen("unacked"))
