"""Write the parts of the docs that follow from the code, or check that they are up to date.

    python scripts/generate_docs.py [--check]

- docs/cli.md: the reference of every command, from ``--help``;
- docs/settings.md: the reference of every setting;
- docs/raw-queries.md: its requests, by ``scripts/raw_queries.py``;
- docs/api.md: the Python API, by ``scripts/api_reference.py``.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from vidsearch.cli import cli
from vidsearch.config import Settings, setting_paths, variable_name

ROOT = Path(__file__).resolve().parent.parent
FIRST_SETTINGS = (
    "engine.url",
    "engine.api_key",
    "broker.url",
    "index.name",
    "index.quantization",
    "model.name",
    "sources.schemes",
    "sources.roots",
    "thumbnails.url",
)

_SETTINGS_INTRO = """\
# Settings

This page is written by `make docs` from `plugin/vidsearch/config_sections.py`.

A setting is read from the first of these places that has it:

1. an argument in Python: `load_settings(engine={"url": "http://localhost:9200"})`;
2. an environment variable: `VIDSEARCH_ENGINE__URL` is the setting `engine.url`. An empty variable
   counts as unset;
3. a TOML file: the file that `VIDSEARCH_CONFIG` or `vidsearch --config FILE` names, else
   `vidsearch.toml` in the working folder, else the one that `vidsearch local up` keeps there in
   `.vidsearch` while it runs;
4. the default.

```toml
[engine]
url = "https://search.example:9200"

[sources]
schemes = ["https"]
```

A setting that is an object, such as `sources.headers`, comes from one place as a whole: `{}` in a
variable leaves nothing of the file's.

In a variable a list is JSON: `VIDSEARCH_SOURCES__ROOTS='["/srv/videos"]'`. An unknown name and a
value out of range are errors. `vidsearch settings` shows the values in force; passwords, keys and
tokens are masked.
"""


def commands(
    command: click.Command, name: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    """Each command's full name and help text, parents first."""
    context = click.Context(
        command, parent, info_name=name, terminal_width=100, **command.context_settings
    )
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            child = command.get_command(context, each)
            assert child is not None
            yield from commands(child, each, context)


def cli_reference() -> str:
    """The whole of docs/cli.md."""
    parts = [
        "# Command line\n",
        "Commands print data on stdout, and messages and progress on stderr.",
        "Exit code 0: done; 1: failed; 2: an argument or a setting is wrong.",
        "This page is written by `make docs` from the commands' own help.\n",
    ]
    for name, text in commands(cli, "vidsearch"):
        parts.append(f"## {name}\n\n```text\n{text.rstrip()}\n```\n")
    return "\n".join(parts)


def settings_reference() -> str:
    """The whole of docs/settings.md."""
    known = {
        f"{section}.{name}": (section, name, field) for section, name, field in setting_paths()
    }
    first = settings_table(known[name] for name in FIRST_SETTINGS)
    parts = [_SETTINGS_INTRO, f"## The ones that nearly everyone sets\n\n{first}\n"]
    for section, info in Settings.model_fields.items():
        rows = [entry for entry in setting_paths() if entry[0] == section]
        assert info.annotation is not None
        parts.append(f"## {section}\n\n{info.annotation.__doc__}\n\n{settings_table(rows)}\n")
    return "\n".join(parts)


def settings_table(rows: Iterable[tuple[str, str, Any]]) -> str:
    """A table of settings, each as ``(section, name, FieldInfo)``."""
    lines = ["| variable | default | meaning |", "|---|---|---|"]
    for section, name, field in rows:
        shown = _shown(field.default)
        lines.append(f"| `{variable_name(section, name)}` | {shown} | {field.description} |")
    return "\n".join(lines)


def generated() -> dict[Path, str]:
    """Every generated file with the text that it must have."""
    raw_queries = runpy.run_path(str(ROOT / "scripts" / "raw_queries.py"))["raw_queries"]
    api_reference = runpy.run_path(str(ROOT / "scripts" / "api_reference.py"))["api_reference"]
    return {
        ROOT / "docs" / "cli.md": cli_reference(),
        ROOT / "docs" / "settings.md": settings_reference(),
        ROOT / "docs" / "raw-queries.md": raw_queries(),
        ROOT / "docs" / "api.md": api_reference(),
    }


def _shown(default: Any) -> str:
    if hasattr(default, "get_secret_value"):
        default = default.get_secret_value()
    if default is None or default == "":
        return ""
    if isinstance(default, tuple):
        default = "[" + ", ".join(f'"{item}"' for item in default) + "]"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def main() -> int:
    """Write or check; exit code 1 where a part is stale."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    check = parser.parse_args().check
    wanted = generated()
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
