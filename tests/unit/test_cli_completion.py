"""Shells complete commands, options and values by what `vidsearch completion` prints."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.command_line import Run, runner

BASH = shutil.which("bash")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def completed(folder: Path, script: str, *words: str) -> list[str]:
    """What bash offers for the last word of a line."""
    command = folder / "vidsearch"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m vidsearch.cli "$@"\n')
    command.chmod(0o755)
    line = " ".join(f"'{word}'" for word in words)
    asked = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _vidsearch_completion vidsearch\n"
    done = subprocess.run(
        [str(BASH), "--norc", "-c", f'{script}\n{asked}printf "%s\\n" "${{COMPREPLY[@]}}"'],
        env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.skipif(BASH is None, reason="there is no bash here")
def test_bash_completes_commands_options_and_values(run: Run, tmp_path: Path) -> None:
    shown = run("completion", "bash")
    assert (shown.code, shown.err) == (0, "")
    assert completed(tmp_path, shown.out, "vidsearch", "ind") == ["index"]
    assert completed(tmp_path, shown.out, "vidsearch", "index", "up") == ["upgrade"]
    assert completed(tmp_path, shown.out, "vidsearch", "search", "x", "--mode", "") == [
        *("hybrid", "vector", "keyword"),
    ]
    assert "--folder" in completed(tmp_path, shown.out, "vidsearch", "ingest", "--f")


@pytest.mark.parametrize(
    ("shell", "start"), [("zsh", "#compdef vidsearch"), ("fish", "function _vidsearch_completion")]
)
def test_other_shells_have_scripts_as_well(run: Run, shell: str, start: str) -> None:
    shown = run("completion", shell)
    assert shown.code == 0
    assert shown.out.startswith(start)
    assert "_VIDSEARCH_COMPLETE=" in shown.out


def test_an_unknown_shell_is_refused_with_those_that_there_are(run: Run) -> None:
    shown = run("completion", "tcsh")
    assert shown.code == 2
    assert "'bash', 'zsh', 'fish'" in shown.err
