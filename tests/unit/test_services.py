"""What all tests rely on: a missing service or program fails in CI and is skipped elsewhere;
settings of the developer reach no test."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.programs import ffmpeg, ffprobe, program
from tests.services import RunningServices

from vidsearch.errors import LocalError
from vidsearch.local import RedisServer, SearchNode

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """No service can be started; returns the attempts."""
    attempts: list[str] = []

    def refuse(*arguments: object, **options: object) -> None:
        attempts.append(str(arguments))
        raise LocalError("there is no Java")

    monkeypatch.setattr(SearchNode, "start", refuse)
    monkeypatch.setattr(RedisServer, "start", refuse)
    return attempts


def test_missing_service_is_skipped_with_its_reason(
    nothing_installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)
    services = RunningServices()
    for _ in range(3):
        with pytest.raises(pytest.skip.Exception, match=r"es-9\.5\.3 is not available: there is"):
            services.node("es-9.5.3")
    assert len(nothing_installed) == 1  # not tried again for each test
    with pytest.raises(pytest.skip.Exception, match="redis is not available: there is no Java"):
        services.redis_url()
    services.stop()


def test_missing_service_fails_in_ci(
    nothing_installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    for _ in range(2):
        with pytest.raises(pytest.fail.Exception, match=r"os-2\.19\.1 is not available"):
            RunningServices().node("os-2.19.1")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: program("chromium"), "no chromium here: on Debian `apt-get install chromium`"),
        (lambda: ffmpeg("-version"), "no ffmpeg here: on Debian `apt-get install ffmpeg`"),
        (lambda: ffprobe("-version"), "no ffprobe here: on Debian `apt-get install ffmpeg`"),
    ],
    ids=["chromium", "ffmpeg", "ffprobe"],
)
@pytest.mark.parametrize("ci", ["", "true"])
def test_missing_program_fails_in_ci_and_is_skipped_elsewhere_with_its_package(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: Callable[[], object],
    message: str,
    ci: str,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(pytest.fail.Exception if ci else pytest.skip.Exception) as ended:
        call()
    assert str(ended.value) == message


def test_command_that_fails_is_an_error_and_skips_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = tmp_path / "ffmpeg"
    command.write_text("#!/bin/sh\nexit 1\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(subprocess.CalledProcessError):
        ffmpeg("-i", "absent.mp4")


def test_other_errors_are_raised_and_skip_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(SearchNode, "start", break_down)
    with pytest.raises(ZeroDivisionError):
        RunningServices().node("es-9.5.3")


def test_settings_of_the_developer_do_not_reach_tests(tmp_path: Path) -> None:
    test = tmp_path / "test_environment.py"
    test.write_text(
        "import os\n"
        "def test_environment():\n"
        "    assert 'KEPT' in os.environ\n"
        "    assert not [name for name in os.environ if name.startswith('VIDSEARCH_')]\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", str(test)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "KEPT": "1", "VIDSEARCH_INDEX__NAME": "mine"}
    answer = subprocess.run(command, env=environ, capture_output=True, text=True, cwd=ROOT)
    assert answer.returncode == 0, answer.stdout
    assert "1 passed" in answer.stdout


def test_each_test_has_an_index_name_of_its_own(index_name: str) -> None:
    assert index_name.startswith("test-")
    assert index_name == index_name.lower()
    assert len(index_name) > 12
