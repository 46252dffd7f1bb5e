"""Why an attempt did not end well, as the registry keeps it: without secrets, and not too long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vidsearch_mappings.masking import masked
from vidsearch_mappings.types import Json

__all__ = ["ErrorRecord"]

_MAX_MESSAGE = 1000
_MAX_CAUSE = 300
_MAX_CAUSES = 5


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """Why the last attempt did not end well."""

    type: str
    """Name of the exception's class."""
    stage: str
    """What was being done: ``lease``, ``fetch``, ``decode``, ``encode``, ``write``, …"""
    message: str
    causes: tuple[str, ...] = ()
    """``Type: message`` of the exceptions behind it, from the nearest to the first."""
    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    """Fields of a newer version, kept as they are."""

    @classmethod
    def of(cls, error: BaseException, *, stage: str) -> ErrorRecord:
        """From an exception. Secrets in messages are masked, as other libraries tell some; long
        messages are cut, as they land in every listing."""
        name = type(error).__name__
        message = (_line(error) or name)[:_MAX_MESSAGE]
        causes = (_told(cause)[:_MAX_CAUSE] for cause in _causes(error))
        return cls(type=name, stage=stage, message=message, causes=tuple(causes))

    def to_source(self) -> Json:
        """As a JSON object."""
        known = {"type": self.type, "stage": self.stage, "message": self.message}
        return {**self.unknown, **known, **({"causes": list(self.causes)} if self.causes else {})}

    @classmethod
    def from_source(cls, source: Mapping[str, Any]) -> ErrorRecord:
        """The inverse of :meth:`to_source`."""
        rest = dict(source)
        known = {name: rest.pop(name) for name in ("type", "stage", "message")}
        return cls(**known, causes=tuple(rest.pop("causes", ())), unknown=rest)

    def __str__(self) -> str:
        return f"{self.type} ({self.stage}): {self.message}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    for _ in range(_MAX_CAUSES):
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is None:
            return
        yield (error := cause)


def _told(cause: BaseException) -> str:
    text, name = _line(cause), type(cause).__name__
    return f"{name}: {text}" if text else name


def _line(error: BaseException) -> str:
    """The message in one line. File names may hold bytes that are not UTF-8, which no JSON takes:
    they are written out."""
    return masked(" ".join(str(error).encode(errors="backslashreplace").decode().split()))
