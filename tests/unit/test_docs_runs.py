"""Every block of code in the docs is run somewhere, or stands in one list with the reason."""

from __future__ import annotations

from collections import Counter

from tests.docs_pages import PAGES, ROOT, blocks
from tests.docs_runs import (
    COMMANDS,
    COMMANDS_ELSEWHERE,
    COMMANDS_NOT_RUN,
    EXIT_CODES,
    PYTHON,
    PYTHON_NOT_RUN,
    all_command_lines,
    reason_of,
)

RUN = {line for lines in COMMANDS.values() for line in lines}


def test_every_block_of_python_has_one_place() -> None:
    there = {
        (page, number) for page in PAGES for number, _ in enumerate(blocks(page, "python"), start=1)
    }
    placed = Counter(
        (page, number)
        for page, places in PYTHON.items()
        for numbers in places.values()
        for number in numbers
    )
    placed.update(PYTHON_NOT_RUN.keys())
    assert there - placed.keys() == set(), "say in tests/docs_runs.py where they run"
    assert placed.keys() - there == set(), "there are no such blocks any more"
    assert max(placed.values()) == 1


def test_files_that_run_python_name_its_pages() -> None:
    for page, places in PYTHON.items():
        for file in places:
            assert page in (ROOT / file).read_text("utf-8"), (file, page)


def test_every_command_is_run_or_has_a_reason() -> None:
    without = {
        (page, line)
        for page, line in all_command_lines()
        if line not in RUN
        and not reason_of(line, COMMANDS_ELSEWHERE)
        and not reason_of(line, COMMANDS_NOT_RUN)
    }
    assert without == set(), "say in tests/docs_runs.py where they run"


def test_the_lists_name_nothing_that_is_gone() -> None:
    lines = {line for _, line in all_command_lines()}
    assert RUN - lines == set()
    assert EXIT_CODES.keys() <= RUN
    for patterns in (COMMANDS_ELSEWHERE, COMMANDS_NOT_RUN):
        for pattern in patterns:
            assert any(reason_of(line, {pattern: "fits"}) for line in lines - RUN), pattern
    assert {file for file in COMMANDS_ELSEWHERE.values() if not (ROOT / file).is_file()} == set()


def test_most_calls_of_vidsearch_are_run() -> None:
    calls = {line for _, line in all_command_lines() if "vidsearch " in line.partition("#")[0]}
    assert len(RUN & calls) > len(calls - RUN), "the lists of reasons are for the few"
