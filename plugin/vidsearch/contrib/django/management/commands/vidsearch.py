"""``manage.py vidsearch …``: the command line of vidsearch, with the settings of the project."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from vidsearch.contrib.django.settings import as_environment
from vidsearch.errors import VidsearchError

__all__ = ["Command"]


class Command(BaseCommand):
    """Runs ``vidsearch`` in a process of its own."""

    help = "The command line of vidsearch, with VIDSEARCH of your settings.py."
    requires_system_checks: Any = ()

    def add_arguments(self, parser: Any) -> None:
        """Everything that follows is for vidsearch."""
        parser.add_argument(
            "arguments",
            nargs=argparse.REMAINDER,
            help="a command of vidsearch and its options, such as: index create",
        )

    def handle(self, *args: Any, arguments: list[str], **options: Any) -> None:
        """Raises ``SystemExit`` with the exit code of vidsearch, ``CommandError`` for settings.

        Where a person or a script runs it, vidsearch takes the place of this process, so that
        signals reach it. Code that calls the command goes on after it.
        """
        try:
            env = {**os.environ, **as_environment()}
        except VidsearchError as error:
            raise CommandError(str(error)) from error
        command = [sys.executable, "-m", "vidsearch.cli", *arguments]
        if os.name == "posix" and self._called_from_command_line:
            connections.close_all()
            sys.stdout.flush()
            sys.stderr.flush()
            os.execvpe(command[0], command, env)
        with subprocess.Popen(command, env=env) as process:
            code = _ended(process)
        if code:
            raise SystemExit(code if code > 0 else 128 - code)


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code. Ctrl-C reaches that process as well, which ends in its own way: killed, it
    would leave an index behind that takes no writes."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
