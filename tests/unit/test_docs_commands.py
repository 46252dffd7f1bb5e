"""Every call of ``vidsearch`` in docs, messages and docstrings exists, with its options."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator

import click
import pytest
from tests.docs_pages import INLINE, PAGES, SOURCES, blocks, each_page, inline_code

from vidsearch.cli import cli


def command_lines(page: str) -> Iterator[str]:
    """Every call of ``vidsearch`` in a page: in shell blocks and in inline code."""
    for block in blocks(page, "", "console", "sh", "bash"):
        for line in block.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\|\||[;|]|\$\(", line.split(" #")[0].removeprefix("$ ")):
                yield from _call(part)
    for code in inline_code(page):
        # `eval "$(vidsearch local up)"`, and `vidsearch index create|show`, which is no pipe
        yield from _call(code.partition("$(")[2] or code)


def _call(text: str) -> Iterator[str]:
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


@each_page
def test_quoted_commands_exist_with_their_options(page: str) -> None:
    problems = {line: problem_of(line) for line in command_lines(page)}
    assert {line: problem for line, problem in problems.items() if problem} == {}


def test_commands_quoted_in_messages_and_docstrings_exist() -> None:
    problems = {}
    for file, text in SOURCES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for code in INLINE.findall(" ".join(node.value.split())):
                    problems |= {f"{file}: {line}": problem_of(line) for line in _call(code)}
    assert len(problems) > 20
    assert {line: problem for line, problem in problems.items() if problem} == {}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("vidsearch ingest --folder /videos --wait", None),
        ("vidsearch index create|show|diff", None),
        ("vidsearch search TEXT --mode keyword -k 5", None),
        ("vidsearch --config FILE settings --json", None),
        ("vidsearch serch dog", "no command 'serch'"),
        ("vidsearch index mend", "no command 'mend'"),
        ("vidsearch reindex --quantization binary --dry-run", None),
        ("vidsearch reindex rollback --yes", None),
        ("vidsearch reindex --colour red", "reindex has no option --colour"),
        ("vidsearch reindex mend", "no command 'mend'"),
        ("vidsearch search TEXT --mode near", "--mode cannot be 'near'"),
    ],
)
def test_the_check_of_commands_finds_what_is_wrong(line: str, problem: str | None) -> None:
    assert problem_of(line) == problem


def test_commands_are_found_in_every_form_that_docs_use() -> None:
    assert {"README.md", "docs/indices.md", "docs/search.md"} <= {
        page for page in PAGES if list(command_lines(page))
    }
    forms = [
        "VIDSEARCH_INDEX__QUANTIZATION=binary vidsearch index diff",
        "docker compose exec worker vidsearch index create",
        'vidsearch local up --model demo)"',
    ]
    assert [line for form in forms for line in _call(form)] == [
        "vidsearch index diff",
        "vidsearch index create",
        "vidsearch local up --model demo",
    ]


def test_local_up_creates_the_index_and_ingestion_follows() -> None:
    # tests/integration/test_local_stack_commands.py runs it.
    (block,) = [block for block in blocks("README.md", "") if "vidsearch local up" in block]
    after = block.partition("vidsearch local up")[2]
    assert after.index("vidsearch ingest") < after.index("vidsearch search")
    assert "Start everything, create the index" in "".join(blocks("docs/cli.md", "text"))
