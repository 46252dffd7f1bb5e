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


def on_path(folder: Path) -> dict[str, str]:
    """Variables of a shell that finds ``vidsearch``."""
    command = folder / "vidsearch"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m vidsearch.cli "$@"\n')
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def completed(folder: Path, script: str, *words: str) -> list[str]:
    """What bash offers for the last word of a line."""
    line = " ".join(f"'{word}'" for word in words)
    asked = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _vidsearch_completion vidsearch\n"
    done = subprocess.run(
        [str(BASH), "--norc", "-c", f'{script}\n{asked}printf "%s\\n" "${{COMPREPLY[@]}}"'],
        env=on_path(folder),
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
    ("shell", "start", "binding", "words", "answer"),
    [
        (
            *("zsh", "#compdef vidsearch", "compdef _vidsearch_completion vidsearch"),
            *(("vidsearch index up", "2"), "plain\nupgrade\n"),
        ),
        (
            *("fish", "function _vidsearch_completion", "complete --no-files --command vidsearch"),
            *(("vidsearch index", "up"), "plain,upgrade\t"),
        ),
    ],
    ids=["zsh", "fish"],
)
def test_other_shells_have_scripts_that_ask_as_click_answers(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    shell: str,
    start: str,
    binding: str,
    words: tuple[str, str],
    answer: str,
) -> None:
    shown = run("completion", shell)
    assert shown.code == 0
    assert shown.out.startswith(start)
    assert binding in shown.out, "what makes the shell call the function"
    assert "%(" not in shown.out
    asked = f"_VIDSEARCH_COMPLETE={shell}_complete"
    assert asked in shown.out
    for name, value in zip(("COMP_WORDS", "COMP_CWORD"), words, strict=True):
        assert f"{name}=" in shown.out
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(*asked.split("="))
    assert run().out.startswith(answer)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_parses_its_script(run: Run) -> None:
    script = run("completion", "zsh").out
    done = subprocess.run(["zsh", "-fn"], input=script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish here")
def test_fish_completes_commands(run: Run, tmp_path: Path) -> None:
    command = on_path(tmp_path)
    script = run("completion", "fish").out
    asked = f"{script}\ncomplete -C 'vidsearch index up'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", asked],
        env=command,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split()[:1]) == (0, ["upgrade"])


def test_an_unknown_shell_is_refused_with_those_that_there_are(run: Run) -> None:
    shown = run("completion", "tcsh")
    assert shown.code == 2
    assert "'bash', 'zsh', 'fish'" in shown.err
