"""What ``vidsearch local up`` runs: a node, Redis and a worker that outlive the command."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vidsearch.errors import LocalError
from vidsearch.local.folders import make_folder
from vidsearch.local.node import SearchNode
from vidsearch.local.parts import Talk
from vidsearch.local.process import Process, spawn, tail
from vidsearch.local.redis import RedisServer

__all__ = ["Service", "Stack"]

_STATE = "state.json"
_WORKER_DEADLINE = 90.0


@dataclass(frozen=True, slots=True)
class Service:
    """One running part of the stack."""

    name: str
    """``engine``, ``redis`` or ``worker``."""
    title: str
    process: Process
    log: Path
    url: str | None = None

    def alive(self) -> bool:
        """Whether its process runs."""
        return self.process.alive()


@dataclass(frozen=True, slots=True)
class Stack:
    """The services of one folder. Two stacks in two folders may run at once."""

    folder: Path
    services: tuple[Service, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    """The variables that point vidsearch at this stack."""

    @classmethod
    def up(
        cls,
        folder: Path,
        *,
        engine: str = "elasticsearch",
        version: str | None = None,
        worker: bool = True,
        model: str | None = None,
        heap: str = "1g",
        bound: bool = False,
        talk: Talk = lambda message: None,
    ) -> Stack:
        """Start the stack of ``folder``; one that runs already is returned as it is.

        Args:
            folder: state, data and logs; made where absent.
            version: engine version; ``None`` takes the newest that the installed Java runs.
            model: ``model.name`` for the worker; ``None`` leaves the settings in force.
            bound: the stack ends with this process, however this one ends; otherwise it stays
                until :meth:`down`.

        Raises:
            LocalError: a part did not start (the others are stopped again), or another stack
                runs in that folder.
        """
        folder = folder.resolve()
        with _locked(folder):
            present = cls._read(folder)
            if present is not None and all(each.alive() for each in present.services):
                present._refuse_other(engine=engine, version=version, worker=worker, model=model)
                talk(f"running already in {folder}")
                return present
            if present is not None:
                talk("the last stack is gone or incomplete; starting anew")
                present._stop()
            return cls._start(folder, engine, version, worker, model, heap, bound, talk)

    @classmethod
    def find(cls, folder: Path) -> Stack | None:
        """The stack of ``folder``, wholly or partly alive; ``None`` where none is."""
        folder = folder.resolve()
        stack = cls._read(folder)
        if stack is None or any(each.alive() for each in stack.services):
            return stack
        with _locked(folder):
            stack = cls._read(folder)
            if stack is not None and not any(each.alive() for each in stack.services):
                (folder / _STATE).unlink(missing_ok=True)  # a reboot, or all were killed
                return None
            return stack

    def down(self) -> None:
        """Stop all services; the engine's data stay in the folder."""
        with _locked(self.folder):
            self._stop()

    @classmethod
    def _start(
        cls,
        folder: Path,
        engine: str,
        version: str | None,
        worker: bool,
        model: str | None,
        heap: str,
        bound: bool,
        talk: Talk,
    ) -> Stack:
        stack = cls(folder, ())
        try:
            node = SearchNode.start(
                engine,
                version=version,
                folder=folder / "engine",
                heap=heap,
                bound=bound,
                talk=talk,
            )
            stack = stack._with(
                Service(
                    "engine",
                    f"{node.kind} {node.version}",
                    node.process,
                    node.folder.path / "node.log",
                    node.url,
                ),
                VIDSEARCH_ENGINE__URL=node.url,
                VIDSEARCH_ENGINE__KIND=node.kind,
            )
            talk("starting Redis")
            redis = RedisServer.start(folder=folder / "redis", bound=bound)
            stack = stack._with(
                Service(
                    "redis", "redis", redis.process, redis.folder.path / "redis.log", redis.url
                ),
                VIDSEARCH_BROKER__URL=redis.url,
                **({} if model is None else {"VIDSEARCH_MODEL__NAME": model}),
            )
            if worker:
                talk("starting a worker")
                stack = stack._with(
                    _start_worker(folder, stack.environment, redis.url, bound=bound)
                )
        except BaseException:
            stack._stop()
            raise
        return stack

    def _with(self, service: Service, **environment: str) -> Stack:
        """The stack with one more service, written down at once."""
        stack = Stack(self.folder, (*self.services, service), {**self.environment, **environment})
        data = {
            "services": [{**asdict(each), "log": str(each.log)} for each in stack.services],
            "environment": stack.environment,
        }
        partial = self.folder / f"{_STATE}.partial"
        partial.write_text(json.dumps(data, indent=2) + "\n")
        partial.rename(self.folder / _STATE)
        return stack

    @classmethod
    def _read(cls, folder: Path) -> Stack | None:
        file = folder / _STATE
        try:
            data = json.loads(file.read_text())
            services = tuple(
                Service(
                    each["name"],
                    each["title"],
                    Process(**each["process"]),
                    Path(each["log"]),
                    each["url"],
                )
                for each in data["services"]
            )
            return cls(folder, services, data["environment"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LocalError(
                f"{file} cannot be read ({error!r}); remove it, and what it has started"
            ) from error

    def _stop(self) -> None:
        for service in reversed(self.services):  # the worker first: it may still write
            service.process.stop(grace=20.0)
        (self.folder / _STATE).unlink(missing_ok=True)

    def _refuse_other(
        self, *, engine: str, version: str | None, worker: bool, model: str | None
    ) -> None:
        """Raise where what runs is not what is asked for."""
        title = next(each.title for each in self.services if each.name == "engine")
        has_worker = any(each.name == "worker" for each in self.services)
        same = (
            title.startswith(f"{engine} ")
            and version in (None, title.partition(" ")[2])
            and (has_worker or not worker)
            and model in (None, self.environment.get("VIDSEARCH_MODEL__NAME"))
        )
        if not same:
            raise LocalError(
                f"another stack runs in {self.folder} ({title}"
                f"{'' if has_worker else ', no worker'}). "
                "Stop it with `vidsearch local down`, or give another --dir."
            )


def _start_worker(
    folder: Path, environment: Mapping[str, str], broker: str, *, bound: bool
) -> Service:
    log = make_folder(folder / "worker") / "worker.log"
    process = spawn(
        [
            sys.executable,
            *("-m", "celery", "-A", "vidsearch_tasks", "worker"),
            *("--loglevel", "INFO"),
            *("--concurrency", "1"),
            # Beat in the same process: the sweep must run for lost videos to be found.
            *("--beat", "--schedule", str(log.parent / "beat")),
        ],
        log=log,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        bound=bound,
    )
    if not _worker_answers(process, broker):
        process.stop()
        raise LocalError(f"the worker did not start. The end of its log ({log}):\n{tail(log)}")
    return Service("worker", "celery worker with beat", process, log)


def _worker_answers(process: Process, broker: str) -> bool:
    from celery import Celery

    until = time.monotonic() + _WORKER_DEADLINE
    with Celery(broker=broker, set_as_current=False) as client:
        while process.alive() and time.monotonic() < until:
            if client.control.ping(timeout=1.0, limit=1):
                return True
    return False


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One ``up`` or ``down`` at a time."""
    make_folder(folder)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
