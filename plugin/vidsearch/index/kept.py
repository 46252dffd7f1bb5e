"""What an index of the user has that a copy of it has to have as well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vidsearch.engines import Engine, Json
from vidsearch.errors import BackendAccessDeniedError
from vidsearch.index.policies import Policy, policy_of
from vidsearch_mappings.diff import flattened

__all__ = ["WHILE_FILLED", "Kept", "kept_of", "kept_settings"]

_FINAL_PIPELINE = "final_pipeline"
# Said by the engine, and true of that one index only.
_OF_ONE_INDEX = (
    *("blocks.", "creation_date", "history.", "provided_name", "resize.", "uuid", "version."),
    *("remote_store.enabled", "remote_store.segment.repository"),
    *("remote_store.translog.repository", "routing.allocation.initial_recovery."),
    *("verified_before_close", "verified_read_only"),
)
# While a copy is filled: its documents have been through the pipelines already (`_none`, as an
# index template may bring some); and a version number that starts again after a delete must not
# meet the one of the deleted document.
WHILE_FILLED: Json = {"default_pipeline": "_none", _FINAL_PIPELINE: "_none", "gc_deletes": "0s"}
_LIFECYCLE = "lifecycle."
_ORIGIN = "lifecycle.origination_date"
_ANALYSIS = "analysis."


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a copy of an index keeps."""

    settings: Json
    """As dotted names below ``index``; analysers, pipelines and the policy of ILM are among
    them."""
    fields: int
    """Number of fields in its mapping, which is kept as a whole."""
    aliases: Json
    """With their options: filter, routing, ``is_write_index``, ``is_hidden``."""
    policy: Policy | None = None
    lost: tuple[str, ...] = field(default=())
    """What is not kept, or not known to be kept, a sentence each."""

    @property
    def analysis(self) -> tuple[str, ...]:
        """The user's own analysers and their parts: ``analyzer own_words``."""
        parts = (name.split(".") for name in self.settings if name.startswith(_ANALYSIS))
        return tuple(dict.fromkeys(f"{part[1]} {part[2]}" for part in parts if len(part) > 2))

    @property
    def pipelines(self) -> Json:
        """The ingest pipelines that its documents pass, by the name of the setting."""
        return {name: self.settings[name] for name in _pipelines() if name in self.settings}

    def at_creation(self) -> Json:
        """The settings that the copy is created with, and has while it is filled."""
        settled = {
            name: value for name, value in self.settings.items() if not name.startswith(_LIFECYCLE)
        }
        return {**settled, **WHILE_FILLED}

    def before_swap(self) -> Json:
        """The settings that the copy gets when it is filled.

        Documents pass the default pipeline by from then on, as each write says so. That can be said
        of no final pipeline, which is left to the swap.
        """
        lifecycle = {n: value for n, value in self.settings.items() if n.startswith(_LIFECYCLE)}
        last = {_FINAL_PIPELINE} & self.settings.keys()
        return {
            **{name: self.settings.get(name) for name in WHILE_FILLED if name not in last},
            **lifecycle,
        }

    def at_swap(self) -> Json:
        """The settings that it gets while nobody writes."""
        return {n: value for n, value in self.settings.items() if n == _FINAL_PIPELINE}

    def to_json(self) -> Json:
        """For people and their scripts."""
        return {
            "settings": {n: v for n, v in self.settings.items() if not n.startswith(_ANALYSIS)},
            "fields": self.fields,
            "analysis": list(self.analysis),
            "aliases": self.aliases,
            "pipelines": self.pipelines,
            "policy": None if self.policy is None else str(self.policy),
            "not kept": list(self.lost),
        }


def kept_of(engine: Engine, name: str, *, without: Iterable[str] = ()) -> Kept:
    """What a copy of the index ``name`` keeps; ``without``: aliases that it does not get."""
    live, mapping = engine.settings(name), engine.mapping(name)
    settings = kept_settings(live)
    if "lifecycle.name" in settings and _ORIGIN not in settings:
        # So that the policy goes by the age of the documents, and not by that of the copy.
        settings[_ORIGIN] = live.get("creation_date")
    policy: Policy | None = None
    lost: list[str] = []
    try:
        policy = policy_of(engine, name, settings)
    except BackendAccessDeniedError as error:
        lost.append(f"whether ISM manages {name!r} is not known to these credentials: {error}")
    if policy is not None and policy.by == "ISM":
        lost.append(f"the policy {policy} starts anew, as ISM goes by the age of the copy")
    aliases = {n: options for n, options in engine.aliases(name).items() if n not in set(without)}
    return Kept(
        settings=settings,
        fields=_count(mapping.get("properties") or {}),
        aliases=aliases,
        policy=policy,
        lost=tuple(lost),
    )


def kept_settings(live: Mapping[str, Any]) -> Json:
    """Of the settings of one index those that a copy can have, as dotted names."""
    return {n: value for n, value in flattened(live).items() if not n.startswith(_OF_ONE_INDEX)}


def _pipelines() -> tuple[str, ...]:
    return tuple(name for name in WHILE_FILLED if name.endswith("pipeline"))


def _count(properties: Mapping[str, Any]) -> int:
    return sum(
        1 + _count(each.get("properties") or {}) + _count(each.get("fields") or {})
        for each in properties.values()
    )
