"""Shells complete commands, options and values by what `vidsearch completion` prints."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from tests.command_line import Run, runner
from tests.docs_pages import PAGES
from tests.programs import program
from tests.waiting import until

# What a person types before TAB, and the arguments that the command then gets.
TYPED = {
    "index up": ["index", "upgrade"],
    "search x --mode v": ["search", "x", "--mode", "vector"],
    "ingest --fol": ["ingest", "--folder"],
    "ingest clip.mp4 pi": ["ingest", "clip.mp4", "picture of it.png"],
    "embed video cl": ["embed", "video", "clip.mp4"],
    "search --image pi": ["search", "--image", "picture of it.png"],
    "ingest --csv li": ["ingest", "--csv", "list.csv"],
    "ingest --base fi": ["ingest", "--base", "films"],
    "--config vi": ["--config", "vidsearch.toml"],
}
_FILES = ("clip.mp4", "picture of it.png", "list.csv", "vidsearch.toml", "filenames.txt")
_START_UP = {
    # From docs/install.md: the file, below the home folder, and what has to stand before the line.
    "bash": (".bashrc", ""),
    "zsh": (".zshrc", "autoload -U compinit && compinit -u -D\n"),
    "fish": (".config/fish/config.fish", ""),
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return runner(capsys)


def line_of(shell: str) -> str:
    """What the docs have a person put into the start-up file."""
    (row,) = re.findall(rf"^\| {shell}\b.*\|$", PAGES["docs/install.md"], re.MULTILINE)
    first, *more = re.findall(r"`([^`]+)`", row.rsplit("|", 2)[1])
    return f"{first} | {more[0]}" if more else str(first)


class Terminal:
    """A shell that somebody types into, with a ``vidsearch`` that writes down its arguments."""

    def __init__(self, shell: str, home: Path) -> None:
        self._got = home / "arguments"
        self._written = home / "written"
        name, before = _START_UP[shell]
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(f"{before}{line_of(shell)}\n")
        command = home / "bin/vidsearch"
        command.parent.mkdir()
        command.write_text(
            "#!/bin/sh\n"
            'if [ "$1" = completion ] || [ -n "$_VIDSEARCH_COMPLETE" ]; then\n'
            f'exec {sys.executable} -m vidsearch.cli "$@"\nfi\n'
            f'printf "%s\\n" "$@" >"{self._written}" && mv "{self._written}" "{self._got}"\n'
        )
        command.chmod(0o755)
        self._output = (home / "terminal.log").open("wb+")
        self._ours, theirs = os.openpty()
        # With a terminal of its own, as a shell at a desk has it.
        self._process = subprocess.Popen(
            [program("setsid", package="util-linux"), "--ctty", program(shell), "-i"],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=home / "work",
            env={
                **os.environ,
                "HOME": str(home),
                "ZDOTDIR": str(home),
                "XDG_CONFIG_HOME": str(home / ".config"),
                "XDG_DATA_HOME": str(home / ".local"),
                "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
                "TERM": "dumb",
            },
        )
        os.close(theirs)

    def arguments(self, typed: str) -> list[str]:
        """What the command gets where somebody types this, TAB, and Enter."""
        self._got.unlink(missing_ok=True)
        os.write(self._ours, f"vidsearch {typed}\t\r".encode())
        until(self._has_run, what=f"a command made of {typed!r} and TAB", worker=self)
        # zsh takes away the slash that it has added; the others leave it.
        return [word.rstrip("/") for word in self._got.read_text().splitlines()]

    def _has_run(self) -> bool:
        while select.select([self._ours], [], [], 0)[0]:
            try:
                self._output.write(os.read(self._ours, 65536))
            except OSError:  # the shell has ended, and select says for ever that there is more
                break
        return self._got.exists()

    def alive(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        self._output.flush()
        return Path(self._output.name).read_text(errors="replace")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self.end()
        os.close(self._ours)
        self._output.close()


@pytest.mark.parametrize("shell", _START_UP)
def test_a_shell_completes_commands_options_values_and_files(shell: str, tmp_path: Path) -> None:
    program(shell)
    (tmp_path / "work/films").mkdir(parents=True)
    for name in _FILES:
        (tmp_path / "work" / name).touch()
    terminal = Terminal(shell, tmp_path)
    try:
        assert {typed: terminal.arguments(typed) for typed in TYPED} == TYPED
    finally:
        terminal.close()


def test_what_a_shell_has_written_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    terminal = Terminal("bash", tmp_path)
    try:
        terminal.end()
        assert not terminal._has_run()
    finally:
        terminal.close()


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


def test_an_unknown_shell_is_refused_with_those_that_there_are(run: Run) -> None:
    shown = run("completion", "tcsh")
    assert shown.code == 2
    assert "'bash', 'zsh', 'fish'" in shown.err
