"""The root command: help, unknown names, exit codes, tracebacks only on request."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import click
import pytest

from vidsearch.cli import cli, output, root
from vidsearch.errors import (
    BackendUnavailableError,
    ConfigError,
    MappingConflictError,
    QueryError,
    VidsearchError,
)


def run(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        root.main(args)
    out, err = capsys.readouterr()
    assert isinstance(stop.value.code, int)
    return stop.value.code, out, err


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Makes `vidsearch settings` raise what the test puts into the list."""
    errors: list[BaseException] = []

    def load(**_: object) -> None:
        raise errors[0]

    monkeypatch.setattr("vidsearch.cli.settings.load_settings", load)
    return errors


def test_the_first_process_of_a_container_ends_when_it_is_told_to() -> None:
    # The kernel drops what such a process does not wait for; elsewhere it ends by the signal.
    code = (
        "import os; os.getpid = lambda: 1\n"
        "from vidsearch.cli import completion, main\n"
        "def wait(_): print('begun', flush=True); os.read(0, 1)\n"
        "completion.get_completion_class = wait\n"
        "main(['completion', 'bash'])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM


def test_the_first_process_of_a_container_keeps_its_own_handling_of_signals(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 1)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert run(capsys, "--version")[0] == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with ThreadPoolExecutor(1) as thread:  # of a server, say
            assert thread.submit(run, capsys, "--version").result()[0] == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def every_command() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []

    def walk(name: str, command: click.Command) -> None:
        found.append((name, command))
        if isinstance(command, click.Group):
            context = click.Context(command)
            for child in command.list_commands(context):
                loaded = command.get_command(context, child)
                assert loaded is not None
                walk(f"{name} {child}", loaded)

    walk("vidsearch", cli)
    return found


def test_every_command_and_option_has_help() -> None:
    for name, command in every_command():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"


def test_every_command_that_prints_data_has_json() -> None:
    acting = {"demo", "metrics", "up", "down", "create", "upgrade", "attach", "detach", "drop"}
    acting |= {"completion", "web", "mcp"}
    for name, command in every_command():
        if isinstance(command, click.Group) or name.split()[-1] in acting:
            continue
        assert any("--json" in parameter.opts for parameter in command.params), name


def test_help_lists_commands_and_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--help")
    assert code == 0
    assert "reindex" in out
    code, out, _ = run(capsys, "--version")
    assert code == 0
    assert out.startswith("vidsearch, version ")


def test_misspelt_command_is_refused_with_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, "serch", "dog")
    assert code == 2
    assert out == ""
    assert "No such command 'serch'. Did you mean 'search'?" in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("setting x: bad"), 2),
        (QueryError("k must be at least 1"), 2),
        (BackendUnavailableError("http://x:1 does not answer"), 1),
        (VidsearchError("no"), 1),
    ],
)
def test_errors_become_one_line_and_an_exit_code(
    capsys: pytest.CaptureFixture[str],
    raising: list[BaseException],
    error: VidsearchError,
    code: int,
) -> None:
    raising.append(error)
    found, out, err = run(capsys, "settings")
    assert (found, out, err) == (code, "", f"Error: {error}\n")


def test_why_the_engine_refused_a_search_is_told_too(
    capsys: pytest.CaptureFixture[str], raising: list[BaseException]
) -> None:
    error = QueryError("filter: the engine refuses a value")
    error.__cause__ = MappingConflictError("index 'videos' at http://x:1: no date")
    raising.append(error)
    code, _, err = run(capsys, "settings")
    assert code == 2
    assert err.splitlines() == [f"Error: {error}", f"The engine says: {error.__cause__}"]


def test_verbose_shows_the_chain_of_causes(
    capsys: pytest.CaptureFixture[str], raising: list[BaseException]
) -> None:
    error = BackendUnavailableError("down")
    error.__cause__ = OSError("connection refused")
    raising.append(error)
    code, _, err = run(capsys, "-v", "settings")
    assert code == 1
    assert "OSError: connection refused" in err
    assert err.endswith("Error: down\n")


def test_interrupt_ends_without_a_traceback(
    capsys: pytest.CaptureFixture[str], raising: list[BaseException]
) -> None:
    raising.append(KeyboardInterrupt())
    code, out, err = run(capsys, "settings")
    assert (code, out, err) == (130, "", "\nAborted.\n")


@pytest.mark.parametrize(
    "error", [BrokenPipeError(errno.EPIPE, "Broken pipe"), EOFError("ran out of input")]
)
def test_end_of_a_connection_is_not_taken_for_the_end_of_the_output(
    capsys: pytest.CaptureFixture[str], raising: list[BaseException], error: BaseException
) -> None:
    raising.append(error)
    code, out, err = run(capsys, "settings")
    assert (code, out) == (1, "")
    assert err.startswith("Error: a connection, or another program, ended while vidsearch")
    assert str(error.args[-1]) in err


