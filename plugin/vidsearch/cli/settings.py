"""``vidsearch settings``: every setting with its value, its variable and its meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from pydantic import SecretStr

from vidsearch.cli import output
from vidsearch.cli.options import json_option
from vidsearch.config import load_settings

__all__ = ["settings"]


@click.command()
@json_option
def settings(as_json: bool) -> None:
    """Show every setting: its variable, its value and its meaning.

    Secrets are masked. In a TOML file VIDSEARCH_ENGINE__URL is `url` under `[engine]`.
    """
    from vidsearch.config import redact_url, setting_paths, variable_name

    current = load_settings()
    found = []
    for section, name, field in setting_paths():
        value = getattr(getattr(current, section), name)
        if isinstance(value, dict):
            value = _masked(value)
        if isinstance(value, SecretStr):
            secret = value.get_secret_value()
            # Of a broker's URL only the password is a secret.
            value = redact_url(secret) if "://" in secret else "***"
        found.append((variable_name(section, name), value, field.description))
    output.print_rows(
        {variable: value for variable, value, _ in found},
        ("variable", "value", "meaning"),
        found,
        as_json=as_json,
        whole=("variable",),
    )


def _masked(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what lies deeper, such as headers by host and passwords of Sentinel."""
    return {
        key: dict.fromkeys(value, "***") if isinstance(value, Mapping) else value
        for key, value in values.items()
    }
