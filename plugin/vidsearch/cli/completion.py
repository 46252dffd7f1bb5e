"""``vidsearch completion``: what makes a shell complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["completion"]

_VARIABLE = "_VIDSEARCH_COMPLETE"
"""click looks at it when `vidsearch` starts; the name follows from that of the command."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what has a shell complete commands, options and their values.

    For bash, the line `eval "$(vidsearch completion bash)"` in ~/.bashrc; for zsh the same with
    zsh in ~/.zshrc; for fish, `vidsearch completion fish | source` in config.fish.
    """
    root = click.get_current_context().find_root()
    made = get_completion_class(shell)
    assert made is not None
    script = made(root.command, {}, "vidsearch", _VARIABLE)
    # Not `source()`, which runs bash to warn of an old one.
    click.echo(script.source_template % script.source_vars())
