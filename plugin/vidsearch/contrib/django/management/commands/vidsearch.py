"""``manage.py vidsearch …``: the command line of vidsearch, with the settings of the project."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError

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

        SIGTERM and SIGHUP are passed on to vidsearch, which ends in its own way.
        """
        try:
            env = {**os.environ, **as_environment()}
        except VidsearchError as error:
            raise CommandError(str(error)) from error
        command = [sys.executable, "-m", "vidsearch.cli", *arguments]
        sys.stdout.flush()
        sys.stderr.flush()
        with _signals_passed_on() as started, subprocess.Popen(command, env=env) as process:
            started(process)
            code = _ended(process)
        if code:
            raise SystemExit(code if code > 0 else 128 - code)


@contextmanager
def _signals_passed_on() -> Iterator[Callable[[subprocess.Popen[bytes]], None]]:
    """Takes the process that signals are sent to; what comes before it is sent then."""
    processes: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def pass_on(number: int, _: Any) -> None:
        early.append(number)
        for process in processes:
            process.send_signal(number)

    def started(process: subprocess.Popen[bytes]) -> None:
        processes.append(process)
        for number in early:
            process.send_signal(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():  # no other may set handlers
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            # What is ignored, as under nohup, the new process ignores as well.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, pass_on)
    try:
        yield started
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)


def _ended(process: subprocess.Popen[bytes]) -> int:
    """The exit code. Ctrl-C reaches that process as well, which ends in its own way: killed, it
    would leave an index behind that takes no writes."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
