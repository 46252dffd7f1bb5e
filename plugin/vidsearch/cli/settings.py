"""``vidsearch settings``: every setting, its value, where it is set."""

from __future__ import annotations

import click
from pydantic import SecretStr

from vidsearch.cli import output

__all__ = ["settings"]


@click.command()
@output.json_option
def settings(as_json: bool) -> None:
    """Show every setting: its value, the variable that sets it, what it is for.

    Secrets are masked. In a TOML file the setting VIDSEARCH_ENGINE__URL is `url` under `[engine]`.
    """
    from vidsearch.config import redact_url, setting_paths, variable_name

    current = output.settings()
    found = []
    for section, name, field in setting_paths():
        value = getattr(getattr(current, section), name)
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            # A broker URL is worth seeing but for its password.
            value = redact_url(secret) if "://" in secret else "***"
        found.append((variable_name(section, name), value, field.description))
    if as_json:
        output.print_json({variable: value for variable, value, _ in found})
        return
    output.print_table(("variable", "value", "meaning"), found, whole=("variable",))
