"""Errors as answers: problem details of RFC 9457, made from the one tree of errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response

from vidsearch.error_texts import logger
from vidsearch.errors import (
    Fault,
    QueryError,
    SourcePausedError,
    VideoNotRegisteredError,
    VidsearchError,
)

__all__ = ["HTTP_NAMES", "PROBLEM_JSON", "RETRY_SECONDS", "SEE_LOG", "Problem", "problem_of"]

PROBLEM_JSON = "application/problem+json"
RETRY_SECONDS = 5
"""After which a client may try again what did not work for a while."""

_log = logger(__name__)
_STATUS: dict[Fault, int] = {
    "caller": 422,
    "video": 422,
    "conflict": 409,
    "lost": 409,
    "gone": 404,
    "outage": 503,
    "setup": 503,
    "unknown": 500,
}
_DETAILS = {404: "there is nothing at this path", 405: "this path does not take the method"}
"""What Starlette says in a word."""
SEE_LOG = "; the log of the server says more"
"""At the end of what is told where the server is at fault."""
HTTP_NAMES: Mapping[str, str] = {"from_": "from"}
"""Arguments that HTTP spells otherwise."""


@dataclass(eq=False)
class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """What is wrong with a request, or with the server; can be raised. Says nothing secret."""

    status: int
    title: str
    detail: str
    type: str = "about:blank"
    """``about:blank``, or ``urn:vidsearch:error:`` and the name of a class of errors."""
    argument: str | None = None
    """Name of the argument at fault, as HTTP spells it."""
    retry_after: int | None = None
    """Seconds."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers that belong to the answer, beside ``Retry-After``."""
    instance: str | None = None
    """Name of this occurrence, where an error was logged for it; the log has the same."""

    @classmethod
    def of_status(cls, status: int, detail: str, **others: Any) -> Problem:
        """A problem that has no class of errors."""
        return cls(status, HTTPStatus(status).phrase, detail, **others)

    @property
    def all_headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        retry = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return {**retry, **self.headers}

    def to_dict(self) -> dict[str, Any]:
        """The members of the JSON object."""
        members: dict[str, Any] = {
            "type": self.type,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.argument is not None:
            members["argument"] = self.argument
        if self.instance is not None:
            members["instance"] = self.instance
        return members

    def response(self) -> Response:
        """The answer."""
        return Response(
            orjson.dumps(self.to_dict()), self.status, self.all_headers, media_type=PROBLEM_JSON
        )


def problem_of(error: Exception, *, names: Mapping[str, str] = HTTP_NAMES) -> Problem:
    """The problem that an error is for a client.

    The message of a caller's error goes along, as it is about what the caller gave. Any other may
    name hosts, indices and paths of the server: it is logged, and the client gets the meaning of
    its class, and the name by which the log has it.

    Args:
        error: to tell.
        names: what the client calls those arguments of a search that it calls otherwise.
    """
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        detail = _DETAILS.get(error.status_code, error.detail)
        return Problem.of_status(error.status_code, detail, headers=error.headers or {})
    instance: str | None = None
    if not isinstance(error, VidsearchError):
        instance = _new_instance()
        _log.error("a request failed (%s)", instance, exc_info=error)
        return Problem.of_status(500, f"an error of the server{SEE_LOG}", instance=instance)
    kind = type(error)
    status = 404 if isinstance(error, VideoNotRegisteredError) else _STATUS[error.fault]
    meaning = (kind.__doc__ or kind.__name__).splitlines()[0].rstrip(".")
    retry_after: int | None = None
    if error.fault == "outage":
        retry_after = RETRY_SECONDS
        if isinstance(error, SourcePausedError):
            retry_after = max(1, round(error.seconds))
    argument = error.argument if isinstance(error, QueryError) else None
    if isinstance(error, QueryError):
        if error.engine is not None:
            _log.info("%s: %s: %s", kind.__name__, error, error.engine)
        detail = _spelled(error.public, argument, names)
    elif error.fault == "caller":
        detail = str(error)
    elif status < 500:
        _log.info("%s: %s", kind.__name__, error)
        detail = meaning
    else:
        instance = _new_instance()
        _log.error("%s: %s (%s)", kind.__name__, error, instance)
        detail = meaning + SEE_LOG
    return Problem(
        status,
        meaning,
        detail,
        type=f"urn:vidsearch:error:{kind.__name__}",
        argument=names.get(argument, argument) if argument else None,
        retry_after=retry_after,
        instance=instance,
    )


def _new_instance() -> str:
    return f"urn:uuid:{uuid4()}"


def _spelled(message: str, argument: str | None, names: Mapping[str, str]) -> str:
    """The message with the argument that it begins with as the client spells it."""
    if argument is not None and argument in names and message.startswith(argument):
        return names[argument] + message.removeprefix(argument)
    return message
