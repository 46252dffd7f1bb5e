"""The methods of an engine in memory as the steps that sync and async runners take."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

from vidsearch.engines import Engine
from vidsearch.engines.calls import Calls
from vidsearch.engines.steps import Answer, Request, Steps
from vidsearch.errors import BackendError

__all__ = ["memory_calls", "no_answer"]


def memory_calls(engine: Engine) -> Calls:
    """The calls of an engine in memory: each asks the engine at once, and sends no request."""
    return cast(Calls, _MemoryCalls(engine))


def no_answer(request: Request) -> Answer:
    """What a runner has for the requests of such calls: there are none."""
    raise AssertionError(f"{request} to an engine in memory")


class _MemoryCalls:
    """The methods of the engine as steps."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.kind = engine.kind
        self.dialect = _NoDialect()

    @property
    def url(self) -> str:
        return self._engine.info().url

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._engine, name)

        def steps(*args: Any, **options: Any) -> Steps[Any]:
            yield from ()  # a generator, as the calls of other engines are
            return method(*args, **options)

        return steps


class _NoDialect:
    """There is nothing to send a request to."""

    def sending_once(self) -> AbstractContextManager[None]:
        return nullcontext()

    def send(self, request: Request) -> Steps[Answer]:
        yield from ()
        return Answer(404, {"error": f"no handler found for {request.path}"})

    def request(self, method: str, path: str, **options: Any) -> Steps[Answer]:
        yield from ()
        raise BackendError(f"an engine in memory does not answer {method} {path}")
