"""Search nodes that the testers of one session share: the process that starts the testers has them.

A tester asks it for a node through a socket. A test marked ``alone`` changes what all tests of a
node would see; no other test that uses services runs meanwhile.
"""

from __future__ import annotations

import fcntl
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from threading import Lock, Thread
from typing import IO, Any

from vidsearch.errors import LocalError
from vidsearch.local import SearchNode

__all__ = ["NodeHost", "ask_for_node", "turn"]

_STOP_SECONDS = 5.0
_TURN_SECONDS = 1200.0
"""For which a test waits for others at most; none takes so long."""
_LOOK_SECONDS = 0.05


@dataclass
class _Place:
    """Of one node: who comes first starts it, and all others wait for that."""

    lock: Lock
    node: SearchNode | None = None
    missing: LocalError | None = None


class NodeHost:
    """Starts each node when the first tester asks for it, and stops them all.

    Args:
        start: gives the node of a name.
        names: of all nodes that there can be.
    """

    def __init__(self, start: Callable[[str], SearchNode], *, names: Iterable[str]) -> None:
        self._start = start
        self._places = {name: _Place(Lock()) for name in names}
        self._closed = False
        self._key = secrets.token_bytes(16)
        self._folder = Path(tempfile.mkdtemp(prefix="vidsearch-testers-"))
        self._listener = Listener(_socket(self._folder), backlog=16, authkey=self._key)
        Thread(target=self._listen, name="node-host", daemon=True).start()

    @property
    def address(self) -> tuple[str, str]:
        """What :func:`ask_for_node` takes: a folder that testers share, and a key."""
        return str(self._folder), self._key.hex()

    def stop(self) -> None:
        """Stop all that were started."""
        self._closed = True
        try:
            self._listener.close()
            for place in self._places.values():
                # One that is being started ends with this process, of itself.
                if place.lock.acquire(timeout=_STOP_SECONDS) and place.node is not None:
                    place.node.stop()
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _listen(self) -> None:
        while True:
            try:
                asked = self._listener.accept()
            except (AuthenticationError, EOFError, OSError):
                if self._closed:
                    return
                continue  # who asked is gone
            Thread(target=self._answer, args=(asked,), daemon=True).start()

    def _answer(self, asked: Connection[Any, Any]) -> None:
        with asked, suppress(EOFError, OSError):  # of a tester that has ended
            asked.send(self._found(asked.recv()))

    def _found(self, name: str) -> SearchNode | Exception:
        place = self._places[name]
        with place.lock:
            if self._closed:
                return LocalError("the session has ended")
            if place.node is None and place.missing is None:
                try:
                    place.node = self._start(name)
                except LocalError as error:
                    place.missing = error
                except Exception as error:
                    return RuntimeError(f"{name} was not started: {error!r}")
            if place.missing is not None:
                return LocalError(str(place.missing))
            assert place.node is not None
            return place.node


def ask_for_node(address: tuple[str, str], name: str) -> SearchNode:
    """The node of that name, which other testers use as well.

    Raises:
        LocalError: it cannot be had.
    """
    folder, key = address
    with Client(_socket(Path(folder)), authkey=bytes.fromhex(key)) as host:
        host.send(name)
        answer = host.recv()
    if isinstance(answer, Exception):
        raise answer
    assert isinstance(answer, SearchNode)
    return answer


def _socket(folder: Path) -> str:
    return str(folder / "socket")


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Run with all others, or wait until they have ended and have them wait.

    Args:
        folder: has the locks, which testers share.
        alone: nobody else may be at it.
    """
    with ExitStack() as stack:
        with (folder / "queue.lock").open("a") as queue:  # none overtakes one that waits for all
            _lock(queue, fcntl.LOCK_EX)
            running = stack.enter_context((folder / "running.lock").open("a"))
            _lock(running, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            stack.callback(fcntl.flock, running, fcntl.LOCK_UN)  # a fork may have it open as well
            fcntl.flock(queue, fcntl.LOCK_UN)
        mark = folder / "alone"
        if mark.exists():
            raise RuntimeError("a tester was killed in a test marked `alone`: the nodes are spoilt")
        if alone:
            mark.touch()
            stack.callback(mark.unlink)
        yield


def _lock(file: IO[str], kind: int) -> None:
    until = time.monotonic() + _TURN_SECONDS
    while True:
        try:
            return fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise TimeoutError(f"{file.name} was held for {_TURN_SECONDS:.0f} s") from None
            time.sleep(_LOOK_SECONDS)
