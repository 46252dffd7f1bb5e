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

_MASK = "***"


@click.command()
@json_option
def settings(as_json: bool) -> None:
    """Show every setting: its variable, its value and its meaning.

    Secrets are masked. In a TOML file VIDSEARCH_ENGINE__URL is `url` under `[engine]`.
    """
    from vidsearch.config import setting_paths, variable_name

    current = load_settings()
    found = []
    for section, name, field in setting_paths():
        value = _shown(getattr(getattr(current, section), name))
        found.append((variable_name(section, name), value, field.description))
    output.print_rows(
        {variable: value for variable, value, _ in found},
        ("variable", "value", "meaning"),
        found,
        as_json=as_json,
        whole=("variable",),
    )


def _shown(value: Any) -> Any:
    """The value of a setting without the secrets in it."""
    from vidsearch.config import redact_url
    from vidsearch_mappings.masking import names_secret

    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        # Of a broker's URL only the password is a secret.
        return redact_url(secret) if "://" in secret else _MASK
    if isinstance(value, str):
        return redact_url(value) if "://" in value else value
    if isinstance(value, Mapping):
        return {key: _MASK if names_secret(key) else _inner(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_inner(each) for each in value)
    return value


def _inner(value: Any) -> Any:
    """Of objects that lie deeper, such as headers by host and options of Sentinel, no value is
    shown: a key need not say that it is a secret."""
    return dict.fromkeys(value, _MASK) if isinstance(value, Mapping) else _shown(value)
