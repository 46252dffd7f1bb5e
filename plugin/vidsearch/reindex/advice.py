"""Which command brings a live index to what the settings describe."""

from __future__ import annotations

from collections.abc import Iterable

from vidsearch.config import Settings
from vidsearch_mappings.diff import Change

__all__ = ["command_for", "commands_for"]

_META = "mappings._meta.vidsearch."
_GRAPH = {"m": "--m", "ef_construction": "--ef-construction"}


def command_for(change: Change, settings: Settings) -> str:
    """The command for one difference, with the value that the settings have."""
    if change.how == "in place":
        return "vidsearch index diff --apply"
    return f"vidsearch reindex {_option(change, settings)}"


def commands_for(changes: Iterable[Change], settings: Settings) -> tuple[str, ...]:
    """The fewest commands for all differences, in the order to run them."""
    changes = tuple(changes)
    options = dict.fromkeys(_option(one, settings) for one in changes if one.how != "in place")
    commands = [f"vidsearch reindex {' '.join(options)}"] if options else []
    if any(one.how == "in place" for one in changes):
        commands.append("vidsearch index diff --apply")
    return tuple(commands)


def _option(change: Change, settings: Settings) -> str:
    index, model = settings.index, settings.model
    path, name = change.path, change.path.rpartition(".")[2]
    if path == "settings.index.number_of_shards":
        return f"--shards {index.shards}"
    inside = path.startswith(f"mappings.properties.{index.field}.")
    if path.startswith(f"{_META}model") or (inside and name in {"dims", "dimension"}):
        revision = f"@{model.revision}" if model.revision else ""
        return f"--model {model.name}{revision}"
    if path == f"{_META}segment_seconds":
        return f"--segment-seconds {index.segment_seconds:g}"
    if inside and name in _GRAPH:
        return f"{_GRAPH[name]} {getattr(index, name)}"
    if inside or path == f"{_META}quantization" or path.startswith("settings."):
        return f"--quantization {index.quantization}"
    return "--mapping"
