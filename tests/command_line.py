"""The command line, in the process of the test."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from vidsearch.cli import main

__all__ = ["Result", "Run", "runner"]


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """What it printed as JSON; a command that printed none says why on stderr."""
        try:
            return json.loads(self.out)
        except ValueError:
            told = f"exit code {self.code}, no JSON on stdout: {self.out!r}; stderr: {self.err}"
            raise AssertionError(told) from None


Run = Callable[..., Result]


def runner(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command by its arguments."""

    def run(*args: str) -> Result:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main(args)
        shown = capsys.readouterr()
        return Result(int(stop.value.code or 0), shown.out, shown.err)

    return run
