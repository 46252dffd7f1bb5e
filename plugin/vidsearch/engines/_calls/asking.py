"""One request and its answer, and the call that is made of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

from vidsearch.engines.errors import error_of
from vidsearch.errors import BackendError

__all__ = ["Answer", "Asking", "Call", "Request", "part"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, with one JSON body, many JSON lines, or neither; bytes are JSON already."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | bytes | None = None
    lines: Sequence[Mapping[str, Any]] | bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0
    """Seconds to wait before it is sent."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer of any status."""

    status: int
    body: Any
    cause: BaseException | None = field(default=None, compare=False)
    """The client library's exception, where it made one of the status."""


Call = Generator[Request, Answer, _T]


class Asking(ABC):
    """Asks one cluster, and makes our errors of what it refuses.

    Args:
        url: of the cluster, without credentials; for messages.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    def ask(self, request: Request) -> Call[Answer]:
        """Send one request as this engine wants it; an answer of any status."""

    def request(
        self,
        method: str,
        path: str,
        *,
        index: str | None = None,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | bytes | None = None,
        lines: Sequence[Mapping[str, Any]] | bytes | None = None,
        also: Collection[int] = (),
        pause: float = 0.0,
    ) -> Call[Answer]:
        """One request whose answer is a success, or a status in ``also``."""
        asked = Request(method, path, params or {}, body, lines, pause=pause)
        answer = yield from self.ask(asked)
        return self._checked(answer, index=index, also=also)

    def _checked(self, answer: Answer, *, index: str | None, also: Collection[int] = ()) -> Answer:
        if 200 <= answer.status < 300:
            if not isinstance(answer.body, dict):
                raise BackendError(f"{self.url} answered with what is not a search engine's JSON")
            return answer
        if answer.status in also:
            return answer
        raise error_of(answer.status, answer.body, url=self.url, index=index) from answer.cause


def part(name: str) -> str:
    """One part of a path. Dots alone would be resolved away, and hit another endpoint."""
    if name.strip(".") == "":
        raise BackendError(f"{name!r} is not usable as an id or the name of an index")
    return quote(name, safe="")
