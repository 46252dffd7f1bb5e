"""Calls of ``vidsearch`` as docs and messages quote them, and what is wrong with them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
from tests.docs_pages import blocks, inline_code

from vidsearch.cli import cli

__all__ = ["calls", "calls_in_blocks", "command_lines", "problem_of", "refusal_of", "shell_lines"]

_REDIRECTION = re.compile(r"\s\d?>>?\s*[\w./-]+")


def shell_lines(page: str) -> Iterator[str]:
    """The commands of a page's shell blocks: whole lines, without prompts and comments."""
    for block in blocks(page, "", "console", "sh", "bash"):
        yield from _commands_of(block)


def _commands_of(block: str) -> Iterator[str]:
    # What a here-document holds are no commands.
    block = re.sub(r"<<(\w+)\n.*?^\1$", "", block, flags=re.DOTALL | re.MULTILINE)
    for line in block.replace("\\\n", " ").splitlines():
        if command := line.split(" #")[0].strip().removeprefix("$ "):
            yield command


def calls_in_blocks(page: str) -> Iterator[str]:
    """Every call of ``vidsearch`` in the shell blocks of a page."""
    for line in shell_lines(page):
        yield from calls(*re.split(r"&&|\|\||[;|]|\$\(", line))


def command_lines(page: str) -> Iterator[str]:
    """Every call of ``vidsearch`` in a page: in shell blocks and in inline code."""
    yield from calls_in_blocks(page)
    for code in inline_code(page):
        # `eval "$(vidsearch local up)"`, and `vidsearch index create|show`, which is no pipe
        yield from calls(code.partition("$(")[2] or code)


def calls(*texts: str) -> Iterator[str]:
    """The call of ``vidsearch`` in each text that is one, whatever stands before it."""
    for text in texts:
        found = re.match(
            r"(?:[A-Z_]+=\S* |docker compose exec \w+ )*(vidsearch(?: .*)?)$", text.strip()
        )
        if found:
            yield found[1].removesuffix(')"')


def problem_of(line: str) -> str | None:
    """What is wrong with a call as it is quoted in docs or in a message, if anything."""
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli, info_name="vidsearch")
    while words:
        word = words.pop(0)
        if isinstance(command, click.Group) and not word.startswith("-"):
            if word in {"…", "..."}:
                return None
            alternatives = [command.get_command(context, name) for name in word.split("|")]
            if None in alternatives:
                return f"no command {word!r}"
            command = alternatives[-1] or command
        elif word.startswith("-") and word not in {"-h", "--help", "--version"}:
            *_, name = names = word.partition("=")[0].split("|")
            options = [_option(command, each) for each in names]
            if None in options:
                return f"{command.name} has no option {names[options.index(None)]}"
            option = options[-1]
            if option is None or option.is_flag:
                continue
            value = word.partition("=")[2] or (words.pop(0) if words else "")
            choices = getattr(option.type, "choices", [value])
            if value.islower() and value not in choices:
                return f"{name} cannot be {value!r}"
    return None


def _option(command: click.Command, name: str) -> click.Option | None:
    options = [each for each in command.params if isinstance(each, click.Option)]
    return next((each for each in options if name in (*each.opts, *each.secondary_opts)), None)


def refusal_of(line: str) -> str | None:
    """What click says against a whole call, if anything. Files that it names need not exist."""
    words = shlex.split(_REDIRECTION.sub("", line))[1:]

    def as_given(self: click.Path, value: Any, *_: Any) -> Any:
        return Path(value) if self.type is Path else value

    def does_nothing(*_: Any) -> None: ...

    with (
        patch.object(click.Path, "convert", as_given),
        patch.object(click.Command, "invoke", does_nothing),
    ):
        return _said_by(cli, words)


def _said_by(command: click.Command, words: Sequence[str]) -> str | None:
    try:
        command.main(list(words), prog_name="vidsearch", standalone_mode=False)
    except click.ClickException as error:
        return error.format_message()
    return None
