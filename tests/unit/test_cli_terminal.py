"""What a title, a URI or an error holds is shown on a terminal, and not obeyed by it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable

import click
import pytest

from vidsearch.cli import output, root
from vidsearch.cli.terminal import LogLines, escaped, escaped_json
from vidsearch.errors import BackendError, QueryError

EVIL = "cat\x1b]52;c;AAAA\x07\x1b[2J\x9b1A\rfailed 0"
SHOWN = r"cat\x1b]52;c;AAAA\x07\x1b[2J\x9b1A\rfailed 0"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (EVIL, SHOWN),
        ("one\r\ntwo\tthree\nfour", "one\ntwo\tthree\nfour"),
        ("a\x7fb\u202ec\u2066d\u2028e", r"a\x7fb\u202ec\u2066d\u2028e"),
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_what_a_terminal_obeys_is_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown
    assert escaped(shown) == shown
    assert json.loads(escaped_json(json.dumps(text, ensure_ascii=False))) == text
    assert escaped_json(json.dumps(text, ensure_ascii=False)).isprintable()


@pytest.mark.parametrize(
    "text",
    ["Hafen im Morgengrauen – 100 %", "می\u200cخواهم", "👨\u200d👩\u200d👧", "a\xa0b", "東京"],
)
def test_letters_of_all_languages_stay(text: str) -> None:
    assert escaped(text) == text
    assert escaped_json(json.dumps(text, ensure_ascii=False)) == json.dumps(
        text, ensure_ascii=False
    )


def _table() -> None:
    output.print_table(["id", "title"], [["a", EVIL]])


def _rows() -> None:
    with output.row_printer(["id", "title"], as_json=False) as row:
        row({}, ["a", EVIL])


def _json() -> None:
    output.print_json({"title": EVIL})


def _line_of_json() -> None:
    output.print_line_of_json({"title": EVIL})


def _rows_of_json() -> None:
    with output.row_printer(["title"], as_json=True) as row:
        row({"title": EVIL}, [])


def _talk() -> None:
    output.talk(f"left out: {EVIL}")


def _talk_of() -> None:
    output.talk_of([(EVIL, EVIL)])


@pytest.mark.parametrize(
    "show", [_table, _rows, _json, _line_of_json, _rows_of_json, _talk, _talk_of]
)
def test_output_in_a_pipe_is_escaped(
    show: Callable[[], None], capsys: pytest.CaptureFixture[str]
) -> None:
    show()
    out, err = capsys.readouterr()
    said = out + err
    assert "52;c;AAAA" in said
    assert all(character.isprintable() or character in "\n\t" for character in said)


def test_tables_on_a_terminal_are_escaped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    _table()
    assert SHOWN in click.unstyle(capsys.readouterr().out)


def test_messages_above_a_bar_and_its_note_are_escaped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    with output.progress("Filling", total=1) as bar:
        bar(1, note=f"[red]{EVIL}")
        _talk()
    said = capsys.readouterr().err
    assert f"left out: {SHOWN}" in said
    assert f"[red]{SHOWN}" in said
    assert "\x1b]52" not in said


def _refused_by_the_engine() -> QueryError:
    error = QueryError("wrong")
    error.__cause__ = BackendError(EVIL)
    return error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BackendError(EVIL), 1),
        (_refused_by_the_engine(), 2),
    ],
)
@pytest.mark.parametrize("options", [[], ["--verbose"]])
def test_errors_are_escaped(
    error: Exception,
    code: int,
    options: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("vidsearch.cli.settings.load_settings", fail)
    with pytest.raises(SystemExit, match=str(code)):
        root.main([*options, "settings"])
    said = capsys.readouterr().err
    assert SHOWN in said
    assert "\x1b]52" not in said


def test_wrong_arguments_are_escaped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise click.UsageError(EVIL)

    monkeypatch.setattr("vidsearch.cli.settings.load_settings", fail)
    with pytest.raises(SystemExit, match="2"):
        root.main(["settings"])
    said = capsys.readouterr().err
    assert said.startswith("Usage: vidsearch settings")
    assert r"Error: cat\x1b]52;c;AAAA\x07" in said
    assert all(character.isprintable() or character == "\n" for character in said)


def test_traceback_of_an_error_has_no_secret(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise BackendError("away") from OSError("GET https://me:hunter2@host/a?key=hunter2")

    monkeypatch.setattr("vidsearch.cli.settings.load_settings", fail)
    with pytest.raises(SystemExit, match="1"):
        root.main(["-v", "settings"])
    said = capsys.readouterr().err
    assert "OSError: GET https://…@host/a?…" in said
    assert "Traceback" in said
    assert "hunter2" not in said


def test_questions_are_escaped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(prompt: str) -> str:
        sys.stderr.write(prompt)
        return "y"

    monkeypatch.setattr("click.termui.visible_prompt_func", answer)
    output.confirm(f"Delete {EVIL}?")
    assert SHOWN in capsys.readouterr().err


def test_lines_of_the_log_are_escaped() -> None:
    record = logging.LogRecord("vidsearch", logging.INFO, "", 1, "video %s", (EVIL,), None)
    assert LogLines("%(message)s").format(record) == f"video {SHOWN}"
