"""Every call of ``vidsearch`` in docs, messages and docstrings exists, with its options."""

from __future__ import annotations

import ast

import pytest
from tests.docs_pages import INLINE, PAGES, SOURCES, blocks, each_page
from tests.quoted_commands import calls, calls_in_blocks, command_lines, problem_of, refusal_of


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
                    problems |= {f"{file}: {line}": problem_of(line) for line in calls(code)}
    assert len(problems) > 20
    assert {line: problem for line, problem in problems.items() if problem} == {}


@each_page
def test_commands_in_blocks_are_taken_by_the_command_line(page: str) -> None:
    # Whole calls: arguments, values, options that need each other. In a text they may be shortened.
    refusals = {line: refusal_of(line) for line in calls_in_blocks(page)}
    assert {line: said for line, said in refusals.items() if said} == {}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("vidsearch videos list --state failed > failed.txt", None),
        ("vidsearch index attach products --uri-field media.url", None),
        ("vidsearch videos show", "Missing argument"),
        ("vidsearch search boat -k many", "'many' is not a valid integer"),
        ("vidsearch metrics 9850", "unexpected extra argument"),
    ],
)
def test_the_check_of_whole_calls_finds_what_is_wrong(line: str, said: str | None) -> None:
    refusal = refusal_of(line)
    assert refusal is None if said is None else said in (refusal or "")


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
    assert [*calls(*forms)] == [
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
