"""The services of ``vidsearch local up``: a node, Redis and a worker that outlive the command."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from vidsearch.errors import LocalError
from vidsearch.local.folders import locked, make_folder
from vidsearch.local.installation import Talk
from vidsearch.local.java import find_jdks
from vidsearch.local.node import SearchNode
from vidsearch.local.process import Process
from vidsearch.local.redis import RedisServer, redis_program
from vidsearch.local.releases import release
from vidsearch.local.worker import start_worker, wait_for_worker

__all__ = ["Service", "Stack"]

_STATE = "state.json"
_LOCK = "lock"
_SETTINGS = "vidsearch.toml"


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
    services: tuple[Service, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    """The variables that point vidsearch at this stack."""
    ready: bool = False
    """Whether all of it has started; ``False`` too where ``up`` was killed half-way."""

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
            heap: JVM heap of the node.
            bound: the stack ends with this process, however this one ends; otherwise it stays
                until :meth:`down`.

        Raises:
            LocalError: a part did not start (the others are stopped again), or another stack
                runs in that folder.
        """
        folder = folder.resolve()
        with locked(folder / _LOCK):
            present = cls._read(folder)
            if present is not None and present.running():
                present._refuse_other(engine=engine, version=version, worker=worker, model=model)
                talk(f"running already in {folder}")
                return present
            if present is not None:
                talk("the last stack is gone or incomplete; starting anew")
                present._stop()
            redis_program()  # before the node, which takes its time, is started in vain
            stack = cls(folder)
            try:
                stack = stack._start_node(engine, version, heap=heap, bound=bound, talk=talk)
                talk("starting Redis")
                stack = stack._start_redis(bound=bound)
                if model is not None:
                    stack = stack._with(VIDSEARCH_MODEL__NAME=model)
                if worker:
                    talk("starting a worker")
                    stack = stack._start_worker(bound=bound)
                return replace(stack, ready=True)._write()._write_settings()
            except BaseException:
                stack._stop()
                raise

    @classmethod
    def find(cls, folder: Path) -> Stack | None:
        """The stack of ``folder``, wholly or partly alive; ``None`` where none is."""
        folder = folder.resolve()
        stack = cls._read(folder)
        if stack is None or any(each.alive() for each in stack.services):
            return stack
        with locked(folder / _LOCK):
            stack = cls._read(folder)
            if stack is not None and not any(each.alive() for each in stack.services):
                stack._forget()  # a reboot, or all were killed
                return None
            return stack

    def running(self) -> bool:
        """Whether all of it has started and is alive still."""
        return self.ready and all(each.alive() for each in self.services)

    def down(self) -> None:
        """Stop all services of the folder; the engine's data stay in it."""
        with locked(self.folder / _LOCK):
            present = self._read(self.folder)  # an `up` may have changed it meanwhile
            (present or self)._stop()

    def _start_node(
        self, engine: str, version: str | None, *, heap: str, bound: bool, talk: Talk
    ) -> Stack:
        chosen = release(engine, version, jdks=find_jdks())
        # Data of one version are never opened by another, which might not be able to.
        folder = self.folder / chosen.name
        title = f"{chosen.kind} {chosen.version}"
        log = folder / "node.log"
        node = SearchNode.start(
            chosen.kind,
            version=chosen.version,
            folder=folder,
            heap=heap,
            bound=bound,
            talk=talk,
            spawned=lambda process: self._with(Service("engine", title, process, log))._write(),
        )
        return self._with(
            Service("engine", title, node.process, log, node.url),
            VIDSEARCH_ENGINE__URL=node.url,
            VIDSEARCH_ENGINE__KIND=node.kind,
        )._write()

    def _start_redis(self, *, bound: bool) -> Stack:
        redis = RedisServer.start(folder=self.folder / "redis", bound=bound)
        log = redis.folder.path / "redis.log"
        return self._with(
            Service("redis", "redis", redis.process, log, redis.url),
            VIDSEARCH_BROKER__URL=redis.url,
        )._write()

    def _start_worker(self, *, bound: bool) -> Stack:
        log = make_folder(self.folder / "worker") / "worker.log"
        environment = dict(self.environment)
        if bound:  # what ends with this process leaves nothing outside of its folder
            environment["VIDSEARCH_SOURCES__FOLDER"] = str(log.parent)
        worker = start_worker(log, environment, bound=bound)
        stack = self._with(Service("worker", "celery worker with beat", worker, log))._write()
        try:
            wait_for_worker(worker, log, broker=self.environment["VIDSEARCH_BROKER__URL"])
        except BaseException:
            worker.stop()
            raise
        return stack

    def _with(self, *services: Service, **environment: str) -> Stack:
        return replace(
            self,
            services=(*self.services, *services),
            environment={**self.environment, **environment},
        )

    def _write(self) -> Stack:
        """Save the state, atomically, so that another process can stop the stack."""
        data = {
            "ready": self.ready,
            "services": [{**asdict(each), "log": str(each.log)} for each in self.services],
            "environment": self.environment,
        }
        partial = self.folder / f"{_STATE}.partial"
        partial.write_text(json.dumps(data, indent=2) + "\n")
        partial.rename(self.folder / _STATE)
        return self

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
            return cls(folder, services, data["environment"], data["ready"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LocalError(
                f"{file} cannot be read ({error!r}); remove it, and what it has started"
            ) from error

    def _stop(self) -> None:
        for service in reversed(self.services):  # the worker first: it may still write
            service.process.stop(grace=20.0)
        self._forget()

    def _write_settings(self) -> Stack:
        """Save what points vidsearch at this stack, which commands in the folder above read."""
        lines = []
        for variable, value in self.environment.items():
            section, _, name = variable.removeprefix("VIDSEARCH_").lower().partition("__")
            lines.append(f"{section}.{name} = {json.dumps(value)}\n")
        (self.folder / _SETTINGS).write_text("".join(lines))
        return self

    def _forget(self) -> None:
        for name in (_STATE, _SETTINGS):
            (self.folder / name).unlink(missing_ok=True)

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
