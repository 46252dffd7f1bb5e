"""The root command: imports commands late, and turns every error into an exit code."""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from io import StringIO
from typing import Any, TextIO

import click

from vidsearch import __version__
from vidsearch.cli.terminal import LogLines, escaped
from vidsearch.errors import (
    ConfigError,
    EvaluationError,
    FineTuningError,
    QueryError,
    VideoListError,
    VidsearchError,
)
from vidsearch.interrupts import exit_by

__all__ = ["cli", "main"]

# In the order of the help. Each module is imported only when its command runs: `vidsearch search`
# must not pay for Celery, nor `vidsearch local` for a search client.
_COMMANDS = (
    "demo",
    "check",
    "plan",
    "settings",
    "index",
    "ingest",
    "scan",
    "sweep",
    "videos",
    "thumbnails",
    "embeddings",
    "status",
    "metrics",
    "search",
    "web",
    "mcp",
    "eval",
    "finetune",
    "model",
    "embed",
    "reindex",
    "local",
    "completion",
)
_SERVING = ("web", "mcp")
"""They work with the clients for an event loop."""
_WRONG_INPUT = (ConfigError, EvaluationError, FineTuningError, QueryError, VideoListError)


class _LateGroup(click.Group):
    """A group whose commands live in modules of the same name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"vidsearch.cli.{cmd_name}")
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands = ((name, self.get_command(ctx, name)) for name in _COMMANDS)
        with formatter.section("Commands"):
            formatter.write_dl(
                # The first sentence of each help text, whole.
                [
                    (name, command.get_short_help_str(limit=200))
                    for name, command in commands
                    if command
                ]
            )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, EOFError) as error:
            if any(map(_is_unread, (sys.stdout, sys.stderr))):
                raise
            # Of a connection or another program. To click it is the end of our own output or input,
            # which it passes over in silence.
            raise VidsearchError(
                f"a connection, or another program, ended while vidsearch talked to it: {error!r}. "
                "With -v before the command it says where"
            ) from error

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            # click suggests names of loaded commands only, and these are not loaded yet.
            close = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            if not close:
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from error


@click.group(cls=_LateGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vidsearch")
@click.option(
    "-v", "--verbose", is_flag=True, help="Log what is done, and show tracebacks of errors."
)
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="TOML file of settings.  [default: VIDSEARCH_CONFIG, else ./vidsearch.toml, else that of "
    "`vidsearch local up`]",
)
@click.pass_context
def cli(ctx: click.Context, verbose: bool, config: str | None) -> None:
    """Text-to-video search inside your own Elasticsearch or OpenSearch.

    Settings come from VIDSEARCH_… variables or a TOML file; `vidsearch settings` lists them.
    Exit code 0: done; 1: failed; 2: an argument or a setting is wrong.
    """
    from vidsearch.error_texts import mask_record

    ctx.ensure_object(dict)
    ctx.obj["verbose"] = verbose
    if ctx.obj.get("alone") and ctx.invoked_subcommand not in _SERVING:
        from vidsearch.cli.lean_imports import import_lean

        import_lean()
    if config:
        os.environ["VIDSEARCH_CONFIG"] = config
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogLines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(mask_record)
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(handlers=[handler], level=level)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    ``args``: ``None`` takes those of this process, which is then for this command alone: clients
    are imported without what it does not use.
    """
    alone = args is None
    if os.getpid() == 1 and _nobody_hears(signal.SIGTERM):
        signal.signal(signal.SIGTERM, exit_by)
    try:
        sys.exit(_run(list(sys.argv[1:] if args is None else args), alone=alone))
    finally:
        if alone and "numpy" not in sys.modules:
            # Else Python looks through all that was imported once more, only to free it: a fifth of
            # the time of a short command. Libraries that compute (torch has Triton, which is bound
            # by nanobind) report what is not freed as leaks, and come with numpy.
            gc.freeze()


def _nobody_hears(number: int) -> bool:
    """Whether a signal is dropped in the first process of a container, and may be waited for here:
    in a program that is not ours it may be the program's own, or this another thread."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(number) is signal.SIG_DFL


def _run(args: list[str], *, alone: bool) -> int:
    try:
        result = cli.main(
            args=args, prog_name="vidsearch", standalone_mode=False, obj={"alone": alone}
        )
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.ClickException as error:
        shown = StringIO()
        error.show(shown)
        click.echo(escaped(shown.getvalue()), nl=False, err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("Aborted.", err=True)
        return 130
    except VidsearchError as error:
        _report(error, verbose=_is_verbose(args))
        return 2 if isinstance(error, _WRONG_INPUT) else 1
    return result if isinstance(result, int) else 0


def _is_unread(stream: TextIO | None) -> bool:
    """Whether a stream is a pipe that nobody reads any more, as after `| head`."""
    import select

    if stream is None or not hasattr(select, "poll"):  # as after `>&-`, and on Windows
        return False
    look = select.poll()
    try:
        look.register(stream, 0)  # that it is closed at the other end is told in any case
    except (OSError, ValueError):  # it is no file, or closed
        return False
    return bool(look.poll(0))


def _is_verbose(args: Sequence[str]) -> bool:
    return any(arg in {"-v", "--verbose"} for arg in args)


def _report(error: VidsearchError, *, verbose: bool) -> None:
    if verbose:
        from vidsearch.error_texts import traceback_of

        click.echo(escaped(traceback_of(error)), err=True)
    click.secho("Error: ", fg="red", bold=True, nl=False, err=True)
    click.echo(escaped(str(error)), err=True)
    if isinstance(error, QueryError) and error.engine is not None:
        click.echo(escaped(f"The engine says: {error.engine}"), err=True)
