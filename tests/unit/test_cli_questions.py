"""Questions of commands: what is done after a yes, after a no, and where nobody answers."""

from __future__ import annotations

import io
import sys

import click
import pytest

from vidsearch.cli import output


@pytest.mark.parametrize("answer", ["y\n", "yes\n"])
def test_a_yes_goes_on(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    output.confirm("Purge the records of 3 videos?")


@pytest.mark.parametrize("answer", ["n\n", "\n"])
def test_a_no_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    with pytest.raises(click.Abort):
        output.confirm("Purge the records of 3 videos?")
    shown = capsys.readouterr()
    assert (shown.out, "Purge the records of 3 videos?" in shown.err) == ("", True)


def test_where_nobody_answers_it_says_which_option_does_not_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(click.UsageError, match="give --yes"):
        output.confirm("Purge the records of 3 videos?")
