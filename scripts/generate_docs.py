"""Write the parts of the docs that follow from the code, or check that they are up to date.

    python scripts/generate_docs.py [--check]

- docs/cli.md: the reference of every command, from ``--help``;
- README.md: the table of settings, between the markers ``<!-- settings -->``.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from vidsearch.cli import cli
from vidsearch.config import setting_paths, variable_name

ROOT = Path(__file__).resolve().parent.parent


def commands(command: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Each command's full name and help text, parents first."""
    context = click.Context(command, info_name=" ".join(path), terminal_width=100)
    yield " ".join(path), command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from commands(child, (*path, name))


def cli_reference() -> str:
    """The whole of docs/cli.md."""
    parts = [
        "# Command line\n",
        "Data goes to stdout, talk and progress to stderr.",
        "Exit code 0: done; 1: failed; 2: the call or a setting is wrong.",
        "This page is written by `make docs` from the commands' own help.\n",
    ]
    for name, text in commands(cli, ("vidsearch",)):
        parts.append(f"## {name}\n\n```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


def settings_table() -> str:
    """The table of settings for the README."""
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for section, name, field in setting_paths():
        default = field.default
        if hasattr(default, "get_secret_value"):
            default = default.get_secret_value()
        if isinstance(default, tuple):
            default = "[" + ", ".join(f'"{item}"' for item in default) + "]"
        shown = "" if default is None else f"`{default}`"
        rows.append(f"| `{variable_name(section, name)}` | {shown} | {field.description} |")
    return "\n".join(rows)


def readme(text: str) -> str:
    """The README with its generated part renewed."""
    start, end = "<!-- settings -->", "<!-- /settings -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise SystemExit(f"README.md must hold {start} and {end} exactly once")
    return re.sub(
        f"{start}.*{end}",
        lambda _: f"{start}\n{settings_table()}\n{end}",
        text,
        flags=re.DOTALL,
    )


def main() -> int:
    """Write or check; exit code 1 where a part is stale."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    check = parser.parse_args().check
    readme_path = ROOT / "README.md"
    wanted = {
        ROOT / "docs" / "cli.md": cli_reference(),
        readme_path: readme(readme_path.read_text(encoding="utf-8")),
    }
    stale = [
        path
        for path, text in wanted.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is stale: run `make docs`", file=sys.stderr)
        else:
            path.write_text(wanted[path], encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
