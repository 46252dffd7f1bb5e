"""``manage.py vidsearch`` as a process that is told to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.django_site import EXAMPLE, Site
from tests.integration.relay import free_port
from tests.waiting import until


def test_sigterm_ends_the_command_and_not_only_manage_py(tmp_path: Path) -> None:
    env = {**os.environ, "FILMSITE_DATA": str(tmp_path)}
    manage = [sys.executable, str(EXAMPLE / "manage.py"), "vidsearch"]
    said = tmp_path / "said"
    with said.open("wb") as out:
        started = subprocess.Popen(
            [*manage, "metrics", "--no-registry", "--port", str(free_port())],
            env=env,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    found = [psutil.Process(started.pid)]
    try:
        until(lambda: "metrics at" in said.read_text() or started.poll(), what="it serves")
        found += found[0].children(recursive=True)
        started.send_signal(signal.SIGTERM)
        assert started.wait(60) == 128 + signal.SIGTERM
        assert not [one for one in found if one.is_running()], said.read_text()
    finally:
        for one in found:
            if one.is_running():
                one.kill()


def test_code_that_runs_the_command_line_of_django_goes_on_after_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.management import execute_from_command_line

    def replaced(*_: object) -> None:
        raise AssertionError("this process would be replaced")

    monkeypatch.setattr(os, "execvpe", replaced)
    before = signal.getsignal(signal.SIGTERM)
    execute_from_command_line(["manage.py", "vidsearch", "settings"])
    assert signal.getsignal(signal.SIGTERM) is before