def test_broken_connection_is_told_where_there_is_no_output(
    capsys: pytest.CaptureFixture[str],
    raising: list[BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raising.append(BrokenPipeError(errno.EPIPE, "Broken pipe"))
    monkeypatch.setattr(sys, "stdout", None)  # as Python sets it after `>&-`
    code, _, err = run(capsys, "settings")
    assert code == 1
    assert err.startswith("Error: a connection, or another program, ended")


def test_output_that_nobody_reads_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "vidsearch.cli", "settings"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_settings_lists_every_setting_and_masks_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDSEARCH_ENGINE__PASSWORD", "hunter2")
    monkeypatch.setenv("VIDSEARCH_BROKER__URL", "redis://me:hunter2@host:1/0")
    monkeypatch.setenv("VIDSEARCH_THUMBNAILS__URL", "smb://me:hunter2@nas/share")
    monkeypatch.setenv("VIDSEARCH_EMBEDDINGS__URL", "sftp://me:hunter2@nas/share")
    options = {
        "master_name": "main",
        "password": "hunter2",
        "sentinel_kwargs": {"auth": "hunter2"},
        "queues": [{"auth": "hunter2"}, "amqp://me:hunter2@host//"],
    }
    monkeypatch.setenv("VIDSEARCH_BROKER__TRANSPORT_OPTIONS", json.dumps(options))
    headers = {"example.com": {"Authorization": "Bearer hunter2"}}
    monkeypatch.setenv("VIDSEARCH_SOURCES__HEADERS", json.dumps(headers))
    code, out, _ = run(capsys, "settings", "--json")
    assert code == 0
    assert "hunter2" not in out
    shown = json.loads(out)
    assert shown["VIDSEARCH_BROKER__URL"] == "redis://me:***@host:1/0"
    assert shown["VIDSEARCH_ENGINE__PASSWORD"] == "***"
    assert shown["VIDSEARCH_THUMBNAILS__URL"] == "smb://me:***@nas/share"
    assert shown["VIDSEARCH_EMBEDDINGS__URL"] == "sftp://me:***@nas/share"
    assert shown["VIDSEARCH_BROKER__TRANSPORT_OPTIONS"] == {
        "master_name": "main",
        "password": "***",
        "sentinel_kwargs": {"auth": "***"},
        "queues": [{"auth": "***"}, "amqp://me:***@host//"],
    }
    assert shown["VIDSEARCH_SOURCES__HEADERS"] == {"example.com": {"Authorization": "***"}}
    assert shown["VIDSEARCH_INDEX__NAME"] == "videos"
    code, out, _ = run(capsys, "settings")
    assert code == 0
    assert "hunter2" not in out
    meaning = "Alias of the videos index. The registry is `<side_prefix><name>-registry`."
    assert f"VIDSEARCH_INDEX__NAME\tvideos\t{meaning}" in out.splitlines()


def test_config_option_reads_the_given_file(
    capsys: pytest.CaptureFixture[str], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "mine.toml"
    file.write_text('[index]\nname = "clips"\n')
    monkeypatch.setenv("VIDSEARCH_CONFIG", "")  # restored afterwards; the option sets it
    code, out, _ = run(capsys, "--config", str(file), "settings", "--json")
    assert code == 0
    assert json.loads(out)["VIDSEARCH_INDEX__NAME"] == "clips"
    code, _, err = run(capsys, "--config", "absent.toml", "settings")
    assert code == 2
    assert "absent.toml" in err


def test_tables_in_a_pipe_are_one_line_per_row(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(("id", "note"), [("a", "two\nlines\tand a tab"), ("b", None)], title="Shown")
    assert capsys.readouterr().out == "id\tnote\na\ttwo lines and a tab\nb\t-\n"


def test_progress_in_a_pipe_prints_each_count_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_PLAIN_SECONDS", 0.0)
    with output.progress("Ingesting", total=2) as bar:
        for done in (0, 0, 1, 2, 2):
            bar(done)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "Ingesting: 0/2\nIngesting: 1/2\nIngesting: 2/2\n"


def test_progress_in_a_pipe_prints_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("Registering", total=10_000) as bar:
        for done in range(10_001):
            bar(done)
    err = capsys.readouterr().err.splitlines()
    assert (err[0], err[-1]) == ("Registering: 0/10000", "Registering: 10000/10000")
    assert len(err) < 20


def test_ids_are_not_wrapped_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    id, long = "harbour-at-dawn-5fb59b7a39e9", "x" * 70
    output.print_table(("id", "title"), [(id, "a long title " * 20)], whole=("id",))
    assert id in capsys.readouterr().out
    output.print_table(("id", "title"), [(long, "a long title " * 20)], whole=("id",))
    out = capsys.readouterr().out
    assert out.count("x") == len(long)
    assert max(len(click.unstyle(line)) for line in out.splitlines()) <= 80


@pytest.mark.parametrize("option", [["--port", "9000"], ["--host", "0.0.0.0"]])
def test_mcp_server_of_stdin_takes_no_address(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = run(capsys, "mcp", *option)
    assert code == 2
    assert "--http" in err


def test_a_message_goes_above_the_bar_that_is_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    with output.progress("Filling", total=2) as bar:
        output.talk("before any bar")
        bar(1)
        output.talk("a step [1] begins")
        bar(2)
    output.talk("after it")
    said = capsys.readouterr().err
    assert said.startswith("before any bar\n")
    assert said.endswith("after it\n")
    # The bar is erased for the message, and drawn again below it.
    assert "\x1b[2Ka step [1] begins\n" in said
