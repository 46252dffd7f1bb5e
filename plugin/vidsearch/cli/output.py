"""Output of commands: data on stdout, messages and progress on stderr, plain lines in a pipe."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import click

from vidsearch.cli.terminal import escaped, escaped_json

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.table import Table

__all__ = [
    "Progress",
    "confirm",
    "print_facts",
    "print_json",
    "print_line_of_json",
    "print_rows",
    "print_table",
    "progress",
    "row_printer",
    "shortened",
    "table",
    "talk",
    "talk_of",
    "talk_of_outage",
]

# A cell that must not be wrapped takes at most this share of a line.
_WHOLE_SHARE = 0.4
# In a pipe: seconds between two lines of progress. The first and the last are always printed.
_PLAIN_SECONDS = 2.0
_drawn: list[Bar] = []
"""The bars on the terminal; the last one is the innermost."""


def talk(message: str) -> None:
    """Print a message on stderr, above the bar if one is drawn."""
    if _drawn:
        from rich.text import Text

        _drawn[-1].console.print(Text(escaped(message)), soft_wrap=True)
    else:
        click.echo(escaped(message), err=True)


def confirm(question: str) -> None:
    """Ask on stderr, and go on with a yes only.

    Raises:
        click.Abort: the answer was no.
        click.UsageError: there is nobody to ask, as in a script.
    """
    try:
        is_yes = click.confirm(escaped(question), err=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():  # interrupted
            raise
        talk("")
        raise click.UsageError(
            "nobody answers that, as stdin is at its end: give --yes, which does not ask"
        ) from None
    if not is_yes:
        raise click.Abort


def talk_of_outage(error: Exception, seconds: float) -> None:
    """The engine is away or overloaded, and it is tried again in so many seconds."""
    talk(f"trying again in {math.ceil(seconds)} s: {error}")


def talk_of(items: Iterable[tuple[str, str]]) -> None:
    """Print pairs of a label and a message on stderr.

    On a terminal they form two columns, and messages are wrapped between words. They may hold ANSI
    styles there, so that their parts of documents must be escaped.
    """
    if not sys.stderr.isatty():
        for label, message in items:
            talk(f"{label} {message}")
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(justify="right", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, message in items:
        grid.add_row(Text(escaped(label)), Text.from_ansi(message))
    Console(stderr=True).print(grid)


def print_json(data: Any) -> None:
    """One JSON document on stdout; indented for a person, one line for a pipe."""
    click.echo(_json(data, indent=2 if sys.stdout.isatty() else None))


def print_line_of_json(data: Any) -> None:
    """One of several JSON documents on stdout, a line each, at once."""
    click.echo(_json(data))
    sys.stdout.flush()


def _json(data: Any, *, indent: int | None = None) -> str:
    return escaped_json(json.dumps(data, indent=indent, ensure_ascii=False, default=str))


def print_rows(
    data: Any,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    as_json: bool,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """``data`` as JSON, or its ``rows`` as by :func:`print_table`."""
    if as_json:
        print_json(data)
    else:
        print_table(columns, rows, right=right, whole=whole)


def print_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Named values as JSON or as a table of two columns; objects in it by ``object.name``."""
    rows: list[tuple[str, Any]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            rows += [(f"{name}.{part}", each) for part, each in value.items()]
        else:
            rows.append((name, value))
    print_rows(facts, ("what", "value"), rows, as_json=as_json, whole=("what",))


def _tab_separated(cells: Iterable[str]) -> str:
    return "\t".join(" ".join(cell.split()) for cell in cells)


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> None:
    """A table on stdout: drawn on a terminal, tab-separated in a pipe.

    Args:
        columns: headings.
        rows: cells, turned into text; ``None`` shows as ``-``.
        title: shown above the table, on a terminal only.
        right: columns to align right.
        whole: columns whose cells are not wrapped, so that they can be copied, unless they are too
            long for the terminal.
    """
    if sys.stdout.isatty():
        from rich.console import Console

        Console().print(table(columns, rows, title=title, right=right, whole=whole))
        return
    for row in [list(columns), *_cells(rows)]:
        click.echo(_tab_separated(row))


def _cells(rows: Iterable[Sequence[Any]]) -> list[list[str]]:
    return [["-" if cell is None else escaped(str(cell)) for cell in row] for row in rows]


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> Table:
    """The table that :func:`print_table` draws on a terminal."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    cells, width = _cells(rows), Console().width
    drawn = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for place, column in enumerate(columns):
        lines = [line for row in cells for line in row[place].splitlines()]
        longest = max(map(len, lines), default=0)
        drawn.add_column(
            column,
            justify="right" if column in right else "left",
            overflow="fold",
            no_wrap=column in whole and longest <= _WHOLE_SHARE * width,
        )
    for row in cells:
        # Text, not markup: a title such as "[red] dog" is shown as it is.
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn


@contextmanager
def row_printer(
    columns: Sequence[str], *, as_json: bool
) -> Iterator[Callable[[Mapping[str, Any], Sequence[Any]], None]]:
    """Prints rows when they are there, each given as an object and as cells: in a JSON array, in a
    pipe as :func:`print_table` does, and on a terminal not at all."""
    printed = 0
    shown = as_json or not sys.stdout.isatty()

    def print_row(data: Mapping[str, Any], cells: Sequence[Any]) -> None:
        nonlocal printed
        if not shown:
            return
        if as_json:
            click.echo(f"{',' if printed else '['}\n{_json(data)}", nl=False)
        else:
            for row in _cells([cells] if printed else [columns, cells]):
                click.echo(_tab_separated(row))
        printed += 1

    try:
        yield print_row
    except BaseException:
        if as_json and printed:  # what is printed can still be read
            click.echo("\n]")
        raise
    if as_json:
        click.echo("\n]" if printed else "[]")


def shortened(text: Any, *, length: int = 50) -> Any:
    """A text that is cut for a terminal, where a long one would push all else aside."""
    if not isinstance(text, str) or not sys.stdout.isatty() or len(text) <= length:
        return text
    return f"{text[: length - 1].rstrip()}…"


class Progress(Protocol):
    """Reports that ``done`` steps of ``total`` are done; ``None`` leaves the total as it was."""

    def __call__(self, done: int, total: int | None = None, *, note: str = "") -> None: ...


@contextmanager
def progress(label: str, *, total: int | None = None) -> Iterator[Progress]:
    """A bar on a terminal; in a pipe a plain line on stderr every few seconds.

    It begins with the first report, so that a question can be asked before.

    Args:
        label: what is being done.
        total: number of steps, where it is known.
    """
    if not sys.stderr.isatty():
        yield _plain_progress(label, total)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    bar = Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),  # what the others leave of the line
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=Console(stderr=True),
        expand=True,
    )
    task = bar.add_task(label, total=total, note="")

    def draw(done: int, total: int | None = None, *, note: str = "") -> None:
        if bar not in _drawn:
            bar.start()
            _drawn.append(bar)
        bar.update(task, completed=done, total=total, note=escaped(note))

    try:
        yield draw
    finally:
        bar.stop()
        if bar in _drawn:
            _drawn.remove(bar)


def _plain_progress(label: str, whole: int | None) -> Progress:
    last, said_at = -1, -math.inf

    def line(done: int, total: int | None = None, *, note: str = "") -> None:
        nonlocal last, said_at
        total = whole if total is None else total
        now = time.monotonic()
        if done != last and (done == total or now - said_at >= _PLAIN_SECONDS):
            of = "" if total is None else f"/{total}"
            talk(f"{label}: {done}{of}{f' {note}' if note else ''}")
            last, said_at = done, now

    return line
